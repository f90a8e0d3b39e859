//! Which patches a policy allows.

use crate::domain::{Candidate, ParseError};

/// What a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchKind {
    /// A fix made at once for one fault.
    Hotfix,
    /// A fix from an origin that carries security updates.
    Security,
    /// Any other update.
    Update,
    /// A collection of updates.
    ServicePack,
    /// Firmware.
    Firmware,
}

impl PatchKind {
    /// The name in policies and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hotfix => "hotfix",
            Self::Security => "security",
            Self::Update => "update",
            Self::ServicePack => "service-pack",
            Self::Firmware => "firmware",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        [Self::Hotfix, Self::Security, Self::Update, Self::ServicePack, Self::Firmware]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseError::new("patch kind", text, "hotfix, security, update, service-pack or firmware"))
    }

    /// The kind of a package manager's candidate: its archive says whether it carries security updates.
    #[must_use]
    pub fn of(candidate: &Candidate) -> Self {
        if candidate.origin.is_security() { Self::Security } else { Self::Update }
    }
}

/// Which candidates a policy lets into a plan. An empty list allows all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchFilter {
    /// Kinds allowed.
    pub kinds: Vec<PatchKind>,
    /// Origins allowed, as patterns over the short form, e.g. `Debian*/*`.
    pub origins: Vec<String>,
    /// Packages allowed, as patterns over binary names, or `src:` and a pattern over source names.
    pub include: Vec<String>,
    /// Packages never touched, in the same form; wins over `include`.
    pub exclude: Vec<String>,
}

impl PatchFilter {
    /// Whether the candidate is allowed; if not, which setting forbids it.
    pub fn allows(&self, candidate: &Candidate) -> Result<(), &'static str> {
        let named = |pattern: &String| match pattern.strip_prefix("src:") {
            Some(source) => glob_match::glob_match(source, candidate.source.as_str()),
            None => glob_match::glob_match(pattern, candidate.id.name.as_str()),
        };
        let origin = candidate.origin.short();
        if !self.kinds.is_empty() && !self.kinds.contains(&PatchKind::of(candidate)) {
            Err("patches.kinds")
        } else if !self.origins.is_empty() && !self.origins.iter().any(|pattern| glob_match::glob_match(pattern, &origin)) {
            Err("patches.origins")
        } else if !self.include.is_empty() && !self.include.iter().any(named) {
            Err("patches.include")
        } else if self.exclude.iter().any(named) {
            Err("patches.exclude")
        } else {
            Ok(())
        }
    }
}

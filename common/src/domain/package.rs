//! Packages as a host has them and as it could get them.

use std::cmp::Ordering;

use super::ParseError;
use super::text::{checked_string, is_token};

checked_string!(
    /// A binary or source package's name. Starts with a letter or digit, so it is never an option in an argument vector.
    PackageName, "package name", "1 to 256 letters, digits, '+', '-', '.', '_', ':' and '@', starting with a letter or digit",
    |value| is_token(value, 256, "+-._:@")
);
checked_string!(
    /// An architecture as the package manager names it, e.g. `amd64`.
    Architecture, "architecture", "1 to 32 letters, digits, '-' and '_'",
    |value| is_token(value, 32, "-_")
);
checked_string!(
    /// An exact version as the package manager writes it. Equality is textual; for order see [`PackageVersion::compare`].
    PackageVersion, "package version", "1 to 256 letters, digits, '.', '+', '-', '~', ':', '_' and '^', starting with a letter or digit",
    |value| is_token(value, 256, ".+-~:_^")
);

impl PackageVersion {
    /// Order of versions within one package manager.
    #[must_use]
    pub fn compare(&self, other: &Self, manager: Manager) -> Ordering {
        match manager {
            Manager::Dpkg | Manager::Simulated => super::compare_debian(self.as_str(), other.as_str()),
        }
    }
}

/// A package manager. Others come later; each is one provider in the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// Debian's dpkg, driven through apt.
    Dpkg,
    /// The simulated package manager of tests and of the demo where there is no apt.
    Simulated,
}

impl Manager {
    /// The name on the wire and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Simulated => "simulated",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "dpkg" => Ok(Self::Dpkg),
            "simulated" => Ok(Self::Simulated),
            _ => Err(ParseError::new("package manager", text, "dpkg or simulated")),
        }
    }
}

/// What tells one installed package from another on a host: siblings of several architectures are two packages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PackageId {
    /// The binary package.
    pub name: PackageName,
    /// Its architecture (`all` for architecture-independent ones).
    pub architecture: Architecture,
}

impl std::fmt::Display for PackageId {
    /// `name:architecture`, as apt writes it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.name, self.architecture)
    }
}

/// Whether the administrator asked for the package or a dependency brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Installed on request.
    Manual,
    /// Installed as a dependency; removed when nothing needs it.
    Auto,
}

/// How far the package manager got with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallState {
    /// Installed and configured.
    Installed,
    /// Removed, configuration files left.
    ConfigFiles,
    /// Unpacked, half-installed, half-configured or waiting for triggers: a transaction runs or was interrupted.
    Incomplete,
}

/// One package as a host has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct InstalledPackage {
    /// Name and architecture.
    #[serde(flatten)]
    pub id: PackageId,
    /// The exact installed version.
    pub version: PackageVersion,
    /// The source package it was built from.
    pub source: PackageName,
    /// The source package's version, where it differs from the binary's it is told in the package manager's database.
    pub source_version: PackageVersion,
    /// How far the package manager got.
    pub state: InstallState,
    /// Asked for or brought by a dependency.
    pub mark: Mark,
    /// Held by the administrator (`apt-mark hold`).
    pub held: bool,
}

/// Where a version comes from, as the archive's Release file says. Fields are empty where it does not say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// `Origin:` of the Release file, e.g. `Debian`.
    pub origin: String,
    /// `Label:`, e.g. `Debian-Security`.
    pub label: String,
    /// `Suite:`, e.g. `stable-security`.
    pub suite: String,
    /// `Codename:`, e.g. `bookworm-security`.
    pub codename: String,
    /// Component, e.g. `main`.
    pub component: String,
    /// Host name of the mirror; never a path or credentials.
    pub site: String,
}

impl Origin {
    /// Whether the archive says that it carries security updates.
    #[must_use]
    pub fn is_security(&self) -> bool {
        [&self.label, &self.suite, &self.codename].iter().any(|field| field.to_ascii_lowercase().contains("security"))
    }

    /// Short form for tables: label (or origin), a slash, suite (or codename), e.g. `Debian-Security/stable-security`.
    #[must_use]
    pub fn short(&self) -> String {
        let first = |fields: [&String; 2]| fields.into_iter().find(|field| !field.is_empty()).cloned().unwrap_or_default();
        let (left, right) = (first([&self.label, &self.origin]), first([&self.suite, &self.codename]));
        match (left.is_empty(), right.is_empty()) {
            (true, true) => "unknown".to_owned(),
            (false, true) => left,
            (true, false) => right,
            (false, false) => format!("{left}/{right}"),
        }
    }
}

/// Why a candidate may not be installed although the archive offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocked {
    /// `apt-mark hold`.
    Held,
    /// The host's own pin forbids this version.
    Pinned,
}

/// A version that a host could get for a package that it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Candidate {
    /// Name and architecture.
    #[serde(flatten)]
    pub id: PackageId,
    /// Installed version.
    pub from: PackageVersion,
    /// Version that the host could get.
    pub to: PackageVersion,
    /// Source package of the candidate.
    pub source: PackageName,
    /// Source version of the candidate.
    pub source_version: PackageVersion,
    /// Where it comes from.
    pub origin: Origin,
    /// Hash of the .deb as the archive's index gives it.
    pub sha256: Option<super::Digest>,
    /// Size of the .deb in bytes; 0 where the index does not say.
    pub size_bytes: u64,
    /// Why it may not be installed.
    pub blocked: Option<Blocked>,
}

/// What a quarantine forbids: one build from one origin (rule 13).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct QuarantineKey {
    /// Package manager.
    pub manager: Manager,
    /// Origin in its short form.
    pub origin: String,
    /// Source package.
    pub source: PackageName,
    /// Version including its release, of the binary package that was applied.
    pub version: PackageVersion,
    /// Architecture.
    pub architecture: Architecture,
}

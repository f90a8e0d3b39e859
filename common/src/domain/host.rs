//! What is known about a host beside its packages.

use super::ParseError;

/// What a host agreed to at enrolment; only re-enrolment changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostMode {
    /// Reports and applies patches.
    Managed,
    /// Reports, and nothing more; its agent has no path to execution.
    ReportOnly,
}

impl HostMode {
    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::ReportOnly => "report-only",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "managed" => Ok(Self::Managed),
            "report-only" => Ok(Self::ReportOnly),
            _ => Err(ParseError::new("mode", text, "managed or report-only")),
        }
    }
}

/// Whether the host says that it wants a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct RebootRequired {
    /// The host asks for a reboot.
    pub required: bool,
    /// The packages that ask for it, as `/run/reboot-required.pkgs` lists them.
    pub packages: Vec<String>,
}

/// Facts that an agent reports about its machine. Attributes, never identity; every string is cleaned and bounded at the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct HostFacts {
    /// Host name.
    pub hostname: String,
    /// `ID=` of os-release, e.g. `debian`.
    pub os: String,
    /// `VERSION_ID=`, e.g. `12`.
    pub release: String,
    /// `VERSION_CODENAME=`, e.g. `bookworm`.
    pub codename: String,
    /// Running kernel's release.
    pub kernel: String,
    /// Machine architecture, e.g. `x86_64`.
    pub architecture: String,
    /// CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Addresses, without loopback.
    pub addresses: Vec<String>,
    /// When the machine booted, in seconds since 1970.
    pub booted_at_secs: i64,
    /// Boot id of the running kernel.
    pub boot_id: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Whether a reboot is asked for.
    pub reboot: RebootRequired,
    /// Active tools that change packages on their own, e.g. `apt-daily-upgrade.timer` (rule 16).
    pub other_hands: Vec<String>,
    /// Whether the host's owner holds all changes (`patchwave-agent hold`), with the reason given.
    pub hold: Option<String>,
}

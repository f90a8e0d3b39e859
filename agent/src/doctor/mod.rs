//! Finds what will hurt before a rollout does: each finding says what, how bad, and what to do.
//!
//! A check looks at one side of the machine and returns findings; it changes nothing (the fetch of the archive's indexes excepted, which
//! is what the agent does by itself on a managed host). What would need the running agent's stream is read from its status file: a second
//! stream would look like a cloned host.

mod controller;
mod enrolment;
mod machine;
mod packages;
mod space;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_common::domain::{HostMode, Timestamp};
use serde::Serialize;

use crate::config::Settings;
use crate::identity::{HostIdentity, HostIdentityError};
use crate::packages::{PackageError, PackageManager};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Patching this host fails or is refused until it is mended.
    Error,
    /// It will hurt sooner or later, or under some policies.
    Warning,
    /// Good to know.
    Note,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it; stable.
    pub check: &'static str,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Finding {
    fn new(severity: Severity, check: &'static str, what: impl ToString, hint: impl Into<String>) -> Self {
        // Errors of other modules may bring their hint along; it is told once.
        let (what, own) = crate::hint::split(&what.to_string());
        let hint = own.unwrap_or_else(|| hint.into());
        Self { severity, check, what, hint }
    }

    fn error(check: &'static str, what: impl ToString, hint: impl Into<String>) -> Self {
        Self::new(Severity::Error, check, what, hint)
    }

    fn warning(check: &'static str, what: impl ToString, hint: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, what, hint)
    }

    fn note(check: &'static str, what: impl ToString, hint: impl Into<String>) -> Self {
        Self::new(Severity::Note, check, what, hint)
    }
}

/// What is looked at.
pub struct Subject {
    /// The agent's settings.
    pub settings: Settings,
    /// The machine's root directory: `/`, or a fabricated one in tests.
    pub machine: PathBuf,
    /// Who the host is.
    pub identity: Result<HostIdentity, HostIdentityError>,
    /// Its packages.
    pub packages: Result<Arc<dyn PackageManager>, PackageError>,
    /// The present instant.
    pub now: Timestamp,
    /// Neither the controller nor the archive is asked.
    pub offline: bool,
}

impl Subject {
    fn mode(&self) -> Option<HostMode> {
        self.identity.as_ref().ok().map(|identity| identity.mode)
    }

    fn state_dir(&self) -> &Path {
        &self.settings.state_dir
    }

    /// Whether the packages are the machine's own, and not a sandbox's.
    fn is_whole_machine(&self) -> bool {
        self.settings.packages.root.is_none() && self.settings.packages.manager != Some(patchwave_common::domain::Manager::Simulated)
    }
}

type Check = fn(&Subject) -> Vec<Finding>;

/// Every check, in the order in which they are told.
const CHECKS: &[Check] = &[
    enrolment::examine,
    machine::state_directory,
    machine::hold,
    machine::service_manager,
    machine::executables,
    space::examine,
    packages::database,
    packages::other_hands,
    packages::held,
    packages::sources,
    controller::clock,
    controller::route,
];

/// Looks at everything; the worst first. Blocks, for as long as the archive and the controller take.
#[must_use]
pub fn examine(subject: &Subject) -> Vec<Finding> {
    let mut findings: Vec<_> = CHECKS.iter().flat_map(|check| check(subject)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// A configuration that cannot be read is the only finding there is.
#[must_use]
pub fn unreadable_configuration(error: impl ToString) -> Finding {
    Finding::error("configuration", error, "mend the file; the agent does not start with it")
}

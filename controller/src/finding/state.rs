//! Where a finding stands, and what changes between two looks at a host.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use patchwave_common::domain::AdvisoryId;

/// Names a finding on a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingKey {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The source package, as the advisory names it.
    pub source: Arc<str>,
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingState {
    /// The hole is there, and the host can get nothing that closes it.
    Open,
    /// The host can get a version that closes it.
    FixAvailable,
    /// A rollout will bring such a version.
    Scheduled,
    /// The fix is installed, and the old code still runs or may still run.
    RestartPending,
    /// The host runs fixed code.
    Fixed,
    /// The package is gone, and nothing of it runs.
    Removed,
    /// The advisory no longer speaks of what is installed: it was withdrawn or corrected.
    Withdrawn,
    /// Somebody answers for leaving it open for a time.
    Waived,
    /// It cannot be closed, and something else keeps it from being used.
    Mitigated,
    /// The hole cannot be used here (VEX).
    NotAffected,
}

impl FindingState {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::FixAvailable,
        Self::Scheduled,
        Self::RestartPending,
        Self::Fixed,
        Self::Removed,
        Self::Withdrawn,
        Self::Waived,
        Self::Mitigated,
        Self::NotAffected,
    ];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FixAvailable => "fix-available",
            Self::Scheduled => "scheduled",
            Self::RestartPending => "restart-pending",
            Self::Fixed => "fixed",
            Self::Removed => "removed",
            Self::Withdrawn => "withdrawn",
            Self::Waived => "waived",
            Self::Mitigated => "mitigated",
            Self::NotAffected => "not-affected",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether there is nothing left to do, until the host or the advisory changes.
    #[must_use]
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Fixed | Self::Removed | Self::Withdrawn)
    }

    /// Whether people took it out of what is due. It still is a finding, and is shown.
    #[must_use]
    pub fn is_excepted(self) -> bool {
        matches!(self, Self::Waived | Self::Mitigated | Self::NotAffected)
    }
}

impl fmt::Display for FindingState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A finding as it stands. Closed ones are kept, so that a downgrade opens the same one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub state: FindingState,
    /// The version that has the hole; for a closed one the last that had.
    pub installed: Arc<str>,
    /// The first version without it, if the advisory knows one.
    pub fixed: Option<Arc<str>>,
    /// What shows that it stands there, in plain words.
    pub evidence: String,
}

/// The findings of a host. Hosts that are alike have equal ones and can share them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingSet(pub BTreeMap<FindingKey, Finding>);

/// A finding that came to another state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Which finding.
    pub key: FindingKey,
    /// Where it stood; none where it is new.
    pub from: Option<FindingState>,
    /// Where it stands.
    pub to: FindingState,
    /// What shows that.
    pub evidence: String,
}

/// What changed from one set to another, by key. Findings are never forgotten, so `after` has every key of `before`.
#[must_use]
pub fn transitions(before: &FindingSet, after: &FindingSet) -> Vec<Transition> {
    let changed = after.0.iter().filter_map(|(key, finding)| {
        let from = before.0.get(key).map(|finding| finding.state);
        (from != Some(finding.state)).then(|| Transition { key: key.clone(), from, to: finding.state, evidence: finding.evidence.clone() })
    });
    changed.collect()
}

//! Why a host is not in a plan. No host is left out without a reason.

use patchwave_common::domain::HostId;

use crate::rollout::named::named;

/// A host that was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excluded {
    /// The host.
    pub host: HostId,
    /// The kind of reason.
    pub reason: ExclusionReason,
    /// In plain words where the reason alone does not tell: which package, which setting, which rollout.
    pub detail: String,
}

named!(
    /// Why a host was left out of a plan.
    ExclusionReason, "exclusion reason" {
        /// Its agent reports only.
        ReportOnly = "report-only",
        /// The policy is not about it.
        NotSelected = "not-selected",
        /// The hosts asked for do not include it.
        NotAskedFor = "not-asked-for",
        /// An operator retired it.
        Retired = "retired",
        /// Two running copies use its key.
        Cloned = "cloned",
        /// Not seen for long.
        Stale = "stale",
        /// Its clock is off.
        ClockOff = "clock-off",
        /// It has not reported its packages yet.
        NoInventory = "no-inventory",
        /// It could get no other version.
        NoCandidate = "no-candidate",
        /// The package is held on it.
        Held = "held",
        /// Its own pin forbids the version.
        Pinned = "pinned",
        /// The version is in quarantine.
        Quarantined = "quarantined",
        /// Another tool changes its packages (rule 16).
        OtherHands = "other-hands",
        /// Another rollout has ordered it.
        Claimed = "claimed",
        /// Its owner holds all changes.
        LocalHold = "local-hold",
        /// The policy does not allow the update.
        NotAllowed = "not-allowed",
        /// It has the version already.
        AlreadyAtVersion = "already-at-version",
        /// Its archive offers another version than the one asked for.
        NotOffered = "not-offered",
        /// It does not have the package.
        NotInstalled = "not-installed",
        /// A sibling of another architecture could not move along (rule 20).
        Sibling = "sibling",
        /// No wave takes it.
        NoWave = "no-wave",
        /// Reverse plans: the rollout changed nothing on it that could be taken back.
        NothingToTakeBack = "nothing-to-take-back",
    }
);

impl ExclusionReason {
    /// In plain words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ReportOnly => "its agent reports only",
            Self::NotSelected => "the policy's `hosts` does not select it",
            Self::NotAskedFor => "the hosts asked for do not include it",
            Self::Retired => "it was retired",
            Self::Cloned => "two running copies use its key",
            Self::Stale => "it has not been seen for long",
            Self::ClockOff => "its clock is more than five minutes off",
            Self::NoInventory => "it has not reported its packages yet",
            Self::NoCandidate => "its archives offer it no other version",
            Self::Held => "the package is held on it (`apt-mark hold`)",
            Self::Pinned => "its own pin forbids the version",
            Self::Quarantined => "the version is in quarantine",
            Self::OtherHands => "another tool changes its packages",
            Self::Claimed => "another rollout has ordered it",
            Self::LocalHold => "its owner holds all changes (`patchwave-agent hold`)",
            Self::NotAllowed => "the policy does not allow the update",
            Self::AlreadyAtVersion => "it has the version already",
            Self::NotOffered => "its archives offer another version",
            Self::NotInstalled => "it does not have the package",
            Self::Sibling => "a sibling of another architecture could not move along",
            Self::NoWave => "no wave of the policy takes it",
            Self::NothingToTakeBack => "the rollout changed nothing on it that could be taken back",
        }
    }
}

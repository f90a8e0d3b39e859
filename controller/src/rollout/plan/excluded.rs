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

//! The one order that a host has at a time, and what the host answers.
//!
//! A directive is state, not a message: the controller recomputes it from the rollout's log and reconciles when an agent says hello.
//! Staging is no directive: it changes nothing that is installed.

use super::policy::{HealthRules, TransactionRules};
use super::{Digest, Generation, ParseError, RolloutId, TargetSet};

/// A capability that a directive can require; an agent that lacks one refuses the directive and says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Feature(pub String);

impl Feature {
    /// Applying exact versions with a receipt, and taking them back.
    pub const APPLY_V1: &'static str = "apply-v1";
    /// Health checks: tcp, http, unit, executable.
    pub const CHECKS_V1: &'static str = "checks-v1";
    /// All features of this release.
    pub const ALL: [&'static str; 2] = [Self::APPLY_V1, Self::CHECKS_V1];
}

/// An order to one host.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Directive {
    /// Fence: never acted on when older than the newest seen.
    pub generation: Generation,
    /// The rollout that it belongs to.
    pub rollout: RolloutId,
    /// Features that the agent must have.
    pub requires: Vec<Feature>,
    /// What to do.
    pub order: Order,
}

/// What a directive orders.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Order {
    /// Bring packages to exact versions.
    Apply(ApplyOrder),
    /// Return to a receipt.
    TakeBack(TakeBackOrder),
}

impl Order {
    /// What an agent must know to carry it out. Only what the order uses, so that an older agent is ordered about with what it has.
    #[must_use]
    pub fn requires(&self) -> Vec<Feature> {
        let health = match self {
            Self::Apply(order) => &order.health,
            Self::TakeBack(order) => &order.health,
        };
        let checks = (!health.checks.is_empty()).then_some(Feature::CHECKS_V1);
        [Some(Feature::APPLY_V1), checks].into_iter().flatten().map(|feature| Feature(feature.to_owned())).collect()
    }
}

/// Bring packages to exact versions, verify, keep watching until concluded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ApplyOrder {
    /// What changes.
    pub targets: TargetSet,
    /// What the transaction may do beyond that.
    pub transaction: TransactionRules,
    /// What counts as healthy.
    pub health: HealthRules,
    /// Whether a harmed host takes itself back at once.
    pub automatic_rollback: bool,
}

/// Return to the receipt that an earlier directive wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TakeBackOrder {
    /// Generation of the directive whose receipt is meant.
    pub of: Generation,
    /// What counts as healthy afterwards.
    pub health: HealthRules,
}

/// Download what a plan will need, ahead of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRequest {
    /// The rollout that asks.
    pub rollout: RolloutId,
    /// Root of the plan.
    pub plan_root: Digest,
    /// What will change.
    pub targets: TargetSet,
}

/// How staging ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageResult {
    /// Everything is on the host.
    Staged {
        /// Bytes kept for this rollout, originals included.
        bytes: u64,
        /// Whether every installed original was had, so that the way back is certain (rule 12).
        way_back: bool,
    },
    /// It could not be staged. Never harm (rule 18).
    NotStaged {
        /// The kind of reason.
        reason: NotStagedReason,
        /// What the tool said, cleaned and without credentials.
        detail: String,
    },
}

/// Leave to begin a transaction (rule 2). Counted on the agent's own boot-time clock from the moment it asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The directive that it is for.
    pub generation: Generation,
    /// How long the transaction may still begin, in milliseconds.
    pub valid_ms: u64,
    /// The newest question of the session that the controller had heard when it gave the lease: from there it counts. 0 where nobody
    /// numbers questions.
    pub answers: u64,
}

/// What an agent reports about its directive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DirectiveProgress {
    /// Taken into the journal.
    Accepted,
    /// Nothing was changed and nothing will be.
    Refused {
        /// The kind of reason.
        reason: RefusalReason,
        /// In plain words, with the way out.
        detail: String,
    },
    /// Simulated and receipt written; asks for the lease. The controller's record of this is `applying`.
    Ready,
    /// The transaction began.
    Applying,
    /// The transaction ended; checks run.
    Verifying,
    /// Exact versions, no failed unit, every check passed.
    Healthy,
    /// Harm was seen; with automatic rollback the host takes itself back now.
    Harmed {
        /// The kind of harm.
        reason: HarmReason,
        /// In plain words.
        detail: String,
    },
    /// Returning to the receipt.
    TakingBack,
    /// Equal to the receipt, verified.
    TakenBack,
    /// Neither the target nor the receipt could be reached; a person is needed.
    NeedsAttention {
        /// What differs and what to do.
        detail: String,
    },
}

/// Makes a field-less enum with a stable kebab-case name per value, used on the wire, in logs and in JSON.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable name.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            /// Reads the stable name.
            pub fn parse(text: &str) -> Result<Self, ParseError> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(ParseError::new($what, text, "one of the names that this release knows")) }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { formatter.pad(self.as_str()) }
        }
    };
}

reasons!(
    /// Why a host refused a directive before anything was changed. None of these is harm.
    RefusalReason, "refusal reason" {
        /// `patchwave-agent hold` is on.
        LocalHold = "local-hold",
        /// A package is held by `apt-mark hold`.
        PackageHeld = "package-held",
        /// The host's own pin forbids the version.
        PackagePinned = "package-pinned",
        /// The transaction would remove a package (rule 14).
        WouldRemove = "would-remove",
        /// The transaction would change a package outside the plan (rule 14).
        WouldChangeOthers = "would-change-others",
        /// A package is neither at the plan's `from` nor at its `to`.
        Drifted = "drifted",
        /// Every package is already at its target.
        AlreadyAtTarget = "already-at-target",
        /// The exact version cannot be had any more (rule 17).
        Superseded = "superseded",
        /// The version cannot be staged now.
        NotStaged = "not-staged",
        /// What is installed could not be restored (rule 12) and the policy does not permit that.
        NoWayBack = "no-way-back",
        /// Another tool changes packages on its own (rule 16).
        OtherHands = "other-hands",
        /// The host's clock is more than five minutes off (rule 28).
        ClockOff = "clock-off",
        /// The version is in quarantine (rule 13).
        Quarantined = "quarantined",
        /// The package manager's lock was held for too long by someone else.
        LockHeld = "lock-held",
        /// The package manager is broken and could not be repaired.
        PackageManagerBroken = "package-manager-broken",
        /// Not enough room on disk.
        DiskFull = "disk-full",
        /// The agent lacks a feature that the directive requires.
        UnsupportedFeature = "unsupported-feature",
        /// The generation is older than the newest seen.
        OldGeneration = "old-generation",
        /// The agent reports only.
        ReportOnly = "report-only",
        /// The lease did not come in time.
        NoLease = "no-lease",
        /// There is no receipt to return to.
        NoReceipt = "no-receipt",
        /// Another directive is still being carried out.
        Busy = "busy",
        /// The controller withdrew the directive before it began.
        Withdrawn = "withdrawn",
    }
);
reasons!(
    /// What counts as harm (rule 4).
    HarmReason, "harm reason" {
        /// The package manager failed in the middle of the transaction.
        TransactionFailed = "transaction-failed",
        /// The package database is not at the exact target afterwards.
        WrongVersions = "wrong-versions",
        /// A health check that passed before fails.
        CheckFailed = "check-failed",
        /// A unit failed that had not failed before.
        UnitFailed = "unit-failed",
        /// Silence after applying (rule 1).
        Silent = "silent",
        /// A person reported it.
        Reported = "reported",
        /// The host took itself back.
        TakenBack = "taken-back",
    }
);
reasons!(
    /// Why a host could not stage (rule 18). Never harm.
    NotStagedReason, "not-staged reason" {
        /// The archive does not have the file (404) or the exact version left the index.
        Gone = "gone",
        /// The proxy wants credentials (407).
        ProxyRefused = "proxy-refused",
        /// The mirror cannot be reached.
        Unreachable = "unreachable",
        /// The file does not have the hash of the plan.
        HashMismatch = "hash-mismatch",
        /// Not enough room on disk.
        DiskFull = "disk-full",
        /// The package manager is broken.
        PackageManagerBroken = "package-manager-broken",
        /// The package manager's lock was held for too long.
        LockHeld = "lock-held",
        /// The version is in quarantine on this host.
        Quarantined = "quarantined",
        /// Anything else; the detail says what.
        Other = "other",
    }
);

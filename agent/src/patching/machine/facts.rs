//! What the driver finds out and tells the machine: facts, without a judgement.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{CheckName, Generation, HarmReason, RefusalReason, Timestamp, UnitName};
use serde::{Deserialize, Serialize};

/// An instant on the host's clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Names the present boot.
    pub boot_id: String,
    /// Milliseconds since boot, sleep included; comparable only within one boot.
    pub boottime_ms: u64,
    /// Civil time, for records that people read and for how long originals are kept.
    pub wall: Timestamp,
}

/// Until when a transaction may begin (rule 2): a boot-time instant of one boot, so a reboot voids it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseDeadline {
    /// The boot that it was given in.
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub boottime_ms: u64,
}

impl LeaseDeadline {
    /// Whether a transaction may begin at that instant.
    #[must_use]
    pub fn is_live(&self, boot_id: &str, boottime_ms: u64) -> bool {
        self.boot_id == boot_id && boottime_ms < self.boottime_ms
    }
}

/// A reason with its words, as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harm {
    /// The kind of harm.
    pub reason: HarmReason,
    /// In plain words.
    pub detail: String,
}

/// Why nothing was and nothing will be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind of reason.
    pub reason: RefusalReason,
    /// In plain words, with the way out.
    pub detail: String,
}

impl Refusal {
    /// A refusal in plain words.
    #[must_use]
    pub fn new(reason: RefusalReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// What the package manager says about an order before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examination {
    /// Set where it cannot or must not be carried out: held, pinned, drifted, would remove, not staged, locked, broken …
    pub obstacle: Option<Refusal>,
    /// Installed versions whose original is not at hand (rule 12), in words.
    pub no_way_back: Vec<String>,
    /// Tools that change packages on their own (rule 16).
    pub other_hands: Vec<String>,
}

/// How the packages stand to both ends of a transaction. Empty lists mean equality.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// What differs from the exact target.
    pub target: Vec<String>,
    /// What differs from the receipt.
    pub receipt: Vec<String>,
}

/// One check's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutcome {
    /// The check.
    pub name: CheckName,
    /// `Err` with what was seen where it failed.
    pub result: Result<(), String>,
}

/// The units of the host's service manager.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Units {
    /// Units in the state `failed`.
    pub failed: BTreeSet<UnitName>,
    /// Units that wait to be started again by themselves.
    pub restarting: BTreeSet<UnitName>,
    /// How often each unit was started again by itself since it was started by somebody; units without such a start are absent.
    pub restarts: BTreeMap<UnitName, u64>,
}

/// One round of checks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// One outcome per check asked for.
    pub checks: Vec<CheckOutcome>,
    /// `None` where there is no service manager, or it did not answer: no evidence either way.
    pub units: Option<Units>,
}

/// What was true before anything was changed. What failed already then proves nothing later (rule 4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// Checks that passed.
    pub passed: BTreeSet<CheckName>,
    /// Units that had failed already.
    pub failed_units: BTreeSet<UnitName>,
    /// Units that kept starting again already.
    pub unsteady_units: BTreeSet<UnitName>,
}

impl Baseline {
    /// The baseline that a round gives.
    #[must_use]
    pub fn of(round: &Round) -> Self {
        let passed = round.checks.iter().filter(|check| check.result.is_ok()).map(|check| check.name.clone()).collect();
        let units = round.units.clone().unwrap_or_default();
        Self { passed, failed_units: units.failed, unsteady_units: units.restarting }
    }
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To the exact target; begins only under a live lease.
    Apply,
    /// Finishing what was interrupted, e.g. `dpkg --configure -a`.
    Repair,
    /// To the receipt.
    TakeBack,
}

impl Purpose {
    /// The name in unit and directory names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Repair => "repair",
            Self::TakeBack => "take-back",
        }
    }
}

/// Names one transaction for ever: no two share a name, so a name that ended is never run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionName {
    /// The case that it belongs to: the generation of the apply directive.
    pub case: Generation,
    /// What it is for.
    pub purpose: Purpose,
    /// Counts from 1 within the purpose.
    pub attempt: u32,
}

impl std::fmt::Display for TransactionName {
    /// `patchwave-tx-1-42-apply-1`; a systemd unit's name without its suffix.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "patchwave-tx-{}-{}-{}-{}", self.case.epoch, self.case.counter, self.purpose.as_str(), self.attempt)
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum TransactionOutcome {
    /// Every command succeeded.
    Completed,
    /// A command failed.
    Failed {
        /// Which one, its exit status and its last words.
        detail: String,
    },
    /// It ran beyond its time limit and was ended.
    TimedOut {
        /// Which command.
        detail: String,
    },
    /// It is gone without a result: killed, or the host rebooted.
    Interrupted {
        /// What is known.
        detail: String,
    },
    /// It never began and never will: no command of it ran.
    NotBegun {
        /// Why not.
        why: NotBegun,
        /// In plain words.
        detail: String,
    },
}

impl TransactionOutcome {
    /// Whether it counts as an attempt: one that was called off because the agent ended never had its chance.
    #[must_use]
    pub fn ran(&self) -> bool {
        !matches!(self, Self::NotBegun { why: NotBegun::Cancelled, .. })
    }
}

/// Why a transaction never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotBegun {
    /// The lease had run out at the moment of beginning.
    LeaseExpired,
    /// The local hold was on at the moment of beginning.
    LocalHold,
    /// Somebody else held the package manager's lock.
    LockHeld,
    /// The agent ended between its decision and the start.
    Cancelled,
    /// The process could not be started.
    CouldNotStart,
}

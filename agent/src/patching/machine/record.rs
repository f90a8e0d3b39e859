//! What the journal holds: every step that must survive a crash, written before it is acted on.

use std::time::Duration;

pub use patchwave_common::domain::DirectiveHistory as History;
use patchwave_common::domain::policy::HealthRules;
use patchwave_common::domain::{Directive, Generation, RolloutId, Timestamp};
use serde::{Deserialize, Serialize};

use super::facts::{Baseline, Harm, LeaseDeadline, Refusal, TransactionName, TransactionOutcome};

/// One step of a case. A *case* is an apply directive with everything that follows from it, an ordered take-back included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The directive was taken; always the first record.
    Accepted {
        /// The apply directive.
        directive: Directive,
        /// When, by the civil clock.
        at: Timestamp,
    },
    /// The apply transaction may start from here on; it had a live lease.
    Begun {
        /// Its name.
        transaction: TransactionName,
        /// The lease that it began under.
        lease: LeaseDeadline,
        /// What was true before.
        baseline: Baseline,
    },
    /// A repair or a take-back may start from here on. Neither needs a lease.
    Started {
        /// Its name.
        transaction: TransactionName,
    },
    /// A transaction ended.
    Ended {
        /// Its name.
        transaction: TransactionName,
        /// How.
        outcome: TransactionOutcome,
    },
    /// The packages are at the exact target; checks run.
    Verifying,
    /// Everything passed for as long as the policy asks.
    Healthy,
    /// Harm was seen.
    Harmed {
        /// Which.
        harm: Harm,
    },
    /// The controller ordered the way back.
    TakeBackOrdered {
        /// The order.
        back: BackOrder,
    },
    /// The way back was decided.
    TakingBack,
    /// The packages are equal to the receipt; checks run once more.
    Restored,
    /// The case is over.
    Finished {
        /// How.
        end: End,
    },
    /// The controller is done with the case; from here on its files age.
    Concluded {
        /// When, by the civil clock.
        at: Timestamp,
        /// How long receipt and originals stay.
        keep: Duration,
    },
}

/// An order of the controller to return to a case's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOrder {
    /// Generation of the order itself; progress is reported under it.
    pub generation: Generation,
    /// The rollout that it belongs to.
    pub rollout: RolloutId,
    /// What counts as healthy afterwards.
    pub health: HealthRules,
}

/// How a case can end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// Nothing was changed.
    Refused(Refusal),
    /// The host keeps what it has.
    Concluded,
    /// The host is equal to its receipt.
    TakenBack,
    /// Neither end could be reached.
    NeedsAttention {
        /// What differs and what to do.
        detail: String,
    },
}

/// What outlives all cases: the newest generation seen, and the answer to give when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fence {
    /// Directives older than this are refused.
    pub newest: Option<Generation>,
    /// The rollout that the newest belongs to.
    pub rollout: Option<RolloutId>,
    /// Everything reported about the directive that ended last.
    pub last: Option<History>,
}

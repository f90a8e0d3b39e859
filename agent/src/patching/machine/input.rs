//! What the machine is told, and what it wants done.

use std::collections::BTreeSet;
use std::time::Duration;

use patchwave_common::domain::policy::HealthRules;
use patchwave_common::domain::{Directive, DirectiveProgress, Generation, Lease, QuarantineKey, RolloutId};

use super::case::{Apply, Case};
use super::facts::{Comparison, Examination, LeaseDeadline, Refusal, Round, TransactionName, TransactionOutcome};
use super::record::{Fence, Record};

/// Ties a fact to the question that asked for it, so that an answer that comes too late is not taken for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A session with the controller begins.
    Connected,
    /// How far the clocks are apart, from the session's welcome. The question for a lease is said again, without counting anew.
    ClockOffset {
        /// The controller's clock minus the host's, in milliseconds.
        offset_ms: i64,
    },
    /// An order of the controller, new or said again.
    Directive {
        /// The order.
        directive: Box<Directive>,
        /// For a take-back: the case that it is about, read back by the driver; `None` where there is none.
        case: Option<Box<Case>>,
    },
    /// The controller withdraws an order; means nothing once its transaction began.
    Withdrawn {
        /// Which.
        generation: Generation,
    },
    /// Leave to begin.
    Lease {
        /// As the controller gave it.
        lease: Lease,
        /// Boot time of the question that it answers, in milliseconds: from there it counts.
        asked_ms: u64,
    },
    /// The controller is done with a directive: the host keeps what it has.
    Concluded {
        /// Which.
        generation: Generation,
        /// How long originals and receipt stay.
        keep: Duration,
        /// For a case that is not the present one, as with [`Input::Directive`].
        case: Option<Box<Case>>,
    },
    /// The versions that must not be installed; replaces the earlier list.
    Quarantine(BTreeSet<QuarantineKey>),
    /// The local hold: its reason while it is on.
    Hold(Option<String>),
    /// Time passed.
    Tick,
    /// A record that nothing was begun on could not be written; the step that needed it was not taken.
    CannotRecord {
        /// Why, with the way out.
        detail: String,
    },
    /// An answer.
    Fact {
        /// The question.
        job: JobId,
        /// The answer.
        fact: Fact,
    },
}

/// An answer of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// To [`Action::Examine`].
    Examined(Examination),
    /// To [`Action::WriteReceipt`].
    ReceiptWritten(Result<(), Refusal>),
    /// To [`Action::RunChecks`].
    Checked(Round),
    /// To [`Action::Confirm`]: `Err` with what changed since the receipt, or who holds the lock.
    Confirmed(Result<(), String>),
    /// To [`Action::Start`] or [`Action::Attach`]: the transaction's process has begun it.
    Claimed,
    /// To [`Action::Start`] or [`Action::Attach`].
    Ended(TransactionOutcome),
    /// To [`Action::Compare`].
    Compared(Comparison),
}

/// What the machine wants done, in order. After a [`Action::Record`] nothing may be done before the record is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Keep the fence.
    SaveFence(Fence),
    /// Append to a case's journal; an [`Record::Accepted`] opens it.
    Record {
        /// The case.
        case: Generation,
        /// The record.
        record: Box<Record>,
    },
    /// Tell the controller.
    Report {
        /// The directive.
        generation: Generation,
        /// Its rollout.
        rollout: RolloutId,
        /// What happened.
        progress: DirectiveProgress,
    },
    /// Wait for the lock, stage what is not staged, simulate; touch nothing.
    Examine {
        /// Names the answer.
        job: JobId,
        /// The order.
        apply: Box<Apply>,
    },
    /// Write the receipt for what was examined.
    WriteReceipt {
        /// Names the answer.
        job: JobId,
        /// The case.
        case: Generation,
    },
    /// Run every check once and look at the units.
    RunChecks {
        /// Names the answer.
        job: JobId,
        /// The checks.
        health: Box<HealthRules>,
    },
    /// See whether the host still is as the receipt says and the lock is free.
    Confirm {
        /// Names the answer.
        job: JobId,
        /// The case.
        case: Generation,
    },
    /// Start a transaction. It must not begin without the lease where one is given.
    Start {
        /// Names the answers: perhaps [`Fact::Claimed`], then [`Fact::Ended`].
        job: JobId,
        /// Its name, never used before.
        transaction: TransactionName,
        /// The case's order.
        apply: Box<Apply>,
        /// Given for [`super::facts::Purpose::Apply`], and only there.
        lease: Option<LeaseDeadline>,
    },
    /// Find a transaction that an earlier run of the agent may have started, and wait for its end.
    Attach {
        /// Names the answers, as for [`Action::Start`].
        job: JobId,
        /// Its name.
        transaction: TransactionName,
        /// The case's order.
        apply: Box<Apply>,
    },
    /// Compare the host with the exact target and with the receipt.
    Compare {
        /// Names the answer.
        job: JobId,
        /// The case.
        case: Generation,
    },
}

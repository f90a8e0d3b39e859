//! The states, one struct each, with no field that a state cannot have.
//!
//! Not begun: [`Examining`] → [`WritingReceipt`] → [`TakingBaseline`] → [`AwaitingLease`] → [`Confirming`]. Begun: [`Applying`], perhaps
//! [`Repairing`], [`Comparing`], [`Verifying`], [`Watching`]; or [`Harmed`], perhaps [`HeldBack`], and the way back: [`Approaching`],
//! [`Returning`], [`Pausing`], [`Recovering`]. Every end leads to [`State::Idle`]; what was told about it stays in the machine's history.

use super::case::{Apply, Attempts};
use super::facts::{Baseline, Harm, LeaseDeadline, TransactionName, TransactionOutcome};
use super::input::JobId;
use super::judge::Watch;
use super::record::BackOrder;

/// Where the machine stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No directive.
    Idle,
    /// A journal cannot be read, so nobody knows what was begun; every order is refused.
    Blocked(Blocked),
    /// The package manager is asked.
    Examining(Examining),
    /// The receipt is written.
    WritingReceipt(WritingReceipt),
    /// The checks run once before anything changes.
    TakingBaseline(TakingBaseline),
    /// The controller was asked for a lease.
    AwaitingLease(AwaitingLease),
    /// The last look before the transaction.
    Confirming(Confirming),
    /// The apply transaction may have begun.
    Applying(Applying),
    /// What was interrupted or failed is being finished.
    Repairing(Repairing),
    /// The packages are compared after the transaction.
    Comparing(Comparing),
    /// At the target; not proved.
    Verifying(Verifying),
    /// Proved healthy; checks go on until the controller concludes.
    Watching(Watching),
    /// Harmed; waits for an order.
    Harmed(Harmed),
    /// The way back is decided; the local hold keeps it from beginning.
    HeldBack(HeldBack),
    /// On the way back; the packages are compared with the receipt.
    Approaching(Approaching),
    /// A take-back transaction may have begun.
    Returning(Returning),
    /// A take-back did not get there; the next attempt comes.
    Pausing(Pausing),
    /// Equal to the receipt; not proved.
    Recovering(Recovering),
}

/// An unreadable journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Names the file and the way out.
    pub detail: String,
}

/// A directive on which nothing was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The order.
    pub apply: Apply,
    /// Transactions named so far.
    pub attempts: Attempts,
    /// How often it went back to the examination.
    pub tries: u32,
}

/// See [`State::Examining`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examining {
    /// The directive.
    pub pending: Pending,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::WritingReceipt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritingReceipt {
    /// The directive.
    pub pending: Pending,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::TakingBaseline`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakingBaseline {
    /// The directive.
    pub pending: Pending,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::AwaitingLease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitingLease {
    /// The directive.
    pub pending: Pending,
    /// What was true before.
    pub baseline: Baseline,
    /// Leases that had run out when they arrived.
    pub late: u32,
    /// Boot time at which the directive is refused.
    pub give_up_at: u64,
}

/// See [`State::Confirming`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirming {
    /// What waited.
    pub waited: AwaitingLease,
    /// Until when the transaction may begin.
    pub lease: LeaseDeadline,
    /// The question asked.
    pub job: JobId,
}

/// A directive whose transaction may have begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The order.
    pub apply: Apply,
    /// What was true before.
    pub baseline: Baseline,
    /// Transactions named so far.
    pub attempts: Attempts,
    /// How the apply transaction ended, once it did; one that was interrupted and then finished counts as completed.
    pub applied: Option<TransactionOutcome>,
    /// The way back, if the controller ordered it.
    pub back: Option<BackOrder>,
    /// The controller had concluded the directive before it ordered the way back; then the host must still be as it was left.
    pub concluded: bool,
    /// Take-backs that ran since the present way back was opened; their number is bounded.
    pub returns: u32,
}

impl Begun {
    /// Whether the apply transaction ended short of its end: then neither finishing nor taking back is a *next* change for the hold.
    #[must_use]
    pub fn is_halfway(&self) -> bool {
        !matches!(self.applied, None | Some(TransactionOutcome::Completed))
    }

    /// Whether it was ended from outside (a kill, a reboot).
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        matches!(self.applied, Some(TransactionOutcome::Interrupted { .. }))
    }
}

/// See [`State::Applying`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applying {
    /// The directive.
    pub begun: Begun,
    /// The transaction.
    pub transaction: TransactionName,
    /// How often the directive went back to the examination before.
    pub tries: u32,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::Repairing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repairing {
    /// The directive.
    pub begun: Begun,
    /// The repair.
    pub transaction: TransactionName,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::Comparing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparing {
    /// The directive.
    pub begun: Begun,
    /// The question asked.
    pub job: JobId,
}

/// When the next round of checks is due, or which one runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// The next one starts at this boot time.
    Due(u64),
    /// This one runs.
    Running(JobId),
}

/// See [`State::Verifying`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    /// The directive.
    pub begun: Begun,
    /// What the rounds showed so far.
    pub watch: Watch,
    /// The rounds.
    pub rounds: Rounds,
    /// Boot time at which checks that neither settle nor fail for long enough count as failed.
    pub give_up_at: u64,
}

/// See [`State::Watching`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    /// The directive.
    pub begun: Begun,
    /// What the rounds showed so far.
    pub watch: Watch,
    /// The rounds.
    pub rounds: Rounds,
}

/// See [`State::Harmed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Harmed {
    /// The directive.
    pub begun: Begun,
    /// The harm.
    pub harm: Harm,
}

/// See [`State::HeldBack`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The directive.
    pub begun: Begun,
}

/// See [`State::Approaching`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approaching {
    /// The directive.
    pub begun: Begun,
    /// How the last attempt ended.
    pub last: Option<TransactionOutcome>,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::Returning`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returning {
    /// The directive.
    pub begun: Begun,
    /// The transaction.
    pub transaction: TransactionName,
    /// The question asked.
    pub job: JobId,
}

/// See [`State::Pausing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pausing {
    /// The directive.
    pub begun: Begun,
    /// Boot time of the next attempt.
    pub retry_at: u64,
}

/// See [`State::Recovering`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovering {
    /// The directive.
    pub begun: Begun,
    /// The rounds.
    pub rounds: Rounds,
    /// Boot time at which a person is needed.
    pub give_up_at: u64,
}

impl State {
    /// The state in a word, for status and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Blocked(_) => "blocked",
            Self::Examining(_) | Self::WritingReceipt(_) | Self::TakingBaseline(_) => "checking",
            Self::AwaitingLease(_) => "awaiting lease",
            Self::Confirming(_) => "beginning",
            Self::Applying(_) => "applying",
            Self::Repairing(_) => "repairing",
            Self::Comparing(_) | Self::Verifying(_) => "verifying",
            Self::Watching(_) => "watching",
            Self::Harmed(_) => "harmed",
            Self::HeldBack(_) => "held",
            Self::Approaching(_) | Self::Returning(_) | Self::Pausing(_) => "taking back",
            Self::Recovering(_) => "recovering",
        }
    }

    /// The directive, where nothing was begun on it.
    #[must_use]
    pub fn pending(&self) -> Option<&Pending> {
        match self {
            Self::Examining(state) => Some(&state.pending),
            Self::WritingReceipt(state) => Some(&state.pending),
            Self::TakingBaseline(state) => Some(&state.pending),
            Self::AwaitingLease(state) => Some(&state.pending),
            Self::Confirming(state) => Some(&state.waited.pending),
            _ => None,
        }
    }

    /// The directive, where it may have begun.
    #[must_use]
    pub fn begun(&self) -> Option<&Begun> {
        match self {
            Self::Applying(state) => Some(&state.begun),
            Self::Repairing(state) => Some(&state.begun),
            Self::Comparing(state) => Some(&state.begun),
            Self::Verifying(state) => Some(&state.begun),
            Self::Watching(state) => Some(&state.begun),
            Self::Harmed(state) => Some(&state.begun),
            Self::HeldBack(state) => Some(&state.begun),
            Self::Approaching(state) => Some(&state.begun),
            Self::Returning(state) => Some(&state.begun),
            Self::Pausing(state) => Some(&state.begun),
            Self::Recovering(state) => Some(&state.begun),
            _ => None,
        }
    }

    /// The case that is carried out, by the generation of its apply directive.
    #[must_use]
    pub fn apply(&self) -> Option<&Apply> {
        self.pending().map(|pending| &pending.apply).or_else(|| self.begun().map(|begun| &begun.apply))
    }

    /// Boot time at which the machine must be told that time passed.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        let due = |rounds: &Rounds| match rounds {
            Rounds::Due(at) => Some(*at),
            Rounds::Running(_) => None,
        };
        match self {
            Self::AwaitingLease(state) => Some(state.give_up_at),
            Self::Verifying(state) => due(&state.rounds),
            Self::Watching(state) => due(&state.rounds),
            Self::Recovering(state) => due(&state.rounds),
            Self::Pausing(state) => Some(state.retry_at),
            _ => None,
        }
    }
}

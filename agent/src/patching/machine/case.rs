//! A case read back from its journal: where it stands, and with what.

use patchwave_common::domain::{ApplyOrder, DirectiveProgress, Generation, Order, RolloutId, Timestamp};

use super::facts::{Baseline, Harm, Purpose, TransactionName, TransactionOutcome};
use super::record::{BackOrder, End, History, Record};
use super::state::Begun;

/// The apply directive of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// Its generation, which names the case.
    pub generation: Generation,
    /// Its rollout.
    pub rollout: RolloutId,
    /// What it orders.
    pub order: ApplyOrder,
}

/// Transactions begun so far, by purpose, so that no name is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// Apply transactions.
    pub apply: u32,
    /// Repairs.
    pub repair: u32,
    /// Take-backs.
    pub take_back: u32,
}

impl Attempts {
    /// The name of the next transaction of this purpose; counts it.
    pub fn next(&mut self, case: Generation, purpose: Purpose) -> TransactionName {
        let counter = self.counter(purpose);
        *counter = counter.saturating_add(1);
        TransactionName { case, purpose, attempt: *counter }
    }

    fn counter(&mut self, purpose: Purpose) -> &mut u32 {
        match purpose {
            Purpose::Apply => &mut self.apply,
            Purpose::Repair => &mut self.repair,
            Purpose::TakeBack => &mut self.take_back,
        }
    }
}

/// Where a case stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was changed.
    Accepted,
    /// This apply transaction may have begun.
    Applying(TransactionName),
    /// The apply transaction ended.
    Applied,
    /// This repair may have begun.
    Repairing(TransactionName),
    /// A repair is over.
    Repaired,
    /// At the target; not proved.
    Verifying,
    /// Proved healthy.
    Watching,
    /// Harmed, with nothing decided.
    Harmed(Harm),
    /// Over, and then the way back was ordered.
    Ordered,
    /// On the way back, with no transaction in flight; the end of the last attempt, if there was one.
    TakingBack(Option<TransactionOutcome>),
    /// This take-back may have begun.
    Returning(TransactionName),
    /// Equal to the receipt; not proved.
    Recovering,
    /// Over.
    Ended(End),
}

/// A case as its records tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The apply directive.
    pub apply: Apply,
    /// What was true before; empty until a transaction began.
    pub baseline: Baseline,
    /// How the apply transaction ended, once it did; one that was interrupted and then finished counts as completed.
    pub applied: Option<TransactionOutcome>,
    /// The ordered take-back, if there is one.
    pub back: Option<BackOrder>,
    /// The order came after the case was concluded, and it had ended at the target or at the receipt.
    pub back_after_conclusion: bool,
    /// Whether the end left the host at the target or at the receipt; one that was concluded while harmed may be at neither.
    pub left_sound: bool,
    /// Take-backs that ran since the present way back was opened.
    pub returns: u32,
    /// Where it stands.
    pub standing: Standing,
    /// Transactions begun.
    pub attempts: Attempts,
    /// Whether the apply transaction ever began (and was not told never to have).
    pub changed: bool,
    /// Reports of the directive that the case now reports under.
    pub history: History,
    /// When the directive was taken.
    pub accepted_at: Timestamp,
    /// When the controller concluded it, and how long its files stay.
    pub concluded: Option<(Timestamp, std::time::Duration)>,
}

impl Case {
    /// Folds a journal's records. `None` where the first record is not the acceptance of an apply directive.
    #[must_use]
    pub fn fold(records: &[Record]) -> Option<Self> {
        let (first, rest) = records.split_first()?;
        let Record::Accepted { directive, at } = first else { return None };
        let Order::Apply(order) = &directive.order else { return None };
        let mut history = History::new(directive.generation, directive.rollout.clone());
        history.push(DirectiveProgress::Accepted);
        let apply = Apply { generation: directive.generation, rollout: directive.rollout.clone(), order: order.clone() };
        let mut case = Self {
            apply,
            baseline: Baseline::default(),
            applied: None,
            back: None,
            back_after_conclusion: false,
            left_sound: false,
            returns: 0,
            standing: Standing::Accepted,
            attempts: Attempts::default(),
            changed: false,
            history,
            accepted_at: *at,
            concluded: None,
        };
        for record in rest {
            case.take(record);
        }
        Some(case)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.standing, Standing::Ended(_))
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::Accepted { .. } => {}
            Record::Begun { transaction, baseline, .. } => {
                *self.attempts.counter(Purpose::Apply) = transaction.attempt;
                self.baseline = baseline.clone();
                self.changed = true;
                self.standing = Standing::Applying(*transaction);
                self.history.push(DirectiveProgress::Ready);
            }
            Record::Started { transaction } => {
                *self.attempts.counter(transaction.purpose) = transaction.attempt;
                self.standing = match transaction.purpose {
                    Purpose::Repair => Standing::Repairing(*transaction),
                    Purpose::TakeBack | Purpose::Apply => Standing::Returning(*transaction),
                };
            }
            Record::Ended { transaction, outcome } => self.take_end(transaction, outcome),
            Record::Verifying => {
                self.applied = Some(TransactionOutcome::Completed);
                self.enter(Standing::Verifying, DirectiveProgress::Verifying);
            }
            Record::Healthy => self.enter(Standing::Watching, DirectiveProgress::Healthy),
            Record::Harmed { harm } => {
                self.enter(Standing::Harmed(harm.clone()), DirectiveProgress::Harmed { reason: harm.reason, detail: harm.detail.clone() })
            }
            Record::TakeBackOrdered { back } => self.order_back(back.clone()),
            Record::TakingBack => self.enter(Standing::TakingBack(None), DirectiveProgress::TakingBack),
            Record::Restored => self.standing = Standing::Recovering,
            Record::Finished { end } => {
                if let Some(progress) = end.progress() {
                    self.history.push(progress);
                }
                match end {
                    End::Concluded => self.left_sound = matches!(self.standing, Standing::Verifying | Standing::Watching),
                    End::TakenBack => self.left_sound = true,
                    End::NeedsAttention { .. } => self.left_sound = false,
                    // Nothing was changed, so it is left as it was.
                    End::Refused(_) => {}
                }
                self.standing = Standing::Ended(end.clone());
            }
            Record::Concluded { at, keep } => self.concluded = Some((*at, *keep)),
        }
    }

    /// The controller orders the way back. A case that was over is opened again, with a bound of its own on attempts.
    pub fn order_back(&mut self, back: BackOrder) {
        self.history = History::new(back.generation, back.rollout.clone());
        self.history.push(DirectiveProgress::Accepted);
        self.back = Some(back);
        if self.is_ended() {
            // One that was left at neither end has nothing that it should still be like.
            self.back_after_conclusion = self.concluded.is_some() && self.left_sound;
            self.returns = 0;
            self.standing = Standing::Ordered;
        }
    }

    /// The case as the machine carries it on.
    #[must_use]
    pub fn into_begun(self) -> Begun {
        Begun {
            apply: self.apply,
            baseline: self.baseline,
            attempts: self.attempts,
            applied: self.applied,
            back: self.back,
            concluded: self.back_after_conclusion,
            returns: self.returns,
        }
    }

    fn enter(&mut self, standing: Standing, progress: DirectiveProgress) {
        self.standing = standing;
        self.history.push(progress);
    }

    fn take_end(&mut self, transaction: &TransactionName, outcome: &TransactionOutcome) {
        match (transaction.purpose, outcome) {
            (Purpose::Apply, TransactionOutcome::NotBegun { .. }) => {
                self.changed = false;
                self.standing = Standing::Accepted;
            }
            (Purpose::Apply, _) => {
                self.applied = Some(outcome.clone());
                self.standing = Standing::Applied;
                if self.back.is_none() {
                    self.history.push(DirectiveProgress::Applying);
                }
            }
            (Purpose::Repair, _) => self.standing = Standing::Repaired,
            (Purpose::TakeBack, _) => {
                self.returns = self.returns.saturating_add(u32::from(outcome.ran()));
                self.standing = Standing::TakingBack(Some(outcome.clone()));
            }
        }
    }
}

impl End {
    /// What is reported for it; a conclusion came from the controller and needs no report.
    #[must_use]
    pub fn progress(&self) -> Option<DirectiveProgress> {
        match self {
            Self::Refused(refusal) => Some(DirectiveProgress::Refused { reason: refusal.reason, detail: refusal.detail.clone() }),
            Self::Concluded => None,
            Self::TakenBack => Some(DirectiveProgress::TakenBack),
            Self::NeedsAttention { detail } => Some(DirectiveProgress::NeedsAttention { detail: detail.clone() }),
        }
    }
}

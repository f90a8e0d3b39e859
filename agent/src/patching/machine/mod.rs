//! The machine that carries a host through one directive at a time. Pure: it is told facts and instants, and answers with actions.
//!
//! A *case* is an apply directive with everything that follows from it. Each step that matters is an [`Action::Record`] before the action
//! that depends on it, so that [`Machine::restored`] goes on from any point at which the agent ended (see [`Case::fold`]).
//!
//! What holds always (rules 2, 4, 10, 12, 14 to 16, 23 and 28), and is tested in `simulation`:
//! * an apply transaction starts only under a lease that is live at that instant, counted from when the machine asked;
//! * an order older than the newest seen is refused, and one that comes again is answered, not done again;
//! * a transaction's name is started at most once;
//! * what has begun ends at the exact target, at the receipt, or as needing attention.
//!
//! The machine may not touch a file, a process, a network or a clock, and it chooses nothing by chance.

mod admission;
mod applying;
mod case;
mod checking;
mod facts;
mod input;
mod judge;
mod record;
mod restore;
mod returning;
#[cfg(test)]
pub(in crate::patching) mod simulation;
mod state;
#[cfg(test)]
mod tests;
mod watching;

use std::collections::BTreeSet;

use patchwave_common::domain::{DirectiveProgress, Generation, QuarantineKey, RefusalReason, RolloutId};

pub use case::{Apply, Attempts, Case, Standing};
pub use facts::{
    Baseline, CheckOutcome, Comparison, Examination, Harm, LeaseDeadline, Moment, NotBegun, Purpose, Refusal, Round, TransactionName,
    TransactionOutcome, Units,
};
pub use input::{Action, Fact, Input, JobId};
pub use record::{BackOrder, End, Fence, History, Record};
pub use restore::Left;
pub use state::State;

/// The machine. Made by [`Machine::restored`], driven by [`Machine::step`].
#[derive(Debug, Clone)]
pub struct Machine {
    state: State,
    fence: Fence,
    /// Reports of the present directive, or of the one that ended last.
    history: Option<History>,
    hold: Option<String>,
    /// How far the clocks were apart at the last welcome, and how far this host's civil clock was ahead of its boot clock then.
    clock_at_welcome: Option<(i64, i64)>,
    quarantine: BTreeSet<QuarantineKey>,
    next_job: u64,
    now: Moment,
    actions: Vec<Action>,
}

impl Machine {
    /// Takes one input in at an instant; the actions are to be done in order.
    #[must_use]
    pub fn step(&mut self, now: &Moment, input: Input) -> Vec<Action> {
        self.now = now.clone();
        match input {
            Input::Connected => self.connected(),
            Input::ClockOffset { offset_ms } => self.welcomed(offset_ms),
            Input::Directive { directive, case } => self.directive(&directive, case.map(|case| *case)),
            Input::Withdrawn { generation } => self.withdrawn(generation),
            Input::Lease { lease, asked_ms } => self.lease_granted(&lease, asked_ms),
            Input::Concluded { generation, keep, case } => self.concluded(generation, keep, case.map(|case| *case)),
            Input::Quarantine(keys) => self.quarantine = keys,
            Input::Hold(hold) => self.hold_changed(hold),
            Input::Tick => self.tick(),
            Input::CannotRecord { detail } => self.cannot_record(&detail),
            Input::Fact { job, fact } => self.fact(job, fact),
        }
        std::mem::take(&mut self.actions)
    }

    /// Boot time at which [`Input::Tick`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        self.state.wake_at()
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Everything reported about the present directive, or about the one that ended last.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// The newest generation seen.
    #[must_use]
    pub fn newest_generation(&self) -> Option<Generation> {
        self.fence.newest
    }

    /// The local hold's reason while it is on.
    #[must_use]
    pub fn hold(&self) -> Option<&str> {
        self.hold.as_deref()
    }

    /// The versions that must not be installed.
    #[must_use]
    pub fn quarantine(&self) -> &BTreeSet<QuarantineKey> {
        &self.quarantine
    }

    fn fact(&mut self, job: JobId, fact: Fact) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match (state, fact) {
            (State::Examining(state), Fact::Examined(examination)) if state.job == job => self.examined(state, &examination),
            (State::WritingReceipt(state), Fact::ReceiptWritten(result)) if state.job == job => self.receipt_written(state, result),
            (State::TakingBaseline(state), Fact::Checked(round)) if state.job == job => self.baseline_taken(state, &round),
            (State::Confirming(state), Fact::Confirmed(result)) if state.job == job => self.confirmed(state, result),
            (State::Applying(state), Fact::Claimed) if state.job == job => self.claimed(state),
            (State::Applying(state), Fact::Ended(outcome)) if state.job == job => self.applied(state, outcome),
            (State::Repairing(state), Fact::Ended(outcome)) if state.job == job => self.repaired(state, outcome),
            (State::Comparing(state), Fact::Compared(comparison)) if state.job == job => self.compared(state, &comparison),
            (State::Verifying(state), Fact::Checked(round)) if state.rounds == state::Rounds::Running(job) => self.verified(state, &round),
            (State::Watching(state), Fact::Checked(round)) if state.rounds == state::Rounds::Running(job) => self.watched(state, &round),
            (State::Approaching(state), Fact::Compared(comparison)) if state.job == job => self.approached(state, &comparison),
            (State::Returning(state), Fact::Ended(outcome)) if state.job == job => self.returned(state, outcome),
            (State::Recovering(state), Fact::Checked(round)) if state.rounds == state::Rounds::Running(job) => {
                self.recovered(state, &round)
            }
            // An answer to a question that no longer matters.
            (state, _) => state,
        };
    }

    fn tick(&mut self) {
        let due = self.state.wake_at().is_some_and(|at| at <= self.now.boottime_ms);
        if !due {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match state {
            State::AwaitingLease(state) => {
                let detail = "the controller gave no lease (hint: is the rollout paused or halted? it can be planned again)";
                self.refuse(&state.pending, &Refusal::new(RefusalReason::NoLease, detail))
            }
            State::Verifying(state) => self.next_verification(state),
            State::Watching(state) => self.next_watch(state),
            State::Recovering(state) => self.next_recovery(state),
            State::Pausing(state) => self.start_return_transaction(state.begun),
            other => other,
        };
    }

    fn hold_changed(&mut self, hold: Option<String>) {
        self.hold = hold;
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match (state, self.hold_refusal()) {
            (State::HeldBack(state), None) => self.approach(state.begun),
            (state, Some(refusal)) => match state.pending() {
                Some(pending) => self.refuse(&pending.clone(), &refusal),
                None => state,
            },
            (state, None) => state,
        };
    }

    fn hold_refusal(&self) -> Option<Refusal> {
        let reason = self.hold.as_ref()?;
        let detail = format!("this host holds all changes: {reason} (hint: `patchwave-agent unhold` on the host)");
        Some(Refusal::new(RefusalReason::LocalHold, detail))
    }

    /// A record that nothing was begun on could not be written. The machine had gone on as if it were; nothing was done yet.
    fn cannot_record(&mut self, detail: &str) {
        let refusal = Refusal::new(RefusalReason::DiskFull, format!("the journal cannot be written: {detail}"));
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match (state.pending().cloned(), state) {
            (Some(pending), _) => self.refuse(&pending, &refusal),
            (None, State::Applying(state)) => {
                let Applying { begun, tries, .. } = state;
                self.refuse(&state::Pending { apply: begun.apply, attempts: begun.attempts, tries }, &refusal)
            }
            (None, other) => other,
        };
    }

    fn job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    fn record(&mut self, case: Generation, record: Record) {
        self.actions.push(Action::Record { case, record: Box::new(record) });
    }

    /// Reports under the present history's directive.
    fn report(&mut self, progress: DirectiveProgress) {
        if let Some(history) = &mut self.history {
            history.push(progress.clone());
            self.actions.push(Action::Report { generation: history.generation, rollout: history.rollout.clone(), progress });
        }
    }

    /// Reports about a directive that is not the present one.
    fn report_about(&mut self, generation: Generation, rollout: &RolloutId, progress: DirectiveProgress) {
        self.actions.push(Action::Report { generation, rollout: rollout.clone(), progress });
    }

    fn refused(refusal: &Refusal) -> DirectiveProgress {
        DirectiveProgress::Refused { reason: refusal.reason, detail: refusal.detail.clone() }
    }

    /// Ends a case: recorded, reported, and kept as the answer to give if the directive comes again.
    fn end(&mut self, case: Generation, end: End) -> State {
        let progress = end.progress();
        self.record(case, Record::Finished { end });
        if let Some(progress) = progress {
            self.report(progress);
        }
        self.save_answer();
        State::Idle
    }

    fn refuse(&mut self, pending: &state::Pending, refusal: &Refusal) -> State {
        self.end(pending.apply.generation, End::Refused(refusal.clone()))
    }

    fn save_answer(&mut self) {
        self.fence.last = self.history.clone();
        self.actions.push(Action::SaveFence(self.fence.clone()));
    }
}

use state::Applying;

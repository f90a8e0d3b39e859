//! The way back to the receipt (rules 10 and 12): compare, take back, compare again, a bounded number of times, then the checks once more.
//! It needs no lease. The local hold keeps it from beginning, unless the host is half-way: no owner asks for half a transaction.

use patchwave_common::domain::{DirectiveProgress, RefusalReason};

use super::Machine;
use super::applying::name_differences;
use super::case::Case;
use super::facts::{Comparison, Purpose, Refusal, Round, TransactionOutcome};
use super::input::Action;
use super::judge::{failing_checks, milliseconds, newly_failed};
use super::record::{End, Record};
use super::state::{Approaching, Begun, HeldBack, Pausing, Recovering, Returning, Rounds, State};

/// Take-backs are tried so often. What fails three times for a reason of its own fails for ever; two more are for interruptions.
const MAX_RETURNS: u32 = 5;
/// Time between two attempts: a mirror, a lock or a disk may come back meanwhile.
const RETRY_PAUSE_MS: u64 = 15_000;

impl Machine {
    /// Starts the way back, or waits for the hold to be lifted.
    pub(super) fn approach(&mut self, begun: Begun) -> State {
        if self.hold.is_some() && !begun.is_halfway() {
            return State::HeldBack(HeldBack { begun });
        }
        self.record(begun.apply.generation, Record::TakingBack);
        self.report(DirectiveProgress::TakingBack);
        self.compare_with_receipt(begun, None)
    }

    /// Opens the way back of a case that was over. Where nothing ever began, the host is as it was.
    pub(super) fn open_return(&mut self, case: Case) -> State {
        if case.changed { self.approach(case.into_begun()) } else { self.end(case.apply.generation, End::TakenBack) }
    }

    pub(super) fn compare_with_receipt(&mut self, begun: Begun, last: Option<TransactionOutcome>) -> State {
        let job = self.job();
        self.actions.push(Action::Compare { job, case: begun.apply.generation });
        State::Approaching(Approaching { begun, last, job })
    }

    pub(super) fn approached(&mut self, state: Approaching, comparison: &Comparison) -> State {
        let Approaching { begun, last, .. } = state;
        let case = begun.apply.generation;
        // A take-back that did not complete has steps left even where the packages are equal already: units to restart, say.
        let complete = matches!(last, None | Some(TransactionOutcome::Completed));
        let exhausted = begun.returns >= MAX_RETURNS;
        if comparison.receipt.is_empty() && (complete || exhausted) {
            self.record(case, Record::Restored);
            return self.recover(begun);
        }
        if begun.concluded && last.is_none() && !comparison.target.is_empty() {
            let detail = format!("changed since it was concluded: {} (hint: plan a rollout)", name_differences(&comparison.target));
            return self.end(case, End::Refused(Refusal::new(RefusalReason::Drifted, detail)));
        }
        if exhausted {
            let failed = match &last {
                Some(TransactionOutcome::Failed { detail } | TransactionOutcome::TimedOut { detail }) => format!("{detail}; "),
                _ => String::new(),
            };
            let differs = name_differences(&comparison.receipt);
            let hint = "hint: the originals and the receipt are in the agent's state directory; `patchwave-agent status` names it";
            return self.end(case, End::NeedsAttention { detail: format!("cannot return to the receipt: {failed}{differs} ({hint})") });
        }
        // What was ended from outside may be tried again at once.
        if last.is_some_and(|last| last.ran() && !matches!(last, TransactionOutcome::Interrupted { .. })) {
            return State::Pausing(Pausing { begun, retry_at: self.now.boottime_ms.saturating_add(RETRY_PAUSE_MS) });
        }
        self.start_return_transaction(begun)
    }

    pub(super) fn start_return_transaction(&mut self, mut begun: Begun) -> State {
        let case = begun.apply.generation;
        let transaction = begun.attempts.next(case, Purpose::TakeBack);
        self.record(case, Record::Started { transaction });
        let job = self.job();
        self.actions.push(Action::Start { job, transaction, apply: Box::new(begun.apply.clone()), lease: None });
        State::Returning(Returning { begun, transaction, job })
    }

    pub(super) fn returned(&mut self, state: Returning, outcome: TransactionOutcome) -> State {
        let Returning { mut begun, transaction, .. } = state;
        begun.returns = begun.returns.saturating_add(u32::from(outcome.ran()));
        self.record(begun.apply.generation, Record::Ended { transaction, outcome: outcome.clone() });
        self.compare_with_receipt(begun, Some(outcome))
    }

    /// Equal to the receipt; what passed before must pass again.
    pub(super) fn recover(&mut self, begun: Begun) -> State {
        let patience = begun.back.as_ref().map_or(begun.apply.order.health.patience, |back| back.health.patience);
        let give_up_at = self.now.boottime_ms.saturating_add(milliseconds(patience));
        let rounds = Rounds::Running(self.run_checks(&begun));
        State::Recovering(Recovering { begun, rounds, give_up_at })
    }

    pub(super) fn next_recovery(&mut self, mut state: Recovering) -> State {
        state.rounds = Rounds::Running(self.run_checks(&state.begun));
        State::Recovering(state)
    }

    pub(super) fn recovered(&mut self, mut state: Recovering, round: &Round) -> State {
        let baseline = &state.begun.baseline;
        let checks = failing_checks(baseline, round).into_iter().map(|(name, seen)| format!("check {name}: {seen}"));
        let units = round.units.as_ref().map_or_else(Vec::new, |units| newly_failed(baseline, units));
        let failing: Vec<String> = checks.chain(units.into_iter().map(|unit| format!("unit {unit} is failed"))).collect();
        let case = state.begun.apply.generation;
        if failing.is_empty() {
            return self.end(case, End::TakenBack);
        }
        if self.now.boottime_ms >= state.give_up_at {
            let detail = format!("the packages are equal to the receipt, but what worked before does not: {}", name_differences(&failing));
            return self.end(case, End::NeedsAttention { detail });
        }
        state.rounds = self.due(&state.begun);
        State::Recovering(state)
    }
}

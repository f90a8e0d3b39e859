//! Before anything changes: examination, receipt, baseline, lease, and the last look.

use patchwave_common::domain::{DirectiveProgress, Lease, RefusalReason};

use super::Machine;
use super::case::Attempts;
use super::facts::{Baseline, Examination, LeaseDeadline, Purpose, Refusal, Round};
use super::input::Action;
use super::record::Record;
use super::state::{Applying, AwaitingLease, Begun, Confirming, Examining, Pending, State, TakingBaseline, WritingReceipt};

/// A directive waits so long for its lease. The controller answers within seconds unless it is gone, or the rollout is paused or halted;
/// after half an hour the examination behind the question is worth little, and the rollout can order again.
const LEASE_WAIT_MS: u64 = 30 * 60 * 1000;
/// No lease is believed for longer, whatever it says: a halt must stop what has not begun within that time.
const LEASE_LONGEST_MS: u64 = 60 * 60 * 1000;
/// Leases that arrive when they have run out already are asked for again at most so often: a controller that gives such leases is wrong.
const MAX_LATE: u32 = 20;
/// A host whose packages change, or whose lock is taken, between examination and beginning is examined again at most so often.
const MAX_TRIES: u32 = 5;

impl Machine {
    pub(super) fn examine(&mut self, pending: Pending) -> State {
        let job = self.job();
        self.actions.push(Action::Examine { job, apply: Box::new(pending.apply.clone()) });
        State::Examining(Examining { pending, job })
    }

    /// Goes back to the examination after something kept the transaction from beginning.
    pub(super) fn examine_again(&mut self, mut pending: Pending, cause: Refusal) -> State {
        pending.tries += 1;
        if let Some(refusal) = self.hold_refusal().or_else(|| self.overtaken(&pending)) {
            return self.refuse(&pending, &refusal);
        }
        if pending.tries >= MAX_TRIES {
            let detail = format!("{} (tried {} times)", cause.detail, pending.tries);
            return self.refuse(&pending, &Refusal { detail, ..cause });
        }
        self.examine(pending)
    }

    pub(super) fn examined(&mut self, state: Examining, examination: &Examination) -> State {
        let Examining { pending, .. } = state;
        if let Some(refusal) = judge_examination(&pending, examination) {
            return self.refuse(&pending, &refusal);
        }
        let job = self.job();
        self.actions.push(Action::WriteReceipt { job, case: pending.apply.generation });
        State::WritingReceipt(WritingReceipt { pending, job })
    }

    pub(super) fn receipt_written(&mut self, state: WritingReceipt, result: Result<(), Refusal>) -> State {
        let WritingReceipt { pending, .. } = state;
        if let Err(refusal) = result {
            return self.refuse(&pending, &refusal);
        }
        let job = self.job();
        self.actions.push(Action::RunChecks { job, health: Box::new(pending.apply.order.health.clone()) });
        State::TakingBaseline(TakingBaseline { pending, job })
    }

    pub(super) fn baseline_taken(&mut self, state: TakingBaseline, round: &Round) -> State {
        let give_up_at = self.now.boottime_ms.saturating_add(LEASE_WAIT_MS);
        let (pending, baseline) = (state.pending, Baseline::of(round));
        self.ask(AwaitingLease { pending, baseline, late: 0, give_up_at })
    }

    /// Asks, or asks again.
    fn ask(&mut self, state: AwaitingLease) -> State {
        self.report(DirectiveProgress::Ready);
        State::AwaitingLease(state)
    }

    /// A new session: nothing is on its way from the old one. The hello carries the question with the history.
    pub(super) fn connected(&mut self) {
        if let State::AwaitingLease(state) = &mut self.state {
            state.late = 0;
        }
        self.ask_again();
    }

    /// The session is up: asked aloud, for what is said before the welcome may not have been heard.
    pub(super) fn welcomed(&mut self, offset_ms: i64) {
        self.clock_at_welcome = Some((offset_ms, self.civil_ahead_of_boot_ms()));
        self.ask_again();
    }

    pub(super) fn ask_again(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match state {
            State::AwaitingLease(state) => self.ask(state),
            other => other,
        };
    }

    pub(super) fn lease_granted(&mut self, lease: &Lease, asked_ms: u64) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match state {
            State::AwaitingLease(state) if state.pending.apply.generation == lease.generation => self.begin(state, lease, asked_ms),
            other => other,
        };
    }

    fn begin(&mut self, state: AwaitingLease, lease: &Lease, asked_ms: u64) -> State {
        if let Some(refusal) = self.hold_refusal().or_else(|| self.quarantine_refusal(&state.pending.apply.order.targets)) {
            return self.refuse(&state.pending, &refusal);
        }
        let valid_ms = lease.valid_ms.min(LEASE_LONGEST_MS);
        let until = LeaseDeadline { boot_id: self.now.boot_id.clone(), boottime_ms: asked_ms.saturating_add(valid_ms) };
        if !self.is_live(&until) {
            return self.ask_after_late_lease(state);
        }
        let job = self.job();
        self.actions.push(Action::Confirm { job, case: state.pending.apply.generation });
        State::Confirming(Confirming { waited: state, lease: until, job })
    }

    /// A lease ran out before it was of use: it was given late (a pause was lifted), or the link or this host is slow.
    fn ask_after_late_lease(&mut self, mut state: AwaitingLease) -> State {
        state.late += 1;
        if state.late > MAX_LATE {
            let detail = format!("{MAX_LATE} leases ran out before they could be used (hint: is the link or this host very slow?)");
            return self.refuse(&state.pending, &Refusal::new(RefusalReason::NoLease, detail));
        }
        self.ask(state)
    }

    fn is_live(&self, lease: &LeaseDeadline) -> bool {
        lease.is_live(&self.now.boot_id, self.now.boottime_ms)
    }

    pub(super) fn confirmed(&mut self, state: Confirming, result: Result<(), String>) -> State {
        let Confirming { waited, lease, .. } = state;
        if let Err(changed) = result {
            let detail = format!("the host changed between examination and beginning: {changed}");
            return self.examine_again(waited.pending, Refusal::new(RefusalReason::Drifted, detail));
        }
        if !self.is_live(&lease) {
            return self.ask_after_late_lease(waited);
        }
        if let Some(refusal) = self.quarantine_refusal(&waited.pending.apply.order.targets) {
            return self.refuse(&waited.pending, &refusal);
        }
        self.start_apply(waited, lease)
    }

    fn start_apply(&mut self, waited: AwaitingLease, lease: LeaseDeadline) -> State {
        let AwaitingLease { pending, baseline, .. } = waited;
        let Pending { apply, mut attempts, tries } = pending;
        let case = apply.generation;
        let transaction = attempts.next(case, Purpose::Apply);
        self.record(case, Record::Begun { transaction, lease: lease.clone(), baseline: baseline.clone() });
        let job = self.job();
        self.actions.push(Action::Start { job, transaction, apply: Box::new(apply.clone()), lease: Some(lease) });
        let begun = Begun { apply, baseline, attempts, applied: None, back: None, concluded: false, returns: 0 };
        State::Applying(Applying { begun, transaction, tries, job })
    }
}

fn judge_examination(pending: &Pending, examination: &Examination) -> Option<Refusal> {
    let rules = &pending.apply.order.transaction;
    if let Some(refusal) = &examination.obstacle {
        return Some(refusal.clone());
    }
    if !examination.other_hands.is_empty() && !rules.observe_other_hands {
        let names = examination.other_hands.join(", ");
        let detail = format!("{names} changes packages on its own (hint: mask it, or let the policy say transaction.observe_other_hands)");
        return Some(Refusal::new(RefusalReason::OtherHands, detail));
    }
    if !examination.no_way_back.is_empty() && !rules.allow_no_way_back {
        let names = examination.no_way_back.join(", ");
        let detail = format!("no original to return to: {names} (hint: the policy may say transaction.allow_no_way_back)");
        return Some(Refusal::new(RefusalReason::NoWayBack, detail));
    }
    None
}

/// A directive without a transaction so far.
impl From<super::case::Apply> for Pending {
    fn from(apply: super::case::Apply) -> Self {
        Self { apply, attempts: Attempts::default(), tries: 0 }
    }
}

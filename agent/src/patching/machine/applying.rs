//! The apply transaction and what it left: finish it where it was interrupted, compare, and go on to the checks or back.

use patchwave_common::domain::{DirectiveProgress, HarmReason, RefusalReason, clean_text};

use super::Machine;
use super::facts::{Comparison, Harm, NotBegun, Purpose, Refusal, TransactionOutcome};
use super::input::Action;
use super::record::{End, Record};
use super::state::{Applying, Begun, Comparing, Harmed, Pending, Repairing, State};

/// A detail names so many differences; the log has the rest.
const NAMED_DIFFERENCES: usize = 6;

impl Machine {
    pub(super) fn claimed(&mut self, state: Applying) -> State {
        self.report_applying(&state.begun);
        State::Applying(state)
    }

    /// Told once; a directive that is taken back already reports under that order.
    fn report_applying(&mut self, begun: &Begun) {
        let told = self.history.as_ref().and_then(|history| history.current()) == Some(&DirectiveProgress::Applying);
        if begun.back.is_none() && !told {
            self.report(DirectiveProgress::Applying);
        }
    }

    pub(super) fn applied(&mut self, state: Applying, outcome: TransactionOutcome) -> State {
        let Applying { begun, transaction, tries, .. } = state;
        let case = begun.apply.generation;
        self.record(case, Record::Ended { transaction, outcome: outcome.clone() });
        if !matches!(outcome, TransactionOutcome::NotBegun { .. }) {
            self.report_applying(&begun);
        }
        match outcome {
            TransactionOutcome::NotBegun { why, detail } => self.not_begun(begun, tries, why, detail),
            TransactionOutcome::Completed => self.compare(Begun { applied: Some(outcome), ..begun }),
            _ => self.repair(Begun { applied: Some(outcome), ..begun }),
        }
    }

    /// Nothing was changed: the directive is where it was before the lease, unless the way back was ordered.
    fn not_begun(&mut self, begun: Begun, tries: u32, why: NotBegun, detail: String) -> State {
        let Begun { apply, attempts, back, .. } = begun;
        if back.is_some() {
            return self.end(apply.generation, End::TakenBack);
        }
        let reason = match why {
            NotBegun::LeaseExpired | NotBegun::Cancelled => RefusalReason::NoLease,
            NotBegun::LocalHold => RefusalReason::LocalHold,
            NotBegun::LockHeld => RefusalReason::LockHeld,
            NotBegun::CouldNotStart => RefusalReason::PackageManagerBroken,
        };
        let pending = Pending { apply, attempts, tries };
        if why == NotBegun::LocalHold {
            return self.refuse(&pending, &Refusal::new(reason, detail));
        }
        self.examine_again(pending, Refusal::new(reason, detail))
    }

    pub(super) fn repair(&mut self, mut begun: Begun) -> State {
        let case = begun.apply.generation;
        let transaction = begun.attempts.next(case, Purpose::Repair);
        self.record(case, Record::Started { transaction });
        let job = self.job();
        self.actions.push(Action::Start { job, transaction, apply: Box::new(begun.apply.clone()), lease: None });
        State::Repairing(Repairing { begun, transaction, job })
    }

    /// However the repair ended: what counts is how the packages stand now.
    pub(super) fn repaired(&mut self, state: Repairing, outcome: TransactionOutcome) -> State {
        let Repairing { begun, transaction, .. } = state;
        self.record(begun.apply.generation, Record::Ended { transaction, outcome });
        self.compare(begun)
    }

    pub(super) fn compare(&mut self, begun: Begun) -> State {
        let job = self.job();
        self.actions.push(Action::Compare { job, case: begun.apply.generation });
        State::Comparing(Comparing { begun, job })
    }

    pub(super) fn compared(&mut self, state: Comparing, comparison: &Comparison) -> State {
        let begun = state.begun;
        if begun.back.is_some() {
            return self.approach(begun);
        }
        let applied = begun.applied.clone().unwrap_or(TransactionOutcome::Completed);
        match harm_of(&applied, &comparison.target) {
            Some(harm) => self.harmed(begun, harm),
            None => self.start_verifying(Begun { applied: Some(TransactionOutcome::Completed), ..begun }),
        }
    }

    /// Harm: told, and answered by the way back where the policy or an order asks for it. What was interrupted from outside (a kill, a
    /// reboot) is nobody's decision: it ends at the receipt whatever the policy says.
    pub(super) fn harmed(&mut self, begun: Begun, harm: Harm) -> State {
        self.record(begun.apply.generation, Record::Harmed { harm: harm.clone() });
        self.report(DirectiveProgress::Harmed { reason: harm.reason, detail: harm.detail.clone() });
        self.answer_harm(begun, harm)
    }

    pub(super) fn answer_harm(&mut self, begun: Begun, harm: Harm) -> State {
        if begun.was_interrupted() || begun.back.is_some() || begun.apply.order.automatic_rollback {
            self.approach(begun)
        } else {
            State::Harmed(Harmed { begun, harm })
        }
    }
}

/// What the end of a transaction means, given what differs from the target. An interrupted one that was finished by the repair is sound.
fn harm_of(applied: &TransactionOutcome, differences: &[String]) -> Option<Harm> {
    let (reason, what) = match applied {
        TransactionOutcome::Completed => (HarmReason::WrongVersions, String::new()),
        TransactionOutcome::Interrupted { detail } => (HarmReason::TransactionFailed, format!("interrupted: {detail}; ")),
        TransactionOutcome::Failed { detail } | TransactionOutcome::TimedOut { detail } | TransactionOutcome::NotBegun { detail, .. } => {
            let detail = format!("{detail}; {}", name_differences(differences));
            return Some(Harm { reason: HarmReason::TransactionFailed, detail: clean_text(detail.trim_end_matches("; "), 2000) });
        }
    };
    (!differences.is_empty()).then(|| Harm { reason, detail: format!("{what}{}", name_differences(differences)) })
}

/// Some differences in words.
pub(super) fn name_differences(differences: &[String]) -> String {
    let named: Vec<String> = differences.iter().take(NAMED_DIFFERENCES).map(|difference| clean_text(difference, 300)).collect();
    let more = differences.len().saturating_sub(NAMED_DIFFERENCES);
    let list = named.join("; ");
    if more == 0 { list } else { format!("{list}; and {more} more") }
}

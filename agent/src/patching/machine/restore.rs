//! Going on where an earlier run of the agent ended: at any record of the journal, in the same boot or another.

use std::collections::BTreeSet;

use patchwave_common::domain::{DirectiveProgress, QuarantineKey};

use super::Machine;
use super::case::{Case, Standing};
use super::facts::{Moment, TransactionName};
use super::input::{Action, JobId};
use super::judge::Watch;
use super::record::{Fence, History};
use super::state::{Applying, Begun, Blocked, HeldBack, Pending, Repairing, Returning, State, Watching};

/// What an earlier run of the agent left.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// The fence.
    pub fence: Fence,
    /// The case that is not over, or the newest one that is.
    pub case: Option<Case>,
    /// Set where a journal cannot be read: names the file and the way out.
    pub damage: Option<String>,
    /// The local hold's reason while it is on.
    pub hold: Option<String>,
    /// Versions that must not be installed.
    pub quarantine: BTreeSet<QuarantineKey>,
}

impl Machine {
    /// The machine as it goes on now, and what it wants done first.
    #[must_use]
    pub fn restored(now: &Moment, left: Left) -> (Self, Vec<Action>) {
        let Left { mut fence, case, damage, hold, quarantine } = left;
        let newest_case = case.as_ref().map(|case| case.history.generation.max(case.apply.generation));
        // A fence that was lost or not yet written must not let an older order in.
        fence.newest = fence.newest.max(newest_case);
        let history = newest_history(&fence, case.as_ref());
        let mut machine = Self {
            state: State::Idle,
            fence,
            history,
            hold,
            clock_at_welcome: None,
            quarantine,
            next_job: 0,
            now: now.clone(),
            actions: Vec::new(),
        };
        machine.state = match (damage, case) {
            (Some(detail), _) => machine.blocked(detail),
            (None, Some(case)) => machine.resume(case),
            (None, None) => State::Idle,
        };
        let actions = std::mem::take(&mut machine.actions);
        (machine, actions)
    }

    fn blocked(&mut self, detail: String) -> State {
        // The damage is about the newest order, which did not end as far as anybody knows: an ended one blocks nothing.
        if let (Some(newest), Some(rollout)) = (self.fence.newest, self.fence.rollout.clone()) {
            self.history = Some(History::new(newest, rollout));
            self.report(DirectiveProgress::NeedsAttention { detail: detail.clone() });
        }
        State::Blocked(Blocked { detail })
    }

    fn resume(&mut self, case: Case) -> State {
        let standing = case.standing.clone();
        if matches!(standing, Standing::Ended(_)) {
            return State::Idle;
        }
        if standing == Standing::Accepted {
            // Nothing was changed, and what an examination found before the restart is worth nothing now.
            let pending = Pending { attempts: case.attempts, ..Pending::from(case.apply) };
            return match self.hold_refusal().or_else(|| self.overtaken(&pending)) {
                Some(refusal) => self.refuse(&pending, &refusal),
                None => self.examine(pending),
            };
        }
        if standing == Standing::Ordered {
            return self.open_return(case);
        }
        let begun = case.into_begun();
        match standing {
            Standing::Applying(transaction) => {
                let job = self.attach(transaction, &begun);
                State::Applying(Applying { begun, transaction, tries: 0, job })
            }
            Standing::Applied if begun.is_halfway() => self.repair(begun),
            Standing::Applied | Standing::Repaired => self.compare(begun),
            Standing::Repairing(transaction) => {
                let job = self.attach(transaction, &begun);
                State::Repairing(Repairing { begun, transaction, job })
            }
            Standing::Verifying | Standing::Watching if begun.back.is_some() => self.approach(begun),
            Standing::Verifying => self.verify_from_now(begun),
            Standing::Watching => {
                let rounds = self.due(&begun);
                State::Watching(Watching { begun, watch: Watch::default(), rounds })
            }
            Standing::Harmed(harm) => self.answer_harm(begun, harm),
            Standing::TakingBack(None) if self.hold.is_some() && !begun.is_halfway() => State::HeldBack(HeldBack { begun }),
            Standing::TakingBack(last) => self.compare_with_receipt(begun, last),
            Standing::Returning(transaction) => {
                let job = self.attach(transaction, &begun);
                State::Returning(Returning { begun, transaction, job })
            }
            Standing::Recovering => self.recover(begun),
            Standing::Accepted | Standing::Ordered | Standing::Ended(_) => State::Idle,
        }
    }

    fn attach(&mut self, transaction: TransactionName, begun: &Begun) -> JobId {
        let job = self.job();
        self.actions.push(Action::Attach { job, transaction, apply: Box::new(begun.apply.clone()) });
        job
    }
}

/// The reports to give if the newest directive comes again.
fn newest_history(fence: &Fence, case: Option<&Case>) -> Option<History> {
    let of_case = case.map(|case| &case.history);
    match (of_case, &fence.last) {
        (Some(of_case), Some(last)) if case.is_some_and(Case::is_ended) && last.generation > of_case.generation => Some(last.clone()),
        (Some(of_case), _) => Some(of_case.clone()),
        (None, last) => last.clone(),
    }
}

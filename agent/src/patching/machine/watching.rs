//! After the transaction: verifying until everything has passed for long enough, then watching until the controller concludes.

use patchwave_common::domain::{DirectiveProgress, HarmReason};

use super::Machine;
use super::facts::{Harm, Round};
use super::input::{Action, JobId};
use super::judge::{Verdict, Watch, milliseconds};
use super::record::Record;
use super::state::{Begun, Rounds, State, Verifying, Watching};

/// Verification may take so much longer than settling and twice the patience: rounds take time themselves.
const VERIFY_SLACK_MS: u64 = 60_000;

impl Machine {
    pub(super) fn start_verifying(&mut self, begun: Begun) -> State {
        self.record(begun.apply.generation, Record::Verifying);
        self.report(DirectiveProgress::Verifying);
        self.verify_from_now(begun)
    }

    /// Verification starts anew, as it does after a restart of the agent.
    pub(super) fn verify_from_now(&mut self, begun: Begun) -> State {
        let health = &begun.apply.order.health;
        let longest_ms = milliseconds(health.settle).saturating_add(milliseconds(health.patience).saturating_mul(2));
        let give_up_at = self.now.boottime_ms.saturating_add(longest_ms).saturating_add(VERIFY_SLACK_MS);
        let job = self.run_checks(&begun);
        State::Verifying(Verifying { begun, watch: Watch::default(), rounds: Rounds::Running(job), give_up_at })
    }

    pub(super) fn run_checks(&mut self, begun: &Begun) -> JobId {
        let job = self.job();
        let health = begun.back.as_ref().map_or(&begun.apply.order.health, |back| &back.health);
        self.actions.push(Action::RunChecks { job, health: Box::new(health.clone()) });
        job
    }

    pub(super) fn next_verification(&mut self, mut state: Verifying) -> State {
        state.rounds = Rounds::Running(self.run_checks(&state.begun));
        State::Verifying(state)
    }

    pub(super) fn verified(&mut self, mut state: Verifying, round: &Round) -> State {
        let at = self.now.boottime_ms;
        let health = state.begun.apply.order.health.clone();
        let detail = match state.watch.observe(at, &health, &state.begun.baseline, round) {
            Verdict::Harm(harm) => return self.harmed(state.begun, harm),
            Verdict::PassingSince(since) if at.saturating_sub(since) >= milliseconds(health.settle) => {
                let Verifying { begun, watch, .. } = state;
                self.record(begun.apply.generation, Record::Healthy);
                self.report(DirectiveProgress::Healthy);
                let rounds = self.due(&begun);
                return State::Watching(Watching { begun, watch, rounds });
            }
            Verdict::PassingSince(_) => "the checks pass now but kept failing in between".to_owned(),
            Verdict::Failing(detail) => detail,
        };
        if at >= state.give_up_at {
            let harm = Harm { reason: HarmReason::CheckFailed, detail: format!("the checks do not settle: {detail}") };
            return self.harmed(state.begun, harm);
        }
        state.rounds = self.due(&state.begun);
        State::Verifying(state)
    }

    pub(super) fn due(&self, begun: &Begun) -> Rounds {
        let health = begun.back.as_ref().map_or(&begun.apply.order.health, |back| &back.health);
        Rounds::Due(self.now.boottime_ms.saturating_add(milliseconds(health.interval)))
    }

    pub(super) fn next_watch(&mut self, mut state: Watching) -> State {
        state.rounds = Rounds::Running(self.run_checks(&state.begun));
        State::Watching(state)
    }

    pub(super) fn watched(&mut self, mut state: Watching, round: &Round) -> State {
        let health = state.begun.apply.order.health.clone();
        match state.watch.observe(self.now.boottime_ms, &health, &state.begun.baseline, round) {
            Verdict::Harm(harm) => self.harmed(state.begun, harm),
            Verdict::PassingSince(_) | Verdict::Failing(_) => {
                state.rounds = self.due(&state.begun);
                State::Watching(state)
            }
        }
    }
}

//! What operators and the fleet's halt do to a rollout.

use patchwave_common::domain::{Digest, OperatorName, Timestamp, clean_text};

use super::Transition;
use crate::records::Actor;
use crate::rollout::event::{Event, PauseReason};
use crate::rollout::plan::WaveIndex;
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{Cause, Life, Pause, Phase, Rollout, TAKE_BACK};

/// A reason that a person gives is a sentence or two.
const MAX_REASON_CHARS: usize = 500;

impl Rollout {
    /// The events of an operator's word to go on. Where the pause is a gate's that lacks evidence, a given reason lets that gate pass
    /// (rule 6: never silently); without one the rollout watches on for another time limit.
    #[must_use]
    pub fn resume(&self, by: &Actor, reason: &str) -> Vec<Event> {
        let of_gate = self
            .pause
            .as_ref()
            .is_some_and(|pause| matches!(pause.reason, PauseReason::TimeLimit | PauseReason::TooLittleEvidence | PauseReason::EmptyWave));
        let wave = self.current_wave().filter(|&wave| of_gate && !reason.trim().is_empty() && self.check_overridden(wave).is_ok());
        let overridden = wave.map(|wave| Event::GateOverridden { by: by.clone(), wave, reason: reason.to_owned() });
        overridden.into_iter().chain([Event::Resumed { by: by.clone() }]).collect()
    }

    pub(super) fn check_created(&self, plan: Digest) -> Result<(), Rejected> {
        match &self.life {
            Life::New if plan == self.root => Ok(()),
            Life::New => Err(Rejected::Malformed("the log is about another plan")),
            _ => Err(self.wrong_state("creating it", "it exists already")),
        }
    }

    pub(super) fn check_approved(&self, by: &OperatorName) -> Result<(), Rejected> {
        if self.life != Life::Planned || self.approvals_missing() == 0 {
            return Err(self.wrong_state("approving", "only a plan that lacks approvals takes one"));
        }
        match &self.created {
            Some((Actor::Operator(planner), _)) if planner == by => {
                Err(Rejected::Approval("whoever planned it cannot approve it (hint: ask another approver)"))
            }
            _ if self.approved_by.contains(by) => {
                Err(Rejected::Approval("the same person approved it already (hint: ask another approver)"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_started(&self) -> Result<(), Rejected> {
        match &self.life {
            Life::Planned if self.approvals_missing() == 0 => Ok(()),
            Life::Planned => Err(self.wrong_state("starting", "`patchwave rollout approve` by somebody else comes first")),
            _ => Err(self.wrong_state("starting", "it was started or ended already")),
        }
    }

    pub(super) fn check_paused(&self) -> Result<(), Rejected> {
        match &self.life {
            Life::Running if self.pause.is_none() => Ok(()),
            _ => Err(self.wrong_state("pausing", "only a running rollout can be paused")),
        }
    }

    pub(super) fn check_resumed(&self) -> Result<(), Rejected> {
        match &self.life {
            Life::Running if self.pause.is_some() => Ok(()),
            Life::Running if self.halt.is_some() => Err(self.wrong_state("resuming", "the fleet is halted: `patchwave halt --lift`")),
            _ => Err(self.wrong_state("resuming", "only a paused rollout can be resumed")),
        }
    }

    pub(super) fn check_overridden(&self, wave: WaveIndex) -> Result<(), Rejected> {
        if self.life != Life::Running {
            return Err(self.wrong_state("letting a wave pass", "only a started rollout has a wave that can pass"));
        }
        match self.wave_state(wave) {
            Some(state) if self.current_wave() == Some(wave) && state.started.is_some() && !state.overridden => Ok(()),
            Some(_) => Err(Rejected::Forbidden("only the wave that is on can be let pass, and once")),
            None => Err(Rejected::Malformed("the plan has no wave of that number")),
        }
    }

    pub(super) fn check_aborted(&self) -> Result<(), Rejected> {
        match &self.life {
            Life::Planned | Life::Running => Ok(()),
            _ => Err(self.wrong_state("aborting", "it ends or has ended already")),
        }
    }

    pub(super) fn check_halt(&self, event: &Event) -> Result<(), Rejected> {
        let fits = match event {
            Event::Halted { .. } => self.life == Life::Running && self.halt.is_none(),
            _ => self.halt.is_some(),
        };
        if fits { Ok(()) } else { Err(Rejected::NoNews) }
    }

    pub(super) fn check_handed_over(&self) -> Result<(), Rejected> {
        match &self.life {
            Life::Ended { .. } if self.handed_over.is_none() => Ok(()),
            Life::Ended { .. } => Err(Rejected::NoNews),
            Life::Stopping { .. } | Life::Aborting { .. } => Err(self.wrong_state("handing over", "hosts that have begun finish first")),
            _ => Err(self.wrong_state("handing over", "`patchwave rollout abort` comes first")),
        }
    }

    pub(super) fn apply_operator(&mut self, event: &Event, at: Timestamp, changes: &mut Transition) {
        match event {
            Event::Created { by, .. } => {
                self.created = Some((by.clone(), at));
                self.life = Life::Planned;
            }
            Event::Approved { by } => {
                self.approved_by.insert(by.clone());
            }
            Event::Started { .. } => {
                self.started_at = Some(at);
                self.life = Life::Running;
            }
            Event::Paused { by, reason, detail } => {
                self.pause = Some(Pause { by: by.clone(), reason: *reason, detail: clean_text(detail, MAX_REASON_CHARS) });
            }
            Event::Resumed { .. } => {
                self.pause = None;
                self.restart_time_limit(at);
                self.accept_not_staged(at, changes);
            }
            Event::GateOverridden { wave, .. } => {
                if let Some(state) = self.waves.get_mut(wave.usize()) {
                    state.overridden = true;
                }
            }
            Event::Aborted { by, reason } => {
                self.pause = None;
                self.halt = None;
                self.life = Life::Aborting { by: by.clone(), reason: clean_text(reason, MAX_REASON_CHARS) };
            }
            Event::Halted { revision } => self.halt = Some(*revision),
            Event::HaltLifted { .. } => {
                self.halt = None;
                self.restart_time_limit(at);
            }
            Event::HandedOver { to } => {
                self.handed_over = Some(to.clone());
                self.hand_over_harmed(at, changes);
            }
            _ => {}
        }
    }

    /// Time in which nothing could begin does not count against the wave.
    fn restart_time_limit(&mut self, at: Timestamp) {
        if let Some(state) = self.current_wave().and_then(|wave| self.waves.get_mut(wave.usize())) {
            state.limit_from = at;
        }
    }

    /// Harmed hosts that nobody ordered back (the policy leaves that to people) are the other rollout's from now on.
    fn hand_over_harmed(&mut self, at: Timestamp, changes: &mut Transition) {
        for host in self.plan.indexes() {
            if self.hosts.phase(host) == Phase::Harmed && !self.hosts.has(host, TAKE_BACK) {
                let cause: Cause = self.hosts.cause(host);
                self.set_phase(host, Phase::NeedsAttention, cause, at, changes);
            }
        }
    }
}

//! Folding one recorded event: first it is checked against the state, then applied. What passes the check applies without fail.

mod hosts;
mod lists;
mod operator;
mod orders;
mod progress;
mod waves;

use super::event::{Event, Recorded};
use super::plan::HostIndex;
use super::rejected::Rejected;
use super::state::{Rollout, RolloutState};

pub(super) use waves::Evidence;

/// What an accepted event changed, for the shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transition {
    /// Hosts whose directive, staging request or conclusion may have changed: reconcile them once the event is on disk.
    pub hosts: Vec<HostIndex>,
    /// Hosts that this rollout orders no longer: their claims end in the write that appends the event.
    pub unclaimed: Vec<HostIndex>,
    /// The rollout's state before and after, where it changed.
    pub state: Option<(RolloutState, RolloutState)>,
}

impl Rollout {
    /// Whether [`Rollout::step`] would accept the event. Changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, recorded: &Recorded) -> Result<(), Rejected> {
        if recorded.at < self.last_at {
            return Err(Rejected::TimeWentBack { at: recorded.at, last: self.last_at });
        }
        let at = recorded.at;
        match &recorded.event {
            Event::Created { plan, .. } => self.check_created(*plan),
            _ if self.created.is_none() => Err(self.wrong_state("anything but creating it", "the log does not begin with its creation")),
            Event::Approved { by } => self.check_approved(by),
            Event::Started { .. } => self.check_started(),
            Event::Paused { .. } => self.check_paused(),
            Event::Resumed { .. } => self.check_resumed(),
            Event::GateOverridden { wave, .. } => self.check_overridden(*wave),
            Event::Aborted { .. } => self.check_aborted(),
            Event::Halted { .. } | Event::HaltLifted { .. } => self.check_halt(&recorded.event),
            Event::HandedOver { .. } => self.check_handed_over(),
            Event::StageRequested { hosts } => self.check_stage_requested(hosts),
            Event::HostStaged { host, .. } => self.check_staged(*host),
            Event::HostNotStaged { host, .. } => self.check_not_staged(*host),
            Event::WaveStarted { wave } => self.check_wave_started(*wave, at),
            Event::Released { hosts } => self.check_released(hosts, at),
            Event::Withdrawn { hosts } => self.check_withdrawn(hosts),
            Event::HostProgress { host, generation, progress } => self.check_progress(*host, *generation, progress),
            Event::HostSilent { hosts, .. } => self.check_silent(hosts),
            Event::HostOffline { hosts, .. } => self.check_offline(hosts),
            Event::HostReturned { hosts } => self.check_returned(hosts),
            Event::OperatorReportedHarm { host, .. } => self.check_reported(*host),
            Event::TakeBackOrdered { hosts } => self.check_take_back(hosts),
            Event::HostConcluded { hosts } => self.check_concluded(hosts, at),
            Event::HostRetired { hosts } => self.check_retired(hosts),
            Event::WavePassed { wave, because } => self.check_wave_passed(*wave, *because, at),
            Event::WaveTimedOut { wave, .. } => self.check_timed_out(*wave, at),
            Event::Stopped { .. } => self.check_stopped(),
            Event::Quarantined { keys } => self.check_quarantined(keys),
            Event::Completed { outcome } => self.check_completed(*outcome),
        }
    }

    /// Folds one event, or rejects it and changes nothing.
    ///
    /// # Errors
    /// Why it was rejected.
    pub fn step(&mut self, recorded: &Recorded) -> Result<Transition, Rejected> {
        self.check(recorded)?;
        let before = self.state();
        let mut changes = Transition::default();
        self.apply(recorded, &mut changes);
        self.last_at = recorded.at;
        self.revision += 1;
        let after = self.state();
        changes.state = (before != after).then_some((before, after));
        Ok(changes)
    }

    fn apply(&mut self, recorded: &Recorded, changes: &mut Transition) {
        let at = recorded.at;
        match &recorded.event {
            Event::Created { .. }
            | Event::Approved { .. }
            | Event::Started { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::GateOverridden { .. }
            | Event::Aborted { .. }
            | Event::Halted { .. }
            | Event::HaltLifted { .. }
            | Event::HandedOver { .. } => self.apply_operator(&recorded.event, at, changes),
            Event::StageRequested { .. } | Event::HostStaged { .. } | Event::HostNotStaged { .. } => {
                self.apply_staging(&recorded.event, at, changes);
            }
            Event::Released { .. } | Event::Withdrawn { .. } | Event::TakeBackOrdered { .. } | Event::HostConcluded { .. } => {
                self.apply_orders(&recorded.event, at, changes);
            }
            Event::HostProgress { host, progress, .. } => self.apply_progress(*host, recorded.event.generation(), progress, at, changes),
            Event::HostSilent { .. }
            | Event::HostOffline { .. }
            | Event::HostReturned { .. }
            | Event::OperatorReportedHarm { .. }
            | Event::HostRetired { .. } => self.apply_hosts(&recorded.event, at, changes),
            Event::WaveStarted { .. }
            | Event::WavePassed { .. }
            | Event::WaveTimedOut { .. }
            | Event::Stopped { .. }
            | Event::Quarantined { .. }
            | Event::Completed { .. } => self.apply_waves(&recorded.event, at),
        }
    }

    pub(super) fn wrong_state(&self, action: &'static str, hint: &'static str) -> Rejected {
        Rejected::WrongState { action, state: self.state(), hint }
    }
}

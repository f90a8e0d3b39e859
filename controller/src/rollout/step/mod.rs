//! Folding one recorded event.

use super::event::Recorded;
use super::plan::HostIndex;
use super::rejected::Rejected;
use super::state::{Rollout, RolloutState};

/// What an accepted event changed, for the shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transition {
    /// Hosts whose directive, staging request or conclusion changed: reconcile them once the event is on disk.
    pub hosts: Vec<HostIndex>,
    /// Hosts that this rollout orders no longer: their claims end in the write that appends the event.
    pub unclaimed: Vec<HostIndex>,
    /// The rollout's state before and after, where it changed.
    pub state: Option<(RolloutState, RolloutState)>,
}

impl Rollout {
    /// Whether [`Rollout::step`] would accept the event. Changes nothing.
    pub fn check(&self, recorded: &Recorded) -> Result<(), Rejected> {
        let _ = recorded;
        Ok(())
    }

    /// Folds one event, or rejects it and changes nothing.
    pub fn step(&mut self, recorded: &Recorded) -> Result<Transition, Rejected> {
        self.check(recorded)?;
        Ok(Transition::default())
    }
}

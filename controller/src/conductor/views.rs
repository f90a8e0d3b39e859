//! Looks into the conductor, for operators' views.

use patchwave_common::domain::{HostId, RolloutId, Timestamp};

use super::{ActError, Conductor, story};
use crate::rollout::lint::{Lint, lint};
use crate::rollout::{Explanation, Rollout, WaveProgress};

impl Conductor {
    /// Takes a rollout that has ended long ago into memory.
    pub(super) async fn ensure_loaded(&mut self, id: &RolloutId) -> Result<(), ActError> {
        match self.rollout(id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(ActError::NoSuchRollout(id.clone())),
            Err(error) => Err(ActError::Store(error.to_string())),
        }
    }

    /// Looks at a loaded rollout.
    pub fn view<T>(&self, id: &RolloutId, look: impl FnOnce(&Rollout, &Self) -> T) -> Option<T> {
        self.rollouts.get(id).map(|rollout| look(rollout, self))
    }

    /// The state of every rollout in memory, by name.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        self.rollouts.values().map(|rollout| rollout.state().to_string()).collect()
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Every wave in numbers, with hosts by name in what it waits for.
    #[must_use]
    pub fn progress_of_rollout(&self, rollout: &Rollout) -> Vec<WaveProgress> {
        let now = self.now();
        let mut waves = rollout.progress(now, &self.world(&rollout.plan().header().rollout, now));
        for waiting in waves.iter_mut().filter_map(|wave| wave.waiting.as_mut()) {
            waiting.text = self.with_names(&waiting.text);
        }
        waves
    }

    /// What happens with one host, when, or why not, with hosts by name.
    #[must_use]
    pub fn explain(&self, rollout: &Rollout, host: &HostId) -> Explanation {
        let now = self.now();
        let explained = rollout.explain(host, now, &self.world(&rollout.plan().header().rollout, now));
        Explanation { text: self.with_names(&explained.text), ..explained }
    }

    /// A host as people know it.
    #[must_use]
    pub fn host_name(&self, host: &HostId) -> String {
        story::host_name(&self.fleet, host)
    }

    /// A text of the engine with hosts called as people know them.
    #[must_use]
    pub fn with_names(&self, text: &str) -> String {
        story::with_names(&self.fleet, text)
    }

    /// What is doubtful about a rollout's plan, by the fleet as it is now.
    #[must_use]
    pub fn lint_rollout(&self, rollout: &Rollout) -> Vec<Lint> {
        self.with_fleet(self.now(), Some(&rollout.plan().header().rollout), |view| lint(rollout.plan(), view))
    }
}

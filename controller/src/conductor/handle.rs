//! How the rest of the controller speaks to the conductor.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use patchwave_common::domain::{DirectiveProgress, Generation, Hello, HostId, QuarantineKey, RolloutId, StageResult};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::acts::{Act, ActError};
use super::planning::{PlanAsk, PlanRefused, Planned};
use super::{Conductor, Shared};

/// A question that is answered inside the task.
type Ask = Box<dyn FnOnce(&mut Conductor) + Send>;

/// What the task is told.
pub(super) enum Input {
    Connected { host: HostId, hello: Box<Hello> },
    Disconnected { host: HostId },
    Staged { host: HostId, rollout: RolloutId, result: StageResult },
    Progress { host: HostId, generation: Generation, progress: DirectiveProgress },
    RulesChanged { answer: oneshot::Sender<()> },
    Ask(Ask),
    Load { id: RolloutId, answer: oneshot::Sender<Result<(), ActError>> },
    Plan { ask: Box<PlanAsk>, answer: oneshot::Sender<Result<Planned, PlanRefused>> },
    Act { rollout: RolloutId, act: Act, answer: oneshot::Sender<Result<(), ActError>> },
}

/// The conductor, for everybody else.
#[derive(Clone)]
pub struct ConductorHandle {
    inputs: mpsc::Sender<Input>,
    shared: Arc<Shared>,
    world: WeakWorld,
    changes: watch::Receiver<u64>,
}

/// Wakes the conductor; holds nothing else of it.
#[derive(Debug, Clone)]
pub struct WeakWorld(Arc<Notify>);

/// The task is gone: the controller is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the controller is shutting down")]
pub struct Gone;

impl ConductorHandle {
    pub(super) fn new(inputs: mpsc::Sender<Input>, shared: Arc<Shared>, world: Arc<Notify>, changes: watch::Receiver<u64>) -> Self {
        Self { inputs, shared, world: WeakWorld(world), changes }
    }

    /// An agent said hello. Waits while the queue is full, which slows that stream down.
    pub async fn connected(&self, host: HostId, hello: Box<Hello>) {
        let _ = self.inputs.send(Input::Connected { host, hello }).await;
    }

    /// A stream ended.
    pub async fn disconnected(&self, host: HostId) {
        let _ = self.inputs.send(Input::Disconnected { host }).await;
    }

    /// Staging ended on a host.
    pub async fn staged(&self, host: HostId, rollout: RolloutId, result: StageResult) {
        let _ = self.inputs.send(Input::Staged { host, rollout, result }).await;
    }

    /// News of a directive.
    pub async fn progress(&self, host: HostId, generation: Generation, progress: DirectiveProgress) {
        let _ = self.inputs.send(Input::Progress { host, generation, progress }).await;
    }

    /// Presence, a clock, a host's standing or its facts changed: look again.
    pub fn world_changed(&self) {
        self.world.0.notify_one();
    }

    /// Halt or quarantine changed in the store. Returns when every rollout knows and nothing more is let begin against it.
    pub async fn fleet_rules_changed(&self) {
        let (answer, answered) = oneshot::channel();
        if self.inputs.send(Input::RulesChanged { answer }).await.is_ok() {
            let _ = answered.await;
        }
    }

    /// The versions in quarantine.
    #[must_use]
    pub fn quarantine(&self) -> BTreeSet<QuarantineKey> {
        self.shared.quarantine()
    }

    /// The rollout that orders a host now.
    #[must_use]
    pub fn claim_of(&self, host: &HostId) -> Option<RolloutId> {
        self.shared.claims.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    /// Counts the batches that changed any rollout.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Plans a rollout and keeps the plan.
    pub async fn plan(&self, ask: PlanAsk) -> Result<Planned, PlanRefused> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Plan { ask: Box::new(ask), answer }).await.map_err(|_| PlanRefused::Gone)?;
        answered.await.map_err(|_| PlanRefused::Gone)?
    }

    /// Does something to a rollout; returns when it is on disk.
    pub async fn act(&self, rollout: RolloutId, act: Act) -> Result<(), ActError> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Act { rollout, act, answer }).await.map_err(|_| ActError::Gone)?;
        answered.await.map_err(|_| ActError::Gone)?
    }

    /// Makes sure that a rollout is in memory, so that it can be looked at.
    pub async fn ensure_loaded(&self, id: RolloutId) -> Result<(), ActError> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Load { id, answer }).await.map_err(|_| ActError::Gone)?;
        answered.await.map_err(|_| ActError::Gone)?
    }

    /// Looks at the task's state, inside the task.
    pub async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&mut Conductor) -> T + Send + 'static) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Ask(Box::new(move |conductor| drop(answer.send(ask(conductor)))))).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

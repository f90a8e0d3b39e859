//! What operators do to rollouts.

use patchwave_common::domain::{HostId, OperatorName, RolloutId};
use tokio::sync::oneshot;

use super::Conductor;
use super::batch::Batch;
use crate::records::Actor;
use crate::rollout::plan::PlanKind;
use crate::rollout::{Event, PauseReason, Rejected};
use crate::store::StoreError;

/// An operator's act.
#[derive(Debug, Clone)]
pub enum Act {
    /// Approve the plan.
    Approve(OperatorName),
    /// Let it go.
    Start(OperatorName),
    /// Let nothing more begin.
    Pause(OperatorName, String),
    /// End a pause. Where a gate waits for an operator's word, that word is the reason.
    Resume(OperatorName, String),
    /// End the rollout.
    Abort(OperatorName, String),
    /// Report harm on a host.
    ReportHarm(OperatorName, HostId, String),
}

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// There is no such rollout.
    #[error("there is no rollout {0} (hint: `patchwave rollout list`)")]
    NoSuchRollout(RolloutId),
    /// The rollout does not allow it now.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// It could not be stored.
    #[error("it could not be stored: {0}")]
    Store(String),
    /// The controller is shutting down.
    #[error("the controller is shutting down")]
    Gone,
}

impl Conductor {
    /// Records an act; the answer goes out when it is on disk.
    pub(super) async fn act(&mut self, id: &RolloutId, act: Act, answer: oneshot::Sender<Result<(), ActError>>, batch: &mut Batch) {
        match self.try_act(id, act, batch).await {
            Ok(()) => batch.after(move |stored| {
                drop(answer.send(stored.map_err(|error: &StoreError| ActError::Store(error.to_string()))));
            }),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    async fn try_act(&mut self, id: &RolloutId, act: Act, batch: &mut Batch) -> Result<(), ActError> {
        let rollout = match self.rollout(id).await {
            Ok(Some(rollout)) => rollout,
            Ok(None) => return Err(ActError::NoSuchRollout(id.clone())),
            Err(error) => return Err(ActError::Store(error.to_string())),
        };
        let event = match act {
            Act::Approve(by) => Event::Approved { by },
            Act::Start(by) => {
                if let PlanKind::Reverse { of } = rollout.plan().header().kind.clone() {
                    self.hand_over(&of, id, batch).await?;
                }
                Event::Started { by: Actor::Operator(by) }
            }
            Act::Pause(by, reason) => Event::Paused { by: Actor::Operator(by), reason: PauseReason::Operator, detail: reason },
            Act::Resume(by, reason) => {
                let events = rollout.resume(&Actor::Operator(by), &reason);
                for event in events {
                    self.record(id, event, batch)?;
                }
                return Ok(());
            }
            Act::Abort(by, reason) => Event::Aborted { by: Actor::Operator(by), reason },
            Act::ReportHarm(by, host, reason) => {
                let index = rollout.plan().index_of(&host).ok_or(Rejected::NoSuchHost(host))?;
                Event::OperatorReportedHarm { host: index, by, reason }
            }
        };
        self.record(id, event, batch)?;
        Ok(())
    }

    /// The rollout that is taken back lets go of its healthy hosts, so that the reverse one may order them.
    async fn hand_over(&mut self, of: &RolloutId, to: &RolloutId, batch: &mut Batch) -> Result<(), ActError> {
        match self.rollout(of).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(ActError::NoSuchRollout(of.clone())),
            Err(error) => return Err(ActError::Store(error.to_string())),
        }
        match self.record(of, Event::HandedOver { to: to.clone() }, batch) {
            Ok(()) | Err(Rejected::NoNews) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

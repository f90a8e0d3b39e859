//! Plans rollouts: borrows the fleet for the planner, lints the plan, and keeps it as a rollout that has not started.

use std::collections::BTreeSet;
use std::sync::Arc;

use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{HostId, OperatorName, RolloutId, Selector, Timestamp};
use tokio::sync::oneshot;

use super::Conductor;
use super::batch::Batch;
use super::world::standing;
use crate::fleet::{FleetHost, Presence};
use crate::records::Actor;
use crate::rollout::lint::{Lint, lint};
use crate::rollout::planner::{
    ActiveRollout, FleetView, PlanError, PlanReport, PlanRequest, PlanningHost, RequestKind, UpdateRequest, plan,
};
use crate::rollout::{Event, Rollout};
use crate::rollout_log;

/// What an operator asks to be planned.
#[derive(Debug, Clone)]
pub struct PlanAsk {
    /// The new rollout's id.
    pub id: RolloutId,
    /// Who asks.
    pub by: OperatorName,
    /// The policy and its revision.
    pub policy: Policy,
    /// Revision of the policy.
    pub policy_revision: u64,
    /// The hosts asked for.
    pub selector: Selector,
    /// The updates asked for.
    pub updates: Vec<UpdateRequest>,
    /// What kind of plan.
    pub kind: PlanAskKind,
}

/// What kind of plan is asked for.
#[derive(Debug, Clone)]
pub enum PlanAskKind {
    /// To newer versions.
    Apply,
    /// Taking back what a rollout applied.
    Reverse(RolloutId),
    /// For the hosts that a rollout could not update.
    Successor(RolloutId),
}

/// A plan that was kept.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The rollout.
    pub id: RolloutId,
    /// What it would do.
    pub report: PlanReport,
    /// What is doubtful about it.
    pub lints: Vec<Lint>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// What was asked for exists nowhere.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The rollout that it is about does not exist.
    #[error("there is no rollout {0} (hint: `patchwave rollout list`)")]
    NoSuchRollout(RolloutId),
    /// There is nothing to take back, or no host to follow up.
    #[error("{0}")]
    Nothing(String),
    /// The store failed.
    #[error("the plan could not be stored: {0}")]
    Store(String),
    /// The controller is shutting down.
    #[error("the controller is shutting down")]
    Gone,
}

impl Conductor {
    /// Plans, lints, keeps; the answer goes out when the plan is on disk.
    pub(super) async fn plan(&mut self, ask: PlanAsk, answer: oneshot::Sender<Result<Planned, PlanRefused>>, batch: &mut Batch) {
        match self.try_plan(ask, batch).await {
            Ok(planned) => batch.after(move |stored| {
                drop(answer.send(stored.map(|()| planned).map_err(|error| PlanRefused::Store(error.to_string()))));
            }),
            Err(refused) => drop(answer.send(Err(refused))),
        }
    }

    async fn try_plan(&mut self, ask: PlanAsk, batch: &mut Batch) -> Result<Planned, PlanRefused> {
        let by = Actor::Operator(ask.by.clone());
        let (kind, only) = self.request_kind(&ask.kind).await?;
        let request = PlanRequest {
            rollout: ask.id.clone(),
            by: by.clone(),
            policy_revision: ask.policy_revision,
            selector: ask.selector,
            only,
            updates: ask.updates,
            kind,
        };
        let now = self.clock.now();
        let (plan, report, lints) = self.with_fleet(now, None, |view| {
            let (plan, report) = plan(view, &request, &ask.policy, now)?;
            let lints = lint(&plan, view);
            Ok::<_, PlanError>((plan, report, lints))
        })?;
        let (sealed, stored) = rollout_log::seal(plan);
        let root = sealed.root;
        self.rollouts.insert(ask.id.clone(), Rollout::new(sealed));
        batch.keep_plan(&ask.id, stored);
        self.record(&ask.id, Event::Created { by, plan: root }, batch).map_err(|error| PlanRefused::Store(error.to_string()))?;
        Ok(Planned { id: ask.id, report, lints })
    }

    async fn request_kind(&mut self, kind: &PlanAskKind) -> Result<(RequestKind, Option<BTreeSet<HostId>>), PlanRefused> {
        let of = match kind {
            PlanAskKind::Apply => return Ok((RequestKind::Apply, None)),
            PlanAskKind::Reverse(of) | PlanAskKind::Successor(of) => of,
        };
        let rollout = match self.rollout(of).await {
            Ok(Some(rollout)) => rollout,
            Ok(None) => return Err(PlanRefused::NoSuchRollout(of.clone())),
            Err(error) => return Err(PlanRefused::Store(error.to_string())),
        };
        if let PlanAskKind::Reverse(_) = kind {
            let hosts = rollout.reversible();
            if hosts.is_empty() {
                return Err(PlanRefused::Nothing(format!(
                    "rollout {of} changed nothing that still stands, so there is nothing to take back"
                )));
            }
            return Ok((RequestKind::Reverse { of: of.clone(), hosts }, None));
        }
        let only = rollout.replannable();
        if only.is_empty() {
            return Err(PlanRefused::Nothing(format!(
                "rollout {of} has no host that a successor should take (hint: `patchwave rollout show {of}`)"
            )));
        }
        Ok((RequestKind::Apply, Some(only)))
    }

    /// What is doubtful about a policy for the fleet as it is: lints the plan that it would give, and keeps nothing.
    pub fn lint_policy(&mut self, policy: &Policy) -> Result<Vec<Lint>, PlanError> {
        let now = self.clock.now();
        let Ok(id) = RolloutId::parse("lint") else { return Ok(Vec::new()) };
        let request = PlanRequest {
            rollout: id,
            by: Actor::Controller,
            policy_revision: 0,
            selector: Selector::default(),
            only: None,
            updates: Vec::new(),
            kind: RequestKind::Apply,
        };
        self.with_fleet(now, None, |view| plan(view, &request, policy, now).map(|(plan, _)| lint(&plan, view)))
    }

    /// Borrows the fleet in the planner's form; `except` is not told of as another rollout.
    pub(super) fn with_fleet<T>(&self, now: Timestamp, except: Option<&RolloutId>, act: impl FnOnce(&FleetView<'_>) -> T) -> T {
        let all = self.fleet.all();
        let states: Vec<(&Arc<FleetHost>, Presence)> = all.iter().map(|host| (host, self.fleet.presence(host, now))).collect();
        let hosts: Vec<PlanningHost<'_>> = states
            .iter()
            .map(|(host, here)| PlanningHost {
                id: &host.record.id,
                labels: &host.record.labels,
                facts: &host.record.facts,
                mode: host.record.mode,
                state: here.as_str(),
                standing: standing(host, *here, now),
                candidates: host.candidates.as_deref(),
                inventory: host.inventory.as_deref(),
                claimed_by: self.claims.get(&host.record.id).map(|(rollout, _)| rollout),
                rarely_there: false,
            })
            .collect();
        let members: Vec<(&RolloutId, BTreeSet<HostId>)> = self
            .rollouts
            .iter()
            .filter(|(id, rollout)| !super::is_ended(rollout.state()) && Some(*id) != except)
            .map(|(id, rollout)| (id, rollout.plan().indexes().filter_map(|index| rollout.plan().host(index).cloned()).collect()))
            .collect();
        let active: Vec<ActiveRollout<'_>> = members.iter().map(|(id, hosts)| ActiveRollout { id, hosts }).collect();
        act(&FleetView { hosts: &hosts, quarantine: &self.quarantine, active: &active })
    }
}

//! The state that the events fold into. Written by `step` only.

mod change;
mod hash;
mod hosts;
mod names;
mod tally;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{Digest, Generation, OperatorName, QuarantineKey, RolloutId, Timestamp};

pub(super) use hosts::{CHANGED, CHARGED, Cause, HostStates, NOT_STAGED_KNOWN, ORDERED, RETURNED, SILENT, TAKE_BACK, TakeBack};
pub use names::{Phase, RolloutState, Staging};
pub(super) use tally::Tallies;

use super::event::{Outcome, PassReason, PauseReason, Recorded, StopReason};
use super::plan::{HostIndex, Plan, PlanKind, SealedPlan, WaveIndex};
use super::rejected::Rejected;
use crate::records::Actor;

/// A rollout: a plan and the fold of what was recorded.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub(super) plan: Arc<Plan>,
    pub(super) root: Digest,
    pub(super) revision: u64,
    pub(super) last_at: Timestamp,
    pub(super) life: Life,
    pub(super) created: Option<(Actor, Timestamp)>,
    pub(super) approved_by: BTreeSet<OperatorName>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) pause: Option<Pause>,
    pub(super) halt: Option<u64>,
    pub(super) handed_over: Option<RolloutId>,
    pub(super) quarantined: BTreeSet<QuarantineKey>,
    /// The newest generation that this rollout gave to anybody.
    pub(super) newest: Generation,
    pub(super) waves: Vec<WaveState>,
    pub(super) hosts: HostStates,
    pub(super) tallies: Tallies,
    pub(super) staging_window: Window,
    pub(super) catch_up_window: Window,
}

/// How far a rollout is. Pause and halt stand beside it, since they end where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    /// Not even created.
    New,
    /// Not started.
    Planned,
    /// Started.
    Running,
    /// A limit was reached.
    Stopping { reason: StopReason },
    /// An operator ended it; what has begun finishes.
    Aborting { by: Actor, reason: String },
    /// Nothing is in flight any more.
    Ended {
        outcome: Outcome,
        at: Timestamp,
        /// What ended it, in plain words.
        text: String,
    },
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pause {
    pub by: Actor,
    pub reason: PauseReason,
    pub detail: String,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WaveState {
    pub started: Option<Timestamp>,
    /// The time limit counts from here.
    pub limit_from: Timestamp,
    pub passed: Option<(Timestamp, PassReason)>,
    pub overridden: bool,
    /// Failures charged; never decreases.
    pub charged: u32,
}

/// How much of a rate was used in the current minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    pub start: Timestamp,
    pub used: u32,
}

impl Window {
    /// Rates are given per minute.
    const SPAN: Duration = Duration::from_secs(60);

    /// How many of `rate` are left at an instant.
    pub(super) fn left(self, at: Timestamp, rate: u32) -> u32 {
        if at >= self.end() { rate } else { rate.saturating_sub(self.used) }
    }

    pub(super) fn end(self) -> Timestamp {
        self.start.plus(Self::SPAN)
    }

    pub(super) fn take(&mut self, at: Timestamp, count: u32) {
        if at >= self.end() {
            *self = Self { start: at, used: count };
        } else {
            self.used = self.used.saturating_add(count);
        }
    }
}

impl Rollout {
    /// A rollout of which nothing is recorded yet.
    #[must_use]
    pub fn new(sealed: SealedPlan) -> Self {
        let SealedPlan { plan, root } = sealed;
        let waves = plan.header().waves.len();
        Self {
            hosts: HostStates::new(plan.host_count()),
            tallies: Tallies::new(&plan),
            waves: vec![WaveState::default(); waves],
            plan,
            root,
            revision: 0,
            last_at: Timestamp(i64::MIN),
            life: Life::New,
            created: None,
            approved_by: BTreeSet::new(),
            started_at: None,
            pause: None,
            halt: None,
            handed_over: None,
            quarantined: BTreeSet::new(),
            newest: Generation::default(),
            staging_window: Window::default(),
            catch_up_window: Window::default(),
        }
    }

    /// A rollout from its log.
    ///
    /// # Errors
    /// The place of the first event that does not fit, counted from 0, and why.
    pub fn replay(sealed: SealedPlan, log: impl IntoIterator<Item = Recorded>) -> Result<Self, (u64, Rejected)> {
        let mut rollout = Self::new(sealed);
        for (number, recorded) in (0_u64..).zip(log) {
            rollout.step(&recorded).map_err(|rejected| (number, rejected))?;
        }
        Ok(rollout)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RolloutId {
        &self.plan.header().rollout
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Root of the plan.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// How many events were folded; the log's revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The instant of the newest event; a new record's is max(this, clock).
    #[must_use]
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        match &self.life {
            Life::New | Life::Planned if self.plan.policy().approvals == 0 => RolloutState::Planned,
            Life::New | Life::Planned if self.approvals_missing() == 0 => RolloutState::Approved,
            Life::New | Life::Planned => RolloutState::AwaitingApproval,
            Life::Running if self.halt.is_some() => RolloutState::Halted,
            Life::Running if self.pause.is_some() => RolloutState::Paused,
            Life::Running if self.current_wave().is_none() => RolloutState::CatchingUp,
            Life::Running => RolloutState::Running,
            Life::Stopping { .. } => RolloutState::Stopping,
            Life::Aborting { .. } => RolloutState::Aborting,
            Life::Ended { .. } if self.tallies.unresolved() > 0 => RolloutState::NeedsAttention,
            Life::Ended { outcome: Outcome::Completed, .. } => RolloutState::Completed,
            Life::Ended { outcome: Outcome::Stopped, .. } => RolloutState::Stopped,
            Life::Ended { outcome: Outcome::Aborted, .. } => RolloutState::Aborted,
        }
    }

    /// Approvals by others than the planner that are still missing.
    #[must_use]
    pub fn approvals_missing(&self) -> u32 {
        self.plan.policy().approvals.saturating_sub(u32::try_from(self.approved_by.len()).unwrap_or(u32::MAX))
    }

    /// The first wave whose gate has not passed; `None` where all have.
    #[must_use]
    pub fn current_wave(&self) -> Option<WaveIndex> {
        self.plan.waves().find(|wave| self.wave_state(*wave).is_some_and(|state| state.passed.is_none()))
    }

    /// Whether no host has anything left to do for this rollout, ever, so that the shell may forget it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.life, Life::Ended { .. }) && self.tallies.claimed() == 0
    }

    /// Where a host stands; `None` where it is not in the plan.
    #[must_use]
    pub fn phase_of(&self, host: HostIndex) -> Option<Phase> {
        (host.usize() < self.hosts.len()).then(|| self.hosts.phase(host))
    }

    /// How far a host's download is; `None` where it is not in the plan.
    #[must_use]
    pub fn staging_of(&self, host: HostIndex) -> Option<Staging> {
        (host.usize() < self.hosts.len()).then(|| self.hosts.staging(host))
    }

    /// Failures charged to the rollout; never decreases (rule 3).
    #[must_use]
    pub fn charged(&self) -> u32 {
        self.waves.iter().map(|wave| wave.charged).sum()
    }

    pub(super) fn wave_state(&self, wave: WaveIndex) -> Option<&WaveState> {
        self.waves.get(wave.usize())
    }

    pub(super) fn is_reverse(&self) -> bool {
        matches!(self.plan.header().kind, PlanKind::Reverse { .. })
    }

    /// Orders may be given and leases granted.
    pub(super) fn is_releasing(&self) -> bool {
        self.life == Life::Running && self.pause.is_none() && self.halt.is_none() && self.limit_reached().is_none()
    }

    /// The failure limit that was reached, if one was.
    pub(super) fn limit_reached(&self) -> Option<StopReason> {
        if self.charged() >= self.plan.policy().limits.failures {
            return Some(StopReason::RolloutLimit);
        }
        self.plan
            .waves()
            .find(|&wave| match (self.wave_state(wave), self.plan.rule(wave)) {
                (Some(state), Some(rule)) => state.charged >= rule.failure_limit,
                _ => false,
            })
            .map(StopReason::WaveLimit)
    }

    /// Returning hosts get the change until then.
    pub(super) fn catch_up_until(&self) -> Option<Timestamp> {
        self.started_at.map(|started| started.plus(self.plan.policy().offline.deadline))
    }

    /// How many hosts may be unavailable at once. A share of a small fleet rounds down to none; one host is then allowed, since else
    /// nothing could ever be patched, and lint says so.
    #[must_use]
    pub fn unavailable_limit(&self) -> u32 {
        at_least_one(self.plan.policy().limits.max_unavailable, self.plan.host_count())
    }

    /// So many hosts that could not stage pause the rollout.
    pub(super) fn not_staged_limit(&self) -> u32 {
        at_least_one(self.plan.policy().limits.not_staged, self.plan.host_count())
    }
}

/// An amount of hosts where a share that rounds down to none stands for one; a count of 0 stays 0.
pub(super) fn at_least_one(amount: patchwave_common::domain::policy::Amount, total: u32) -> u32 {
    match amount {
        patchwave_common::domain::policy::Amount::Percent(_) => amount.of(total).max(1),
        _ => amount.of(total),
    }
}

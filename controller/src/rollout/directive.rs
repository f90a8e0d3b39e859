//! What a host is ordered to do, recomputed from the fold: nothing that is sent is kept anywhere else.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{
    ApplyOrder, Directive, DirectiveProgress, Generation, HostId, Order, PackageTarget, RefusalReason, StageRequest, StageResult,
    TakeBackOrder, TargetSet,
};

use super::event::{Event, Progress, Recorded};
use super::plan::HostIndex;
use super::planner::ReverseTarget;
use super::rejected::Rejected;
use super::state::{Cause, Life, Phase, Rollout, Staging, TAKE_BACK};

impl Rollout {
    /// The directive that a host has now. A host that says hello with another one, or none, is sent this.
    #[must_use]
    pub fn directive_for(&self, host: &HostId) -> Option<Directive> {
        let index = self.plan.index_of(host)?;
        if !self.hosts.phase(index).is_claimed() {
            return None;
        }
        let policy = self.plan.policy();
        let taken_back = self.hosts.has(index, TAKE_BACK).then(|| self.hosts.take_backs.get(&index).map(|order| order.of)).flatten();
        let order = match (taken_back, self.plan.reverse_of(index)) {
            (Some(of), _) | (None, Some(of)) => Order::TakeBack(TakeBackOrder { of, health: policy.health.clone() }),
            (None, None) => Order::Apply(ApplyOrder {
                targets: self.plan.targets_of(index)?.clone(),
                transaction: policy.transaction,
                health: policy.health.clone(),
                automatic_rollback: policy.automatic_rollback,
            }),
        };
        Some(Directive { generation: self.hosts.generation(index), rollout: self.id().clone(), requires: order.requires(), order })
    }

    /// The directive that a host carried out and that is over: it keeps what it has.
    #[must_use]
    pub fn conclude_for(&self, host: &HostId) -> Option<Generation> {
        let index = self.plan.index_of(host)?;
        match self.hosts.phase(index) {
            Phase::Concluded => Some(self.hosts.generation(index)),
            Phase::NeedsAttention if self.handed_over.is_some() => Some(self.hosts.generation(index)),
            _ => None,
        }
    }

    /// What a host is asked to download now.
    #[must_use]
    pub fn stage_for(&self, host: &HostId) -> Option<StageRequest> {
        let index = self.plan.index_of(host)?;
        let waits = matches!(self.hosts.phase(index), Phase::Pending | Phase::Offline) && self.hosts.staging(index) == Staging::Asked;
        if !waits || self.life != Life::Running || self.halt.is_some() {
            return None;
        }
        let targets = self.plan.targets_of(index)?.clone();
        Some(StageRequest { rollout: self.id().clone(), plan_root: self.root, targets })
    }

    /// Whether a host whose `applying` is on disk may be told (again) that it may begin (rule 2): not once nothing may begin.
    #[must_use]
    pub fn may_begin(&self, host: &HostId, generation: Generation) -> bool {
        let Some(index) = self.plan.index_of(host).filter(|&index| self.hosts.generation(index) == generation) else {
            return false;
        };
        match self.hosts.phase(index) {
            Phase::Applying => self.is_releasing(),
            // Finishing or taking back what has begun needs no leave.
            Phase::TakingBack => self.hosts.has(index, TAKE_BACK),
            _ => false,
        }
    }

    /// The hosts that may have asked for their lease while none could be given: to be offered one when that is over. Whoever has begun
    /// already ignores it.
    #[must_use]
    pub fn leases_due(&self) -> Vec<(HostId, Generation)> {
        let applying = self.hosts_in(|phase| phase == Phase::Applying);
        let named = applying.filter_map(|index| Some((self.plan.host(index)?.clone(), self.hosts.generation(index))));
        named.filter(|(host, generation)| self.may_begin(host, *generation)).collect()
    }

    /// The event that a host's report is.
    ///
    /// # Errors
    /// [`Rejected::NoNews`] where it tells nothing new (the host may still wait for a lease that was lost: see [`Rollout::may_begin`]),
    /// [`Rejected::Stale`] where it is about a void directive, which the host should then be told to drop, and others where it does not fit.
    pub fn observe(&self, host: &HostId, generation: Generation, progress: &DirectiveProgress) -> Result<Event, Rejected> {
        let index = self.plan.index_of(host).ok_or_else(|| Rejected::NoSuchHost(host.clone()))?;
        let event = Event::HostProgress { host: index, generation, progress: Progress::from_report(progress) };
        self.checked(event)
    }

    /// The event that a host's staging report is.
    ///
    /// # Errors
    /// [`Rejected::NoNews`] where it tells nothing new, and others where it does not fit.
    pub fn observe_stage(&self, host: &HostId, result: &StageResult) -> Result<Event, Rejected> {
        let index = self.plan.index_of(host).ok_or_else(|| Rejected::NoSuchHost(host.clone()))?;
        self.checked(match result {
            StageResult::Staged { way_back, .. } => Event::HostStaged { host: index, way_back: *way_back },
            StageResult::NotStaged { reason, detail } => {
                Event::HostNotStaged { host: index, reason: *reason, detail: patchwave_common::domain::clean_text(detail, 500) }
            }
        })
    }

    fn checked(&self, event: Event) -> Result<Event, Rejected> {
        let recorded = Recorded { at: self.last_at, event };
        self.check(&recorded)?;
        Ok(recorded.event)
    }

    /// The hosts on which something stands that a reverse rollout could take back. Hand the rollout over ([`Event::HandedOver`]) before
    /// starting that one, so that it gives back its claims.
    #[must_use]
    pub fn reversible(&self) -> BTreeMap<HostId, ReverseTarget> {
        if self.is_reverse() {
            return BTreeMap::new();
        }
        let stands = |host: &HostIndex| match self.hosts.phase(*host) {
            Phase::Healthy | Phase::Concluded | Phase::NeedsAttention => true,
            Phase::Harmed => !self.is_recovering(*host),
            _ => false,
        };
        let target = |host: HostIndex| {
            let generation = self.hosts.take_backs.get(&host).map_or(self.hosts.generation(host), |order| order.of);
            let targets = reversed(self.plan.targets_of(host)?)?;
            Some((self.plan.host(host)?.clone(), ReverseTarget { generation, targets }))
        };
        self.plan.indexes().filter(stands).filter_map(target).collect()
    }

    /// The hosts that a successor should take: superseded, could not stage, missed it, or refused for a reason that may be gone (rule 17).
    #[must_use]
    pub fn replannable(&self) -> BTreeSet<HostId> {
        let left = |host: &HostIndex| match self.hosts.phase(*host) {
            Phase::Pending | Phase::Offline => true,
            Phase::Refused => {
                !matches!(self.hosts.cause(*host), Cause::Refused(RefusalReason::ReportOnly | RefusalReason::AlreadyAtTarget))
            }
            _ => false,
        };
        self.plan.indexes().filter(left).filter_map(|host| self.plan.host(host).cloned()).collect()
    }
}

impl Progress {
    /// A host's report as the log keeps it. `ready` becomes `applying`: the record is the lease.
    #[must_use]
    pub fn from_report(report: &DirectiveProgress) -> Self {
        match report {
            DirectiveProgress::Accepted => Self::Accepted,
            DirectiveProgress::Refused { reason, detail } => Self::Refused { reason: *reason, detail: detail.clone() },
            DirectiveProgress::Ready => Self::Applying,
            DirectiveProgress::Applying => Self::Begun,
            DirectiveProgress::Verifying => Self::Verifying,
            DirectiveProgress::Healthy => Self::Healthy,
            DirectiveProgress::Harmed { reason, detail } => Self::Harmed { reason: *reason, detail: detail.clone() },
            DirectiveProgress::TakingBack => Self::TakingBack,
            DirectiveProgress::TakenBack => Self::TakenBack,
            DirectiveProgress::NeedsAttention { detail } => Self::NeedsAttention { detail: detail.clone() },
        }
    }
}

/// The way back. The hash and size are those of the forward package and say nothing about the original, which the host keeps itself.
fn reversed(set: &TargetSet) -> Option<TargetSet> {
    let back = |target: &PackageTarget| PackageTarget {
        from: target.to.clone(),
        to: target.from.clone(),
        sha256: None,
        size_bytes: 0,
        ..target.clone()
    };
    TargetSet::new(set.manager, set.targets.iter().map(back).collect())
}

//! What is gathered before the disk is synced, and what happens after.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{Generation, HostId, RolloutId};

use super::{Conductor, REST_AFTER_FAILURE_MS, story};
use crate::records::{FleetEvent, QuarantineRecord};
use crate::rollout::{Event, Recorded, Rejected};
use crate::rollout_log;
use crate::store::{Change, Guard, StoreError, Write};

/// Records, claims and lines of one batch, after which no more is gathered: bounds the write and the time until its answers. One event more
/// (an order for a thousand hosts, each with a claim and a line) still fits a write.
const MAX_RECORDS: usize = 1_000;
/// Generations set aside at once: one durable write for so many orders.
const GENERATION_BLOCK: u32 = 1_000;

/// Something done when the batch is on disk; gets the error where it is not.
type After = Box<dyn FnOnce(Result<(), &StoreError>) + Send>;

/// A batch.
#[derive(Default)]
pub(super) struct Batch {
    rollouts: BTreeMap<RolloutId, Pending>,
    after: Vec<After>,
    quarantined: bool,
    /// Lines for people that belong to no rollout.
    lines: Vec<FleetEvent>,
}

/// What one rollout appends.
#[derive(Default)]
struct Pending {
    expected: u64,
    records: Vec<Recorded>,
    claims: Vec<(HostId, Generation)>,
    unclaimed: Vec<HostId>,
    lines: Vec<FleetEvent>,
    quarantine: Vec<QuarantineRecord>,
    reconcile: BTreeSet<HostId>,
    leases: Vec<(HostId, Generation)>,
    plan: Option<rollout_log::StoredPlan>,
}

impl Batch {
    /// Whether something was recorded of the rollout.
    pub(super) fn touched(&self, id: &RolloutId) -> bool {
        self.rollouts.contains_key(id)
    }

    /// Whether no more should be gathered.
    pub(super) fn is_full(&self) -> bool {
        let size = |pending: &Pending| pending.records.len() + pending.claims.len() + pending.unclaimed.len() + pending.lines.len();
        self.rollouts.values().map(size).sum::<usize>() >= MAX_RECORDS
    }

    /// Does something when all of the batch is on disk (or could not be brought there).
    pub(super) fn after(&mut self, after: impl FnOnce(Result<(), &StoreError>) + Send + 'static) {
        self.after.push(Box::new(after));
    }

    /// Tells people something that belongs to no rollout.
    pub(super) fn tell(&mut self, event: FleetEvent) {
        self.lines.push(event);
    }

    /// The host is to be told where it stands when the batch is on disk.
    pub(super) fn reconcile(&mut self, rollout: &RolloutId, host: &HostId, revision: u64) {
        self.pending(rollout, revision).reconcile.insert(host.clone());
    }

    /// The host may be given its lease when the batch is on disk.
    pub(super) fn lease(&mut self, rollout: &RolloutId, host: &HostId, generation: Generation, revision: u64) {
        self.pending(rollout, revision).leases.push((host.clone(), generation));
    }

    /// The plan is kept in the write that makes the rollout.
    pub(super) fn keep_plan(&mut self, rollout: &RolloutId, plan: rollout_log::StoredPlan) {
        self.pending(rollout, 0).plan = Some(plan);
    }

    fn pending(&mut self, id: &RolloutId, revision: u64) -> &mut Pending {
        self.rollouts.entry(id.clone()).or_insert_with(|| Pending { expected: revision, ..Pending::default() })
    }
}

impl Conductor {
    /// Folds one event and gathers what follows from it. A rejected event changes nothing.
    pub(super) fn record(&mut self, id: &RolloutId, event: Event, batch: &mut Batch) -> Result<(), Rejected> {
        let now = self.clock.now();
        let Some(rollout) = self.rollouts.get_mut(id) else { return Err(Rejected::Malformed("the rollout is not there")) };
        let revision = rollout.revision();
        let recorded = Recorded { at: rollout.last_at().max(now), event };
        let transition = rollout.step(&recorded)?;
        let pending = batch.pending(id, revision);
        for ordered in recorded.event.orders() {
            if let Some(host) = rollout.plan().host(ordered.host) {
                pending.claims.push((host.clone(), ordered.generation));
                self.claims.insert(host.clone(), (id.clone(), ordered.generation));
            }
        }
        for index in &transition.unclaimed {
            if let Some(host) = rollout.plan().host(*index) {
                pending.unclaimed.push(host.clone());
                if self.claims.get(host).is_some_and(|(holder, _)| holder == id) {
                    self.claims.remove(host);
                }
            }
        }
        pending.reconcile.extend(transition.hosts.iter().filter_map(|index| rollout.plan().host(*index).cloned()));
        pending.lines.extend(story::lines(id, rollout, &recorded, &self.fleet));
        if matches!(recorded.event, Event::Resumed { .. } | Event::HaltLifted { .. }) {
            pending.leases.extend(rollout.leases_due());
        }
        if let Event::Quarantined { keys } = &recorded.event {
            let reason = story::quarantine_reason(id, rollout);
            pending.quarantine.extend(keys.iter().map(|key| QuarantineRecord {
                key: key.clone(),
                reason: reason.clone(),
                rollout: Some(id.clone()),
                since: recorded.at,
                lifted: None,
            }));
            self.quarantine.extend(keys.iter().cloned());
            batch.quarantined = true;
        }
        self.metrics.event(&recorded.event);
        batch.pending(id, revision).records.push(recorded);
        Ok(())
    }

    /// Records what a rollout proposed, with generations filled in; false where nothing could be recorded.
    pub(super) async fn record_proposals(&mut self, id: &RolloutId, events: Vec<Event>, batch: &mut Batch) -> bool {
        let mut recorded = false;
        for mut event in events {
            // The rest is proposed again: the end of a large rollout lets more hosts go than one write may change.
            if recorded && batch.is_full() {
                break;
            }
            let wanted = event.generations_wanted();
            let Some(mut generations) = self.take_generations(wanted).await else { return false };
            event.fill_generations(|| generations.pop().unwrap_or_default());
            match self.record(id, event, batch) {
                Ok(()) => recorded = true,
                Err(error) => {
                    // The engine rejects its own proposal: a defect, but one that must not spin or stop the others.
                    tracing::error!(rollout = %id, %error, "a proposal was rejected");
                    return recorded;
                }
            }
        }
        recorded
    }

    /// So many generations, never given before; the last is to be used first.
    async fn take_generations(&mut self, wanted: usize) -> Option<Vec<Generation>> {
        let mut taken = Vec::with_capacity(wanted);
        while taken.len() < wanted {
            if let Some(generation) = self.generations.as_mut().and_then(Iterator::next) {
                taken.push(generation);
                continue;
            }
            if let Err(error) = self.reserve().await {
                tracing::error!(%error, "no generations could be set aside");
                return None;
            }
        }
        taken.reverse();
        Some(taken)
    }

    /// Sets a block of generations aside, durably; what was left of the one before is never given.
    pub(super) async fn reserve(&mut self) -> Result<(), StoreError> {
        self.generations = Some(self.store.reserve_generations(GENERATION_BLOCK).await?);
        Ok(())
    }

    /// Brings the batch to disk in one write and then carries out its effects. One write, because rollouts hand hosts to one another: what
    /// one lets go and another orders in the same batch is true together or not at all, and nobody is told before.
    pub(super) async fn flush(&mut self, batch: Batch) {
        let Batch { rollouts, after, quarantined, lines } = batch;
        let changed = rollouts.values().any(|pending| !pending.records.is_empty());
        let saved = self.append(&rollouts, lines).await;
        match &saved {
            Ok(()) => self.carry_out(rollouts, quarantined),
            Err(error) => {
                self.rests_until_ms = self.clock.boottime_ms().saturating_add(REST_AFTER_FAILURE_MS);
                for id in rollouts.keys() {
                    tracing::error!(rollout = %id, %error, "the log could not be appended; the rollout is loaded again");
                    self.forget(id).await;
                }
            }
        }
        if changed {
            self.changed.send_modify(|count| *count += 1);
        }
        for after in after {
            after(saved.as_ref().copied());
        }
    }

    /// What follows from a batch that is on disk.
    fn carry_out(&mut self, rollouts: BTreeMap<RolloutId, Pending>, quarantined: bool) {
        for (id, pending) in rollouts {
            self.publish_claims_of(pending.claims.iter().map(|(host, _)| host).chain(&pending.unclaimed));
            for (host, generation) in &pending.leases {
                self.grant(&id, host, *generation);
            }
            for host in &pending.reconcile {
                self.reconcile(host);
            }
        }
        if quarantined {
            self.publish_quarantine();
        }
    }

    async fn append(&mut self, rollouts: &BTreeMap<RolloutId, Pending>, lines: Vec<FleetEvent>) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for (id, pending) in rollouts.iter().filter(|(_, pending)| !pending.records.is_empty()) {
            let Some(rollout) = self.rollouts.get(id) else { continue };
            if let Some(plan) = &pending.plan {
                changes.push(Change::PutPlan { rollout: id.clone(), header: plan.header.clone(), segments: plan.segments.clone() });
            }
            let records = pending.records.iter().map(rollout_log::encode).collect();
            changes.push(Change::AppendRollout { rollout: id.clone(), expected: pending.expected, records });
            changes.extend(pending.quarantine.iter().map(|record| Change::PutQuarantine(Box::new(record.clone()))));
            changes.extend(pending.lines.iter().cloned().map(Change::AppendEvent));
            changes.push(Change::PutRolloutHead(Box::new(story::head(id, rollout, self.clock.now()))));
        }
        changes.extend(lines.into_iter().map(Change::AppendEvent));
        if changes.is_empty() {
            return Ok(());
        }
        let orders = self.claims_of(rollouts, &mut changes);
        // Halt and quarantine are checked in the append itself: an order that was decided before a halt is never sent after it.
        let mut write = Write::new(changes);
        if orders {
            write = write.when(Guard::FleetRevision { expected: self.halt.revision });
        }
        self.store.write(write).await?;
        if rollouts.values().any(|pending| !pending.quarantine.is_empty()) {
            self.refresh_fleet_revision().await?;
        }
        Ok(())
    }

    /// Who holds each host of the batch when it ends: first what was let go, then what was ordered. A host may be ordered and let go within
    /// one batch; what counts is how it ends. `true` where anything is ordered.
    fn claims_of(&self, rollouts: &BTreeMap<RolloutId, Pending>, changes: &mut Vec<Change>) -> bool {
        let holds = |id: &RolloutId, host: &HostId| self.claims.get(host).is_some_and(|(holder, _)| holder == id);
        for (id, pending) in rollouts {
            let gone = pending.unclaimed.iter().filter(|host| !holds(id, host));
            changes.extend(gone.map(|host| Change::ReleaseClaim { host: host.clone(), rollout: id.clone() }));
        }
        let before = changes.len();
        for (id, pending) in rollouts {
            let held = pending.claims.iter().filter(|(host, generation)| self.claims.get(host) == Some(&(id.clone(), *generation)));
            changes.extend(held.map(|(host, generation)| Change::Claim {
                host: host.clone(),
                rollout: id.clone(),
                generation: *generation,
            }));
        }
        changes.len() > before
    }

    /// Drops what memory says of a rollout and takes it from its log again.
    async fn forget(&mut self, id: &RolloutId) {
        self.rollouts.remove(id);
        self.resting.remove(id);
        self.claims.retain(|_, (holder, _)| holder != id);
        if let Err(error) = self.reload_claims().await {
            tracing::error!(%error, "claims could not be read again");
            self.unloaded.insert(id.clone());
        }
        self.reload_rules().await;
        match self.load_rollout(id).await {
            Ok(Some(rollout)) => drop(self.rollouts.insert(id.clone(), rollout)),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(rollout = %id, %error, "the rollout could not be loaded again; it is tried at each look");
                self.unloaded.insert(id.clone());
            }
        }
        self.look_all = true;
    }
}

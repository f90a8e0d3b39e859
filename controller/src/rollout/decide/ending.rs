//! Stopping, taking back, concluding, and the end.

use std::collections::BTreeSet;

use patchwave_common::domain::{QuarantineKey, Timestamp};

use super::{in_events, orders_in_events};
use crate::rollout::event::{Event, Outcome};
use crate::rollout::plan::HostIndex;
use crate::rollout::state::{CHARGED, Life, Phase, Rollout, SILENT, Staging};
use crate::rollout::view::{Liveness, Presence};

impl Rollout {
    pub(super) fn due_stop(&self) -> Vec<Event> {
        match self.limit_reached() {
            Some(reason) if self.life == Life::Running => vec![Event::Stopped { reason }],
            _ => Vec::new(),
        }
    }

    /// Orders that have not begun are void as soon as nothing may begin.
    pub(super) fn due_withdrawn(&self, at: Timestamp) -> Vec<Event> {
        let too_late = self.current_wave().is_none() && self.catch_up_until().is_none_or(|until| at >= until);
        if self.is_releasing() && !too_late {
            return Vec::new();
        }
        let hosts: Vec<HostIndex> = self.hosts_in(Phase::is_withdrawable).collect();
        in_events(&hosts, |hosts| Event::Withdrawn { hosts })
    }

    pub(super) fn due_take_back(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        let hosts: Vec<HostIndex> = self
            .hosts_in(|phase| phase == Phase::Harmed)
            .filter(|&host| self.take_back_at(host).is_some_and(|due| due <= at))
            .filter(|&host| self.now(host, view).claimed_by.is_none())
            .collect();
        orders_in_events(&hosts, |hosts| Event::TakeBackOrdered { hosts })
    }

    /// What was applied on harmed hosts and is not in quarantine yet. A transaction of several packages makes suspects of all (rule 13).
    pub(super) fn suspects_missing(&self) -> BTreeSet<QuarantineKey> {
        if self.is_reverse() || !self.takes_back_all() {
            return BTreeSet::new();
        }
        let sets: BTreeSet<u32> =
            self.plan.indexes().filter(|&host| self.hosts.has(host, CHARGED)).filter_map(|host| self.plan.target_index_of(host)).collect();
        let sets = sets.into_iter().filter_map(|set| self.plan.target_sets().get(set as usize));
        sets.flat_map(quarantine_keys).filter(|key| !self.quarantined.contains(key)).collect()
    }

    pub(super) fn due_quarantine(&self) -> Vec<Event> {
        let keys = self.suspects_missing();
        if keys.is_empty() { Vec::new() } else { vec![Event::Quarantined { keys: keys.into_iter().collect() }] }
    }

    pub(super) fn due_concluded(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        let running = self.life == Life::Running;
        let hosts: Vec<HostIndex> = self
            .hosts_in(|phase| phase == Phase::Healthy)
            .filter(|&host| {
                let passed = self.plan.wave_of(host).and_then(|wave| self.wave_state(wave)).is_some_and(|wave| wave.passed.is_some());
                self.handed_over.is_some() || ((passed || !running) && self.has_soaked(host, at, view))
            })
            .collect();
        in_events(&hosts, |hosts| Event::HostConcluded { hosts })
    }

    /// It stayed healthy for as long as its wave wants, and was there to tell.
    pub(super) fn has_soaked(&self, host: HostIndex, at: Timestamp, view: &dyn Liveness) -> bool {
        let Some(soaked) = self.soaked_at(host) else {
            return false;
        };
        soaked <= at
            && match self.now(host, view).presence {
                Presence::Connected { .. } => true,
                Presence::Offline { since } => since >= soaked,
                Presence::Unknown => false,
            }
    }

    pub(super) fn due_end(&self, at: Timestamp) -> Vec<Event> {
        let outcome = match &self.life {
            Life::Running if self.current_wave().is_some() || self.pause.is_some() || self.halt.is_some() => return Vec::new(),
            Life::Running => Outcome::Completed,
            Life::Stopping { .. } => Outcome::Stopped,
            Life::Aborting { .. } => Outcome::Aborted,
            _ => return Vec::new(),
        };
        let recovering = self.hosts_in(Phase::is_unresolved).any(|host| self.is_recovering(host) && !self.hosts.has(host, SILENT));
        let watched = outcome == Outcome::Completed && self.tallies.of(Phase::Healthy) > 0;
        let awaited = outcome == Outcome::Completed && self.awaits_returns(at);
        if self.tallies.all_in_flight() > 0 || recovering || watched || awaited {
            return Vec::new();
        }
        vec![Event::Completed { outcome }]
    }

    /// Whether a host could still get the change although its wave has passed.
    pub(in crate::rollout) fn awaits_returns(&self, at: Timestamp) -> bool {
        self.catch_up_until().is_some_and(|until| at < until)
            && (self.tallies.of(Phase::Offline) > 0
                || self.hosts_in(|phase| phase == Phase::Pending).any(|host| self.hosts.staging(host) != Staging::NotStaged))
    }
}

/// The quarantine keys of a target set.
pub(super) fn quarantine_keys(set: &patchwave_common::domain::TargetSet) -> impl Iterator<Item = QuarantineKey> + '_ {
    set.targets.iter().map(|target| QuarantineKey {
        manager: set.manager,
        origin: target.origin.clone(),
        source: target.source.clone(),
        version: target.to.clone(),
        architecture: target.id.architecture.clone(),
    })
}

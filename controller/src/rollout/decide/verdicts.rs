//! Verdicts about hosts and the fleet: halted, retired, returned, silent, away, not staged.

use std::collections::BTreeMap;

use patchwave_common::domain::{NotStagedReason, Timestamp};

use super::in_events;
use crate::rollout::event::AbsenceCause;
use crate::rollout::event::Event;
use crate::rollout::plan::HostIndex;
use crate::rollout::state::{Cause, Life, Phase, Rollout, SILENT, Staging};
use crate::rollout::view::{HostNow, Liveness, Presence, Standing};

impl Rollout {
    pub(super) fn due_halt(&self, view: &dyn Liveness) -> Vec<Event> {
        let halt = view.halt();
        match (self.halt, halt.on) {
            (None, true) if self.life == Life::Running => vec![Event::Halted { revision: halt.revision }],
            (Some(_), false) => vec![Event::HaltLifted { revision: halt.revision }],
            _ => Vec::new(),
        }
    }

    /// Hosts in phases; waves that have none of them are not looked at.
    pub(in crate::rollout) fn hosts_in(&self, which: impl Fn(Phase) -> bool + Copy) -> impl Iterator<Item = HostIndex> {
        self.plan
            .waves()
            .filter(move |&wave| Phase::ALL.iter().any(|&phase| which(phase) && self.tallies.in_wave(wave, phase) > 0))
            .flat_map(|wave| self.plan.members(wave).iter().copied())
            .filter(move |&host| which(self.hosts.phase(host)))
    }

    /// Whether a host's wave has begun.
    fn is_its_turn(&self, host: HostIndex) -> bool {
        self.plan.wave_of(host).and_then(|wave| self.wave_state(wave)).is_some_and(|wave| wave.started.is_some())
    }

    /// Hosts that were retired while something was to come for them. Those of later waves are looked at when their wave begins.
    pub(super) fn due_retired(&self, view: &dyn Liveness) -> Vec<Event> {
        let running = self.life == Life::Running;
        let waits = |phase| running && matches!(phase, Phase::Pending | Phase::Offline);
        let hosts: Vec<HostIndex> = self
            .hosts_in(|phase| phase.is_claimed() || phase == Phase::NeedsAttention || waits(phase))
            .filter(|&host| self.hosts.phase(host) != Phase::Pending || self.is_its_turn(host))
            .filter(|&host| self.now(host, view).standing == Standing::Retired)
            .collect();
        in_events(&hosts, |hosts| Event::HostRetired { hosts })
    }

    pub(super) fn due_returned(&self, view: &dyn Liveness) -> Vec<Event> {
        let running = self.life == Life::Running;
        let hosts: Vec<HostIndex> = self
            .hosts_in(|phase| phase.is_unresolved() || phase == Phase::Offline && running)
            .filter(|&host| self.has_returned(host, &self.now(host, view)))
            .collect();
        in_events(&hosts, |hosts| Event::HostReturned { hosts })
    }

    fn has_returned(&self, host: HostIndex, now: &HostNow) -> bool {
        let Presence::Connected { since } = now.presence else {
            return false;
        };
        match (self.hosts.phase(host), self.hosts.cause(host)) {
            (Phase::Offline, Cause::Absent(AbsenceCause::Offline)) => true,
            (Phase::Offline, _) => matches!(now.standing, Standing::Eligible | Standing::Stale),
            // It was connected when it was judged where it only told nothing; then a new connection is news, the old one is not.
            _ => self.hosts.has(host, SILENT) && since > self.hosts.since(host),
        }
    }

    pub(super) fn due_silent(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        let watched = |phase| matches!(phase, Phase::Applying | Phase::Verifying | Phase::Healthy | Phase::Harmed | Phase::TakingBack);
        let mut by_cause = BTreeMap::new();
        for host in self.hosts_in(watched) {
            if let Some((due, cause)) = self.silent_at(host, &self.now(host, view))
                && due <= at
            {
                by_cause.entry(cause).or_insert_with(Vec::new).push(host);
            }
        }
        by_cause.iter().flat_map(|(&cause, hosts)| in_events(hosts, |hosts| Event::HostSilent { hosts, cause })).collect()
    }

    pub(super) fn due_offline(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        if !self.is_releasing() {
            return Vec::new();
        }
        let mut by_cause = BTreeMap::new();
        let unbegun = self.hosts_in(|phase| phase == Phase::Pending || phase.is_withdrawable());
        for host in unbegun.filter(|&host| self.is_its_turn(host)) {
            if let Some((due, cause)) = self.absent_at(host, &self.now(host, view))
                && due <= at
            {
                by_cause.entry(cause).or_insert_with(Vec::new).push(host);
            }
        }
        by_cause.iter().flat_map(|(&cause, hosts)| in_events(hosts, |hosts| Event::HostOffline { hosts, cause })).collect()
    }

    pub(super) fn due_not_staged(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        if !self.is_releasing() {
            return Vec::new();
        }
        self.hosts_in(|phase| phase == Phase::Pending)
            .filter(|&host| self.hosts.staging(host) == Staging::Asked)
            .filter(|&host| self.staging_fails_at(host, &self.now(host, view)).is_some_and(|due| due <= at))
            .map(|host| Event::HostNotStaged {
                host,
                reason: NotStagedReason::Other,
                detail: "it did not say within the policy's bounds on waiting for the lock and on the package manager".to_owned(),
            })
            .collect()
    }
}

//! When to look again although nothing happens.

use patchwave_common::domain::Timestamp;

use crate::rollout::plan::HostIndex;
use crate::rollout::state::{Life, Phase, Rollout, Staging};
use crate::rollout::view::Liveness;

impl Rollout {
    /// The earliest instant after `at` at which [`Rollout::decide`] could have something to say although nothing else happens; `None`
    /// where time alone changes nothing. It may be early for nothing, and is never late.
    #[must_use]
    pub fn wake_at(&self, at: Timestamp, view: &dyn Liveness) -> Option<Timestamp> {
        if matches!(self.life, Life::New | Life::Planned) || self.is_settled() {
            return None;
        }
        let ended = matches!(self.life, Life::Ended { .. });
        let open = |phase: Phase| {
            phase.is_in_flight()
                || phase.is_unresolved()
                || phase == Phase::Healthy
                || !ended && matches!(phase, Phase::Pending | Phase::Offline)
        };
        let hosts = self.hosts_in(open).filter_map(|host| self.host_wake_at(host, at, view)).min();
        let later = |instant: Option<Timestamp>| instant.filter(|&instant| instant > at);
        let whole = if self.life == Life::Running { self.rollout_wake_at(at) } else { None };
        [hosts, later(whole)].into_iter().flatten().min()
    }

    fn rollout_wake_at(&self, at: Timestamp) -> Option<Timestamp> {
        let wave = self.current_wave();
        let start = wave.and_then(|wave| self.plan.planned_wave(wave)).map(|planned| planned.earliest_start);
        let limit = wave.and_then(|wave| self.time_limit_at(wave));
        let unasked = self.hosts_in(|phase| phase == Phase::Pending).any(|host| self.hosts.staging(host) == Staging::NotAsked);
        let staging = unasked.then(|| self.staging_window.end());
        let catch_up = (self.tallies.of(Phase::Pending) > 0).then(|| self.catch_up_window.end());
        [start, limit, staging, catch_up, self.catch_up_until()].into_iter().flatten().filter(|&instant| instant > at).min()
    }

    fn host_wake_at(&self, host: HostIndex, at: Timestamp, view: &dyn Liveness) -> Option<Timestamp> {
        let now = self.now(host, view);
        let instants = [
            self.silent_at(host, &now).map(|(due, _)| due),
            self.absent_at(host, &now).map(|(due, _)| due),
            self.staging_fails_at(host, &now),
            self.take_back_at(host),
            self.soaked_at(host),
            (self.hosts.phase(host) == Phase::Pending).then(|| self.order_at(host)),
        ];
        instants.into_iter().flatten().filter(|&instant| instant > at).min()
    }
}

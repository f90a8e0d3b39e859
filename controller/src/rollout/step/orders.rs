//! Orders to hosts: given, withdrawn, over.

use std::collections::BTreeMap;

use patchwave_common::domain::Timestamp;

use super::Transition;
use crate::rollout::event::{Event, Ordered};
use crate::rollout::plan::HostIndex;
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{Cause, Life, ORDERED, Phase, RETURNED, Rollout, Staging, TAKE_BACK, TakeBack};

/// A host that refuses for a reason that may pass (a lock, a lost lease) is ordered again so often; then it is "not updated".
pub(in crate::rollout) const MAX_RELEASE_TRIES: u8 = 3;
/// A host that cannot be taken back so often needs a person.
pub(in crate::rollout) const MAX_TAKE_BACK_TRIES: u8 = 5;

impl Rollout {
    pub(super) fn check_released(&self, orders: &[Ordered], at: Timestamp) -> Result<(), Rejected> {
        if !self.is_releasing() {
            return Err(self.wrong_state("ordering hosts", "only a running rollout does, before a limit is reached"));
        }
        let hosts: Vec<HostIndex> = orders.iter().map(|order| order.host).collect();
        self.check_list(&hosts, "an order", |host, phase| {
            phase == Phase::Pending && (self.is_reverse() || self.hosts.staging(host) == Staging::Staged)
        })?;
        self.check_generations(orders)?;
        let late = self.catch_up_until().is_none_or(|until| at >= until);
        for &host in &hosts {
            let wave = self.plan.wave_of(host).and_then(|wave| self.wave_state(wave));
            if wave.is_none_or(|wave| wave.started.is_none()) {
                return Err(Rejected::Forbidden("the host's wave has not begun"));
            }
            if late && self.is_catch_up(host) {
                return Err(Rejected::Forbidden("the deadline for returning hosts has passed"));
            }
        }
        self.check_bounds(&hosts)
    }

    /// The bounds on hosts in flight (rule 9) and on unavailable hosts (rule 3), with these hosts in flight too.
    fn check_bounds(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        let more = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        if self.tallies.unavailable().saturating_add(more) > self.unavailable_limit() {
            return Err(Rejected::Forbidden("more hosts would be unavailable than the policy allows"));
        }
        let (mut by_wave, mut by_site) = (BTreeMap::new(), BTreeMap::new());
        for &host in hosts {
            if let (Some(wave), Some(site)) = (self.plan.wave_of(host), self.plan.site_of(host)) {
                *by_wave.entry(wave).or_insert(0) += 1;
                *by_site.entry(site).or_insert(0) += 1;
            }
        }
        for (wave, more) in by_wave {
            if self.plan.rule(wave).is_none_or(|rule| self.tallies.in_flight(wave) + more > rule.max_in_flight) {
                return Err(Rejected::Forbidden("more hosts of a wave would be in flight than the policy allows"));
            }
        }
        for (site, more) in by_site {
            if self.tallies.in_flight_at(site) + more > self.plan.policy().limits.max_in_flight_per_site {
                return Err(Rejected::Forbidden("more hosts of a site would be in flight than the policy allows"));
            }
        }
        Ok(())
    }

    /// The host gets it later than its wave: it was away, or its wave has passed.
    pub(in crate::rollout) fn is_catch_up(&self, host: HostIndex) -> bool {
        self.hosts.has(host, RETURNED)
            || self.plan.wave_of(host).and_then(|wave| self.wave_state(wave)).is_some_and(|wave| wave.passed.is_some())
    }

    pub(super) fn check_withdrawn(&self, hosts: &[HostIndex]) -> Result<(), Rejected> {
        self.check_list(hosts, "withdrawing", |_, phase| phase.is_withdrawable())
    }

    pub(super) fn check_take_back(&self, orders: &[Ordered]) -> Result<(), Rejected> {
        if self.is_reverse() {
            return Err(Rejected::Forbidden("a reverse rollout has nothing to return to"));
        }
        let hosts: Vec<HostIndex> = orders.iter().map(|order| order.host).collect();
        self.check_list(&hosts, "taking back", |host, phase| phase == Phase::Harmed && !self.hosts.has(host, TAKE_BACK))?;
        self.check_generations(orders)
    }

    pub(super) fn check_concluded(&self, hosts: &[HostIndex], at: Timestamp) -> Result<(), Rejected> {
        self.check_list(hosts, "concluding", |_, phase| phase == Phase::Healthy)?;
        if self.handed_over.is_some() {
            return Ok(());
        }
        for &host in hosts {
            let wave = self.plan.wave_of(host).and_then(|wave| self.wave_state(wave));
            if self.life == Life::Running && wave.is_none_or(|wave| wave.passed.is_none()) {
                return Err(Rejected::Forbidden("the host's wave has not passed its gate"));
            }
            if self.soaked_at(host).is_none_or(|soaked| at < soaked) {
                return Err(Rejected::Forbidden("the host has not stayed healthy for long enough"));
            }
        }
        Ok(())
    }

    /// When a proved host has stayed healthy for as long as its wave wants.
    pub(in crate::rollout) fn soaked_at(&self, host: HostIndex) -> Option<Timestamp> {
        let rule = self.plan.wave_of(host).and_then(|wave| self.plan.rule(wave))?;
        (self.hosts.phase(host) == Phase::Healthy).then(|| self.hosts.since(host).plus(rule.soak))
    }

    pub(super) fn apply_orders(&mut self, event: &Event, at: Timestamp, changes: &mut Transition) {
        match event {
            Event::Released { hosts } => self.apply_released(hosts, at, changes),
            Event::Withdrawn { hosts } => {
                for &host in hosts {
                    self.set_phase(host, Phase::Pending, Cause::None, at, changes);
                }
            }
            Event::TakeBackOrdered { hosts } => {
                for order in hosts {
                    let of = self.hosts.take_backs.get(&order.host).map_or(self.hosts.generation(order.host), |earlier| earlier.of);
                    let tries = self.hosts.take_backs.get(&order.host).map_or(0, |earlier| earlier.tries);
                    self.hosts.take_backs.insert(order.host, TakeBack { of, tries: tries.saturating_add(1) });
                    self.hosts.raise(order.host, TAKE_BACK);
                    self.set_order(order);
                    changes.hosts.push(order.host);
                }
            }
            Event::HostConcluded { hosts } => {
                for &host in hosts {
                    self.set_phase(host, Phase::Concluded, Cause::None, at, changes);
                }
            }
            _ => {}
        }
    }

    fn apply_released(&mut self, orders: &[Ordered], at: Timestamp, changes: &mut Transition) {
        let late = orders.iter().filter(|order| self.is_catch_up(order.host)).count();
        if late > 0 {
            self.catch_up_window.take(at, u32::try_from(late).unwrap_or(u32::MAX));
        }
        for order in orders {
            self.hosts.raise(order.host, ORDERED);
            self.set_order(order);
            self.set_phase(order.host, Phase::Released, Cause::None, at, changes);
        }
    }

    fn set_order(&mut self, order: &Ordered) {
        self.hosts.set_generation(order.host, order.generation);
        self.newest = self.newest.max(order.generation);
    }
}

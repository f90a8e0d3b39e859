//! Invariants with names, checked after every event by an account of its own: it reads the plan and the events, and asks the rollout only
//! for what it claims, to compare.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave::rollout::plan::PlanKind;
use patchwave::rollout::{Event, HostIndex, Outcome, PassReason, Plan, Progress, Recorded, Rollout, StopReason, Transition, WaveIndex};
use patchwave_common::domain::policy::Amount;
use patchwave_common::domain::{Generation, HostId, Timestamp};

/// What the auditor knows of a host that has an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Open {
    InFlight,
    Proved(Timestamp),
    Harmed,
}

pub struct Auditor {
    plan: Arc<Plan>,
    open: BTreeMap<HostIndex, Open>,
    claims: BTreeSet<HostIndex>,
    charged: BTreeSet<HostIndex>,
    broken: BTreeSet<HostIndex>,
    ordered_back: BTreeSet<HostIndex>,
    tries: BTreeMap<HostIndex, u32>,
    soaked: BTreeSet<HostIndex>,
    passed: BTreeSet<WaveIndex>,
    newest: Generation,
    leases: BTreeSet<(HostId, Generation)>,
    begun: BTreeSet<(HostId, Generation)>,
    paused: bool,
    halted: bool,
    over: bool,
    quarantined: bool,
    stopped: Option<StopReason>,
}

impl Auditor {
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            open: BTreeMap::new(),
            claims: BTreeSet::new(),
            charged: BTreeSet::new(),
            broken: BTreeSet::new(),
            ordered_back: BTreeSet::new(),
            tries: BTreeMap::new(),
            soaked: BTreeSet::new(),
            passed: BTreeSet::new(),
            newest: Generation::default(),
            leases: BTreeSet::new(),
            begun: BTreeSet::new(),
            paused: false,
            halted: false,
            over: false,
            quarantined: false,
            stopped: None,
        }
    }

    /// An agent begins a transaction: invariant "no transaction without a recorded lease", and "none begins twice".
    pub fn begins(&mut self, host: &HostId, generation: Generation) {
        assert!(self.leases.contains(&(host.clone(), generation)), "{host} begins without a lease");
        assert!(self.begun.insert((host.clone(), generation)), "{host} begins {generation} twice");
    }

    /// An event was accepted.
    pub fn saw(&mut self, recorded: &Recorded, transition: &Transition, rollout: &Rollout) {
        let before = self.charged.len();
        self.fold(recorded);
        self.claims.extend(recorded.event.orders().iter().map(|order| order.host));
        for host in &transition.unclaimed {
            assert!(self.claims.remove(host), "a claim ends that was not held: {recorded:?}");
        }
        self.check_budgets();
        assert!(self.charged.len() >= before, "charged failures never decrease");
        assert_eq!(rollout.charged() as usize, self.charged.len(), "each failure is charged once: {recorded:?}");
        let with_directive: BTreeSet<HostIndex> =
            self.plan.indexes().filter(|&host| rollout.directive_for(self.plan.host(host).unwrap()).is_some()).collect();
        let open: BTreeSet<HostIndex> = self.open.keys().copied().collect();
        assert_eq!(with_directive, open, "directives are those of hosts with an order: {recorded:?}");
        assert_eq!(self.claims, open, "claims are those of hosts with an order: {recorded:?}");
    }

    fn fold(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Released { hosts } => self.check_release(hosts.iter().map(|order| (order.host, order.generation))),
            Event::TakeBackOrdered { hosts } => {
                for order in hosts {
                    assert_eq!(self.open.get(&order.host), Some(&Open::Harmed), "only harmed hosts are taken back");
                    assert!(self.ordered_back.insert(order.host), "a host is ordered back once at a time");
                    *self.tries.entry(order.host).or_default() += 1;
                    self.rises(order.generation);
                }
            }
            Event::HostProgress { host, generation, progress } => self.told(*host, *generation, progress, recorded.at),
            Event::HostSilent { hosts, .. } => {
                for &host in hosts {
                    self.harmed(host);
                }
            }
            Event::OperatorReportedHarm { host, .. } => {
                self.harmed(*host);
                self.claims.insert(*host);
            }
            Event::Withdrawn { hosts } | Event::HostConcluded { hosts } | Event::HostRetired { hosts } => self.close(hosts),
            Event::HostOffline { hosts, .. } => {
                assert!(hosts.iter().all(|host| self.open.get(host).is_none_or(|open| *open == Open::InFlight)));
                self.close(hosts);
            }
            Event::WavePassed { wave, because } => self.check_gate(*wave, *because, recorded.at),
            _ => self.fold_whole(recorded),
        }
        if let Event::HostRetired { hosts } = &recorded.event {
            self.broken.retain(|host| !hosts.contains(host));
        }
        if let Event::HostConcluded { hosts } = &recorded.event {
            self.soaked.extend(hosts.iter().filter(|host| !self.charged.contains(host)));
        }
    }

    fn fold_whole(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Paused { .. } | Event::WaveTimedOut { .. } => self.paused = true,
            Event::Resumed { .. } => self.paused = false,
            Event::Halted { .. } => self.halted = true,
            Event::HaltLifted { .. } => self.halted = false,
            Event::Aborted { .. } => self.over = true,
            Event::Stopped { reason } => {
                self.over = true;
                self.stopped = Some(*reason);
            }
            Event::HandedOver { .. } => {
                let harmed = |host: &HostIndex| self.open[host] == Open::Harmed && !self.ordered_back.contains(host);
                for host in self.open.keys().copied().filter(harmed).collect::<Vec<_>>() {
                    self.broken.insert(host);
                    self.close(&[host]);
                }
            }
            Event::Quarantined { keys } => {
                assert!(!keys.is_empty() && self.stopped.is_some(), "suspects only of a stopped rollout");
                self.quarantined = true;
            }
            Event::Completed { outcome } => {
                assert!(self.open.values().all(|open| *open != Open::InFlight), "no end with hosts in flight");
                let reverse = !matches!(self.plan.header().kind, PlanKind::Apply);
                if *outcome == Outcome::Stopped {
                    assert!(self.quarantined != reverse, "a stopped rollout ends with suspects in quarantine");
                } else if *outcome == Outcome::Completed {
                    assert_eq!(self.passed.len(), self.plan.header().waves.len(), "completed means that every gate passed");
                }
                self.over = true;
            }
            _ => {}
        }
    }

    fn rises(&mut self, generation: Generation) {
        assert!(generation > self.newest, "generations rise");
        self.newest = generation;
    }

    fn check_release(&mut self, orders: impl Iterator<Item = (HostIndex, Generation)>) {
        assert!(!self.paused && !self.halted && !self.over, "nothing is released while paused, halted, aborted or stopped");
        assert!(self.limit_reached().is_none(), "nothing is released once a limit is reached");
        for (host, generation) in orders {
            let wave = self.plan.wave_of(host).unwrap();
            let earlier_passed = (0..wave.0).all(|earlier| self.passed.contains(&WaveIndex(earlier)));
            assert!(earlier_passed, "no release before the previous gates passed");
            assert!(self.open.insert(host, Open::InFlight).is_none(), "a host never has two directives");
            self.rises(generation);
        }
        let harmed = self.open.values().filter(|open| **open == Open::Harmed).count() + self.broken.len();
        let flying = self.open.values().filter(|open| **open == Open::InFlight).count();
        let limit = self.unavailable_limit();
        assert!(flying + harmed <= limit, "a release keeps the disruption budget: {flying} in flight, {harmed} harmed, {limit} allowed");
    }

    fn unavailable_limit(&self) -> usize {
        let (amount, hosts) = (self.plan.policy().limits.max_unavailable, self.plan.host_count());
        (if matches!(amount, Amount::Percent(_)) { amount.of(hosts).max(1) } else { amount.of(hosts) }) as usize
    }

    fn told(&mut self, host: HostIndex, generation: Generation, progress: &Progress, at: Timestamp) {
        if self.plan.reverse_of(host).is_some() {
            return self.told_in_reverse(host, generation, progress, at);
        }
        match progress {
            Progress::Applying => {
                let going = !self.paused && !self.halted && !self.over && self.limit_reached().is_none();
                assert!(going || self.open.get(&host) == Some(&Open::Harmed), "no lease unless the rollout is running");
                assert!(self.leases.insert((self.plan.host(host).unwrap().clone(), generation)), "one lease for an order");
            }
            Progress::Accepted | Progress::Begun | Progress::Verifying => {}
            Progress::Healthy if self.open.get(&host) == Some(&Open::Harmed) && self.taken_back(host, generation) => self.close(&[host]),
            Progress::Healthy => self.proved(host, at),
            Progress::Harmed { .. } | Progress::TakingBack
                if self.open.get(&host) == Some(&Open::Harmed) && self.taken_back(host, generation) =>
            {
                if matches!(progress, Progress::Harmed { .. }) {
                    self.broken.insert(host);
                    self.close(&[host]);
                }
            }
            Progress::Harmed { .. } => self.harmed(host),
            Progress::TakingBack => {
                self.harmed(host);
                self.ordered_back.insert(host);
            }
            Progress::TakenBack => {
                self.charged.insert(host);
                self.broken.remove(&host);
                self.close(&[host]);
            }
            Progress::NeedsAttention { .. } => {
                self.charged.insert(host);
                self.broken.insert(host);
                self.close(&[host]);
            }
            Progress::Refused { .. } if self.open.get(&host) == Some(&Open::Harmed) => self.take_back_refused(host, progress),
            Progress::Refused { .. } => self.close(&[host]),
        }
    }

    /// In a reverse rollout being taken back is what was wanted, and there is no way back from it.
    fn told_in_reverse(&mut self, host: HostIndex, generation: Generation, progress: &Progress, at: Timestamp) {
        match progress {
            Progress::Applying => {
                assert!(self.leases.insert((self.plan.host(host).unwrap().clone(), generation)), "one lease for an order")
            }
            Progress::Accepted | Progress::Begun | Progress::Verifying | Progress::TakingBack => {}
            Progress::Healthy | Progress::TakenBack => self.proved(host, at),
            Progress::Harmed { .. } => self.harmed(host),
            Progress::NeedsAttention { .. } => {
                self.charged.insert(host);
                self.broken.insert(host);
                self.close(&[host]);
            }
            Progress::Refused { .. } => self.close(&[host]),
        }
    }

    /// The report is about the order to take back, not about the order of the plan.
    fn taken_back(&self, host: HostIndex, generation: Generation) -> bool {
        !self.leases.contains(&(self.plan.host(host).unwrap().clone(), generation))
    }

    fn take_back_refused(&mut self, host: HostIndex, progress: &Progress) {
        use patchwave_common::domain::RefusalReason::{Busy, ClockOff, LockHeld, NoLease, NoReceipt, OldGeneration, Withdrawn};
        match progress {
            Progress::Refused { reason: Busy | ClockOff | LockHeld | NoLease | OldGeneration | Withdrawn, .. } if self.tries[&host] < 5 => {
                self.ordered_back.remove(&host);
            }
            Progress::Refused { reason: NoReceipt, .. } => self.close(&[host]),
            _ => {
                self.broken.insert(host);
                self.close(&[host]);
            }
        }
    }

    fn proved(&mut self, host: HostIndex, at: Timestamp) {
        // A host that was given up and let go is healed, and is watched no longer.
        if !self.broken.remove(&host) {
            self.open.insert(host, Open::Proved(at));
        }
    }

    fn harmed(&mut self, host: HostIndex) {
        self.charged.insert(host);
        self.soaked.remove(&host);
        self.open.insert(host, Open::Harmed);
    }

    fn close(&mut self, hosts: &[HostIndex]) {
        for host in hosts {
            self.open.remove(host);
            self.ordered_back.remove(host);
        }
    }

    fn check_gate(&mut self, wave: WaveIndex, because: PassReason, at: Timestamp) {
        assert!(!self.paused && !self.halted && !self.over, "no gate passes while paused, halted, aborted or stopped");
        assert!(self.limit_reached().is_none(), "no gate passes once a limit is reached");
        let rule = self.plan.rule(wave).unwrap();
        let members: BTreeSet<HostIndex> = self.plan.members(wave).iter().copied().collect();
        let of_wave = |host: &HostIndex| members.contains(host);
        let in_flight = self.open.iter().filter(|(host, open)| of_wave(host) && **open == Open::InFlight).count();
        assert_eq!(in_flight, 0, "no gate passes with hosts in flight");
        let soaked = self.open.iter().filter(|(host, open)| {
            of_wave(host) && !self.charged.contains(host) && matches!(open, Open::Proved(since) if since.plus(rule.soak) <= at)
        });
        let proved = soaked.count() + self.soaked.iter().filter(|host| of_wave(host)).count();
        if because == PassReason::Proved {
            assert!(proved >= rule.minimum as usize, "a gate passes on enough evidence: {proved} of {}", rule.minimum);
        }
        self.passed.insert(wave);
    }

    fn limit_reached(&self) -> Option<StopReason> {
        if self.charged.len() >= self.plan.policy().limits.failures as usize {
            return Some(StopReason::RolloutLimit);
        }
        self.plan
            .waves()
            .find(|wave| {
                let charged = self.charged.iter().filter(|host| self.plan.wave_of(**host) == Some(*wave)).count();
                charged >= self.plan.rule(*wave).unwrap().failure_limit as usize
            })
            .map(StopReason::WaveLimit)
    }

    /// Bounds on hosts in flight.
    fn check_budgets(&self) {
        let in_flight = |which: &dyn Fn(HostIndex) -> bool| {
            u32::try_from(self.open.iter().filter(|(host, open)| **open == Open::InFlight && which(**host)).count()).unwrap()
        };
        for wave in self.plan.waves() {
            let limit = self.plan.rule(wave).unwrap().max_in_flight;
            assert!(in_flight(&|host| self.plan.wave_of(host) == Some(wave)) <= limit, "hosts in flight per wave");
        }
        for site in 0..u32::try_from(self.plan.header().sites.len()).unwrap() {
            let limit = self.plan.policy().limits.max_in_flight_per_site;
            assert!(in_flight(&|host| self.plan.site_of(host) == Some(site)) <= limit, "hosts in flight per site");
        }
    }
}

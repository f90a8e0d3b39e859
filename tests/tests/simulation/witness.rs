//! Invariants with names, checked after every event by an account of its own: it reads what the controller wrote and said and what became
//! true on the hosts, and believes nobody.

use std::collections::{BTreeMap, BTreeSet};

use patchwave::rollout::plan::PlanKind;
use patchwave::rollout::{Phase, Rollout};
use patchwave::rollout_log;
use patchwave::store::{MAX_PAGE, StoreRead};
use patchwave_agent::patching::machine::TransactionName;
use patchwave_common::domain::{Digest, DirectiveProgress, Generation, RolloutId, ToAgent};

use crate::auditor::Auditor;
use crate::controller::LEASE;
use crate::packages::wanted;
use crate::world::World;

/// How far two clocks drift apart while a lease lasts.
const DRIFT_MS: u64 = 100;

/// A rollout as its log tells it, and an auditor who read every record of it.
struct Shadow {
    rollout: Rollout,
    auditor: Auditor,
}

#[derive(Default)]
pub struct Witness {
    shadows: BTreeMap<RolloutId, Shadow>,
    /// Which rollout gave each order, by host.
    orders: BTreeMap<(usize, Generation), RolloutId>,
    /// Every order that any log has ever held.
    ordered: BTreeSet<Generation>,
    /// Which host got each order, since the last restore.
    receivers: BTreeMap<Generation, usize>,
    /// Until when each order may begin, in true time.
    leases: BTreeMap<(usize, Generation), u64>,
    begun: BTreeMap<usize, Vec<(Generation, RolloutId)>>,
    reports: BTreeSet<(usize, Generation, String)>,
    pub halted_ms: Option<u64>,
    restored_ms: Option<u64>,
    turns: u64,
    /// How often each thing happened, to show that it does.
    pub counts: BTreeMap<String, u64>,
}

impl Witness {
    pub fn seen(&mut self, what: &str) {
        if let Some(count) = self.counts.get_mut(what) {
            *count += 1;
        } else {
            self.counts.insert(what.to_owned(), 1);
        }
    }

    pub fn is_first_report(&mut self, host: usize, generation: Generation, progress: &DirectiveProgress) -> bool {
        self.reports.insert((host, generation, format!("{progress:?}")))
    }

    /// The logs are those of an earlier day now; what agents did since is true nevertheless.
    pub fn restored(&mut self, now_ms: u64) {
        self.shadows.clear();
        self.receivers.clear();
        self.restored_ms = Some(now_ms);
        self.seen("restored");
    }

    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.shadows.values().map(|shadow| &shadow.rollout)
    }
}

impl World {
    /// The controller says something to a host.
    pub fn check_said(&mut self, host: usize, message: &ToAgent) {
        match message {
            ToAgent::Directive(directive) => {
                let (generation, rollout) = (directive.generation, directive.rollout.clone());
                self.check_log();
                let id = &self.hosts[host].id;
                let logged = self.witness.ordered.contains(&generation);
                assert!(logged, "AN ORDER IS SAVED BEFORE IT IS SENT: {generation} to host {host}");
                // By the time that it leaves the queue it may be void again.
                let stands = self.witness.shadows[&rollout].rollout.directive_for(id).is_some_and(|now| now.generation == generation);
                let claim = self.controller.process.as_ref().unwrap().store.store().claim(id).unwrap();
                let holder = claim.as_ref().map(|claim| &claim.rollout);
                assert!(
                    !stands || holder == Some(&rollout),
                    "AN ORDER IS SAVED BEFORE IT IS SENT: {generation} to host {host}, {holder:?}"
                );
                let witness = &mut self.witness;
                let before = witness.orders.insert((host, generation), rollout.clone());
                assert!(before.is_none_or(|before| before == rollout), "NO TWO ROLLOUTS ORDER ONE HOST: {host} {generation}");
                let receiver = witness.receivers.insert(generation, host);
                assert!(receiver.is_none_or(|receiver| receiver == host), "AN ORDER IS FOR ONE HOST: {generation}");
            }
            ToAgent::Lease(lease) => {
                assert!(self.witness.halted_ms.is_none(), "HALT MEANS THAT NOTHING BEGINS: a lease for host {host} under halt");
                let valid_ms = u64::try_from(LEASE.as_millis()).unwrap() + DRIFT_MS;
                self.witness.leases.insert((host, lease.generation), self.now_ms + valid_ms);
                self.witness.seen("lease");
            }
            _ => {}
        }
    }

    /// An apply transaction begins on a host.
    pub fn check_begin(&mut self, host: usize, name: TransactionName) {
        let now = self.now_ms;
        let generation = name.case;
        let until = self.witness.leases.get(&(host, generation)).copied();
        assert!(until.is_some_and(|until| now <= until), "NO TRANSACTION WITHOUT A LIVE LEASE: host {host} begins {name}, lease {until:?}");
        if let Some(halted) = self.witness.halted_ms {
            let late = now.saturating_sub(halted);
            let most = u64::try_from(LEASE.as_millis()).unwrap() + DRIFT_MS;
            assert!(late <= most, "HALT MEANS THAT NOTHING BEGINS: host {host} begins {name} {late} ms after it");
        }
        let newest = self.hosts[host].agent.as_ref().and_then(|agent| agent.machine.newest_generation());
        assert!(newest.is_none_or(|newest| newest == generation || name.attempt > 0), "{name}");
        let rollout = self.witness.orders[&(host, generation)].clone();
        let begun = self.witness.begun.entry(host).or_default();
        assert!(begun.iter().all(|(before, _)| *before != generation), "NOTHING IS APPLIED TWICE: host {host} begins {name} again");
        assert!(begun.iter().all(|(before, _)| *before < generation), "AN OLDER GENERATION IS REFUSED: host {host} begins {name}");
        begun.push((generation, rollout.clone()));
        self.witness.seen("begun");
        let given_ms = until.unwrap_or_default().saturating_sub(u64::try_from(LEASE.as_millis()).unwrap() + DRIFT_MS);
        if self.witness.restored_ms.is_some_and(|restored| restored >= given_ms) {
            return;
        }
        self.check_log();
        let id = self.hosts[host].id.clone();
        let shadow = self.witness.shadows.get_mut(&rollout).unwrap_or_else(|| panic!("host {host} begins {name} of an unknown rollout"));
        shadow.auditor.begins(&id, generation);
    }

    /// Reads what was appended to the logs since, and lets the auditors look at it.
    pub fn check_log(&mut self) {
        let Some(process) = self.controller.process.as_ref() else { return };
        let store = process.store.store().clone();
        for number in 1..=self.rollouts {
            let id = rollout_id(number);
            if !self.witness.shadows.contains_key(&id) {
                let Some(shadow) = open_shadow(store.as_ref(), &id) else { continue };
                self.witness.shadows.insert(id.clone(), shadow);
            }
            let witness = &mut self.witness;
            let shadow = witness.shadows.get_mut(&id).unwrap();
            for bytes in store.rollout_log(&id, shadow.rollout.revision(), MAX_PAGE).unwrap() {
                let recorded = rollout_log::decode(&bytes).unwrap();
                let transition = shadow.rollout.step(&recorded).unwrap_or_else(|error| panic!("A LOG REPLAYS: {id} {error} {recorded:?}"));
                shadow.auditor.saw(&recorded, &transition, &shadow.rollout);
                witness.ordered.extend(recorded.event.orders().iter().map(|order| order.generation));
                let kind = format!("{:?}", recorded.event);
                let kind = kind.split([' ', '{']).next().unwrap_or_default();
                if let Some(count) = witness.counts.get_mut(kind) {
                    *count += 1;
                } else {
                    witness.counts.insert(kind.to_owned(), 1);
                }
            }
        }
        self.witness.turns += 1;
        if self.witness.turns.is_multiple_of(400) {
            self.check_memory();
        }
    }

    /// What the controller has in memory is what the log gives, byte for byte.
    pub fn check_memory(&mut self) {
        for number in 1..=self.rollouts {
            let id = rollout_id(number);
            let Some(process) = self.controller.process.as_mut() else { return };
            let handle = process.conductor.clone();
            let (wanted, told) = (id.clone(), number);
            let looked = self.controller.with(|process| {
                process.ask(handle.ask(move |conductor| conductor.view(&wanted, |rollout, _| (rollout.revision(), rollout.state_hash()))))
            });
            let Some(Ok(Some((revision, hash)))) = looked else { continue };
            let Some(process) = self.controller.process.as_ref() else { return };
            // What the conductor looked at was perhaps not on disk yet, and then the disk failed.
            if let Some(replayed) = replay(process.store.store().as_ref(), &id, revision) {
                assert_eq!(replayed, hash, "A LOG REPLAYS: rollout {told} at {revision}");
                self.witness.seen("replayed");
            }
        }
    }

    /// What must be true when everything has come to its end.
    pub fn check_ends(&mut self) {
        self.check_memory();
        for host in 0..self.hosts.len() {
            let it = &self.hosts[host];
            let last = self.witness.begun.get(&host).and_then(|begun| begun.last()).cloned();
            let loud = self.witness.rollouts().any(|rollout| {
                let phase = rollout.plan().index_of(&it.id).and_then(|index| rollout.phase_of(index));
                phase.is_some_and(Phase::is_unresolved)
            });
            if it.packages.touched || self.witness.restored_ms.is_some() || loud {
                continue;
            }
            assert!(!it.packages.half, "EVERYTHING ENDS: host {host} is half-way and nobody says so");
            let Some((generation, rollout)) = last else {
                assert!(it.packages.versions.values().all(|version| version == "1"), "NOTHING IS CHANGED OUTSIDE ITS WAVE: host {host}");
                continue;
            };
            if self.witness.rollouts().any(|rollout| !matches!(rollout.plan().header().kind, PlanKind::Apply)) {
                continue;
            }
            let rollout = &self.witness.shadows[&rollout].rollout;
            let phase = rollout.plan().index_of(&it.id).and_then(|index| rollout.phase_of(index));
            let case = it.case(generation, false).unwrap_or_else(|| panic!("host {host} has begun {generation} and has no journal of it"));
            let expected = match phase {
                Some(Phase::Concluded | Phase::Healthy) => wanted(&case.apply.order.targets),
                Some(Phase::TakenBack) => it.disk.receipts[&generation].clone(),
                other => panic!("EVERYTHING ENDS: host {host} has begun {generation} and is {other:?} in rollout {}", rollout.id()),
            };
            let differences = it.packages.differences(&expected);
            assert!(differences.is_empty(), "THE CONTROLLER KNOWS THE TRUTH: host {host} is {phase:?}, but {differences:?}");
        }
    }
}

pub fn rollout_id(number: u32) -> RolloutId {
    RolloutId::parse(format!("r-{number:03}")).unwrap()
}

fn open_shadow(store: &dyn StoreRead, id: &RolloutId) -> Option<Shadow> {
    let rollout = empty(store, id)?;
    let auditor = Auditor::new(rollout.plan().clone());
    Some(Shadow { rollout, auditor })
}

/// The rollout before its first event.
fn empty(store: &dyn StoreRead, id: &RolloutId) -> Option<Rollout> {
    let (header, head) = (store.plan_header(id).unwrap()?, store.rollout(id).unwrap()?);
    let segments: Vec<_> = (0..).map_while(|index| store.plan_segment(id, index).unwrap()).collect();
    Some(Rollout::new(rollout_log::open(head.plan_root, &header, &segments).unwrap()))
}

fn replay(store: &dyn StoreRead, id: &RolloutId, revision: u64) -> Option<Digest> {
    if store.rollout_revision(id).unwrap() < revision {
        return None;
    }
    let mut rollout = empty(store, id)?;
    while rollout.revision() < revision {
        let page = store.rollout_log(id, rollout.revision(), MAX_PAGE).unwrap();
        let left = usize::try_from(revision - rollout.revision()).unwrap();
        for bytes in page.iter().take(left) {
            rollout.step(&rollout_log::decode(bytes).unwrap()).unwrap();
        }
    }
    Some(rollout.state_hash())
}

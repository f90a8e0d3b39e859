//! A rollout with simulated hosts around it: the shell's part (save, then send) played in memory, and agents that do as told, or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use patchwave::rollout::plan::PlanKind;
use patchwave::rollout::{
    Event, Halt, HostIndex, HostNow, Liveness, Look, Phase, Presence, Recorded, Rejected, Rollout, RolloutState, SealedPlan, Standing,
    Transition,
};
use patchwave::rollout_log;
use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{
    DirectiveProgress, Generation, HarmReason, HostId, Order, QuarantineKey, RefusalReason, RolloutId, StageResult, Timestamp,
};

use crate::auditor::Auditor;
use crate::fleet::{Host, START, alice, host_id, plan_for, request};

/// The world that decisions may look at.
#[derive(Clone, Default)]
pub struct World {
    pub presence: HashMap<HostId, Presence>,
    pub standing: HashMap<HostId, Standing>,
    pub claims: HashMap<HostId, RolloutId>,
    pub halt: Halt,
    pub quarantine: BTreeSet<QuarantineKey>,
}

impl Liveness for World {
    fn host(&self, _: HostIndex, host: &HostId) -> HostNow {
        HostNow {
            presence: self.presence.get(host).copied().unwrap_or(Presence::Unknown),
            standing: self.standing.get(host).copied().unwrap_or(Standing::Eligible),
            claimed_by: self.claims.get(host).cloned(),
        }
    }

    fn halt(&self) -> Halt {
        self.halt
    }

    fn is_quarantined(&self, key: &QuarantineKey) -> bool {
        self.quarantine.contains(key)
    }
}

/// How far a simulated agent is with its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    Idle,
    Accepted,
    Begun,
    Checking,
    Proved,
    Harmed,
    GoingBack,
    Ended,
}

/// A simulated agent.
#[derive(Clone, Debug)]
pub struct Agent {
    pub at: At,
    pub generation: Generation,
    pub take_back: bool,
    pub automatic: bool,
    /// The change is on the host.
    pub changed: bool,
    /// What it told of this generation, told again at each hello.
    pub history: Vec<DirectiveProgress>,
}

/// A rollout, its world and its agents.
pub struct Sim {
    pub rollout: Rollout,
    pub sealed: SealedPlan,
    pub log: Vec<Recorded>,
    pub now: Timestamp,
    pub world: World,
    pub agents: BTreeMap<HostId, Agent>,
    pub auditor: Auditor,
    counter: u64,
}

impl Sim {
    /// Planned, created and not started.
    pub fn planned(hosts: &[Host], policy: &Policy) -> Self {
        let (plan, _) = plan_for(hosts, &request(), policy).unwrap();
        Self::of(rollout_log::seal(plan).0)
    }

    /// A plan's rollout, created. In a reverse plan the hosts have what is taken back.
    pub fn of(sealed: SealedPlan) -> Self {
        let reverse = sealed.plan.header().kind != PlanKind::Apply;
        let agent =
            Agent { at: At::Idle, generation: Generation::default(), take_back: false, automatic: true, changed: reverse, history: vec![] };
        let ids: Vec<HostId> = sealed.plan.hosts().map(|host| host.id).collect();
        let mut sim = Self {
            rollout: Rollout::new(sealed.clone()),
            auditor: Auditor::new(sealed.plan.clone()),
            sealed,
            log: Vec::new(),
            now: START,
            world: World::default(),
            agents: ids.iter().map(|id| (id.clone(), agent.clone())).collect(),
            // Orders of a reverse rollout are newer than those that it takes back.
            counter: if reverse { 1_000 } else { 0 },
        };
        for id in &ids {
            sim.world.presence.insert(id.clone(), Presence::Connected { since: START });
        }
        sim.record(Event::Created { by: alice(), plan: sim.sealed.root }).unwrap();
        sim
    }

    /// Started, and whatever is due at once done.
    pub fn started(hosts: &[Host], policy: &Policy) -> Self {
        let mut sim = Self::planned(hosts, policy);
        sim.record(Event::Started { by: alice() }).unwrap();
        sim.settle();
        sim
    }

    /// Folds an event as the shell does; the auditor looks at all that was accepted.
    pub fn record(&mut self, event: Event) -> Result<Transition, Rejected> {
        let recorded = Recorded { at: self.now.max(self.rollout.last_at()), event };
        let before = self.rollout.state_hash();
        let transition = match self.rollout.step(&recorded) {
            Ok(transition) => transition,
            Err(rejected) => {
                assert_eq!(self.rollout.state_hash(), before, "a rejected event changes nothing");
                return Err(rejected);
            }
        };
        self.auditor.saw(&recorded, &transition, &self.rollout);
        self.log.push(recorded);
        Ok(transition)
    }

    pub fn generation(&mut self) -> Generation {
        self.counter += 1;
        Generation { epoch: 1, counter: self.counter }
    }

    /// Lets the engine decide until it proposes nothing.
    pub fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 500, "decisions do not come to an end: {:?}", self.rollout.decide(self.now, &self.world));
            let events = self.rollout.decide(self.now, &self.world);
            assert_eq!(events, self.rollout.decide(self.now, &Look::default().at(&self.world)), "a look that remembers sees the same");
            if events.is_empty() {
                return;
            }
            for mut event in events {
                event.fill_generations(|| self.generation());
                let shown = format!("{event:?}");
                if let Err(rejected) = self.record(event) {
                    panic!("a proposal was rejected: {rejected}: {shown}");
                }
            }
        }
    }

    /// Time passes, and the engine is asked exactly when it wants to be.
    pub fn wait(&mut self, span: Duration) {
        self.settle();
        let until = self.now.plus(span);
        loop {
            let wake = self.rollout.wake_at(self.now, &self.world);
            let next = wake.filter(|wake| *wake <= until).unwrap_or(until);
            assert!(next > self.now || next == until, "a wake in the past");
            let between = Timestamp(self.now.0 + (next.0 - self.now.0) / 2);
            if between < next {
                assert_eq!(self.rollout.decide(between, &self.world), [], "something was due before the wake");
            }
            self.now = next;
            self.settle();
            if next == until {
                return;
            }
        }
    }

    pub fn index(&self, host: &str) -> HostIndex {
        self.sealed.plan.index_of(&host_id(host)).unwrap_or_else(|| panic!("{host} is not in the plan"))
    }

    pub fn phase(&self, host: &str) -> Phase {
        self.rollout.phase_of(self.index(host)).unwrap()
    }

    pub fn state(&self) -> RolloutState {
        self.rollout.state()
    }

    /// Hosts of a wave, in the order of their release.
    pub fn wave(&self, wave: u16) -> Vec<String> {
        let plan = &self.sealed.plan;
        plan.members(patchwave::rollout::WaveIndex(wave)).iter().map(|&host| plan.host(host).unwrap().to_string()).collect()
    }

    pub fn offline(&mut self, host: &str) {
        self.world.presence.insert(host_id(host), Presence::Offline { since: self.now });
    }

    pub fn online(&mut self, host: &str) {
        self.world.presence.insert(host_id(host), Presence::Connected { since: self.now });
    }

    pub fn is_connected(&self, host: &HostId) -> bool {
        matches!(self.world.presence.get(host), Some(Presence::Connected { .. }))
    }

    /// Every host that was asked to has downloaded.
    pub fn stage_all(&mut self) {
        let hosts: Vec<HostId> = self.agents.keys().cloned().collect();
        for host in hosts {
            if self.rollout.stage_for(&host).is_some() && self.is_connected(&host) {
                self.stage(&host, &StageResult::Staged { bytes: 1, way_back: true });
            }
        }
        self.settle();
    }

    pub fn stage(&mut self, host: &HostId, result: &StageResult) {
        if let Ok(event) = self.rollout.observe_stage(host, result) {
            self.record(event).unwrap();
        }
    }

    /// A host reports about the directive that it has now.
    pub fn report(&mut self, host: &str, progress: DirectiveProgress) {
        let generation = self.rollout.directive_for(&host_id(host)).unwrap_or_else(|| panic!("{host} has no directive")).generation;
        let event = self.rollout.observe(&host_id(host), generation, &progress).unwrap();
        self.record(event).unwrap();
        self.settle();
    }

    /// A host does all that it was ordered and proves healthy.
    pub fn update(&mut self, host: &str) {
        for progress in [DirectiveProgress::Accepted, DirectiveProgress::Ready, DirectiveProgress::Verifying, DirectiveProgress::Healthy] {
            self.report(host, progress);
        }
    }

    /// A host applies, fails a check and takes itself back.
    pub fn fail(&mut self, host: &str) {
        for progress in [DirectiveProgress::Accepted, DirectiveProgress::Ready, DirectiveProgress::Verifying] {
            self.report(host, progress);
        }
        let harm = DirectiveProgress::Harmed { reason: HarmReason::CheckFailed, detail: "http: 500".to_owned() };
        self.report(host, harm);
        self.report(host, DirectiveProgress::TakingBack);
        self.report(host, DirectiveProgress::TakenBack);
    }

    /// Updates every host that has an order, until none has; those ordered meanwhile too.
    pub fn update_all(&mut self) {
        for _ in 0..1_000 {
            let ready = |host: &&HostId| {
                let index = self.sealed.plan.index_of(host).unwrap();
                self.rollout.phase_of(index) == Some(Phase::Released) && self.is_connected(host)
            };
            let Some(host) = self.agents.keys().find(ready).map(ToString::to_string) else { return };
            self.update(&host);
        }
        panic!("orders without end");
    }

    /// The simulated agent of a host takes one step; `roll` decides which, 0 being the kindest.
    pub fn act(&mut self, host: &HostId, roll: u8) {
        if self.is_connected(host) {
            if self.rollout.stage_for(host).is_some() {
                self.stage(host, &staging(roll));
            }
            self.take_order(host);
        }
        self.step_agent(host, roll);
    }

    /// The agent and the controller agree on its directive, as at hello.
    fn take_order(&mut self, host: &HostId) {
        let (directive, concluded) = (self.rollout.directive_for(host), self.rollout.conclude_for(host));
        let agent = self.agents.get_mut(host).unwrap();
        match directive {
            Some(directive) if directive.generation > agent.generation => {
                let (take_back, automatic) = match &directive.order {
                    Order::Apply(order) => (false, order.automatic_rollback),
                    Order::TakeBack(_) => (true, true),
                };
                *agent =
                    Agent { at: At::Accepted, generation: directive.generation, take_back, automatic, history: vec![], ..agent.clone() };
                self.tell(host, DirectiveProgress::Accepted);
            }
            None if agent.at == At::Accepted => {
                self.tell(host, DirectiveProgress::Refused { reason: RefusalReason::Withdrawn, detail: String::new() });
                self.agents.get_mut(host).unwrap().at = At::Ended;
            }
            None if concluded == Some(agent.generation) => agent.at = At::Ended,
            _ => {}
        }
    }

    /// An agent tells something, or keeps it until it is connected.
    fn tell(&mut self, host: &HostId, progress: DirectiveProgress) {
        let connected = self.is_connected(host);
        let agent = self.agents.get_mut(host).unwrap();
        agent.history.push(progress);
        let (generation, history) = (agent.generation, agent.history.clone());
        // All that it told is told again: what is known already must be no news.
        for told in history.iter().filter(|_| connected) {
            match self.rollout.observe(host, generation, told) {
                Ok(event) => drop(self.record(event).unwrap()),
                Err(Rejected::NoNews | Rejected::Stale { .. } | Rejected::WrongState { .. }) => {}
                Err(Rejected::WrongPhase { .. }) => {}
                Err(rejected) => panic!("{host} told {told:?}: {rejected}"),
            }
        }
    }

    fn step_agent(&mut self, host: &HostId, roll: u8) {
        let connected = self.is_connected(host);
        let agent = self.agents.get(host).unwrap().clone();
        let (next, progress) = match agent.at {
            At::Accepted if agent.take_back && !agent.changed && roll.is_multiple_of(2) => {
                (At::Ended, DirectiveProgress::Refused { reason: RefusalReason::NoReceipt, detail: String::new() })
            }
            At::Accepted if agent.take_back && roll > 215 => {
                (At::Ended, DirectiveProgress::Refused { reason: RefusalReason::Busy, detail: String::new() })
            }
            At::Accepted if agent.take_back => (At::GoingBack, DirectiveProgress::TakingBack),
            At::Accepted if !connected => return,
            At::Accepted if roll > 235 => (At::Ended, refusal(roll)),
            At::Accepted => {
                self.tell(host, DirectiveProgress::Ready);
                let begins = self.rollout.may_begin(host, agent.generation);
                if begins {
                    self.auditor.begins(host, agent.generation);
                    self.agents.get_mut(host).unwrap().at = At::Begun;
                }
                return;
            }
            At::Begun if roll > 240 => (At::Harmed, harm(HarmReason::TransactionFailed)),
            At::Begun => (At::Checking, DirectiveProgress::Verifying),
            At::Checking if roll > 225 => (At::Harmed, harm(HarmReason::CheckFailed)),
            At::Checking => (At::Proved, DirectiveProgress::Healthy),
            At::Proved if roll > 250 => (At::Harmed, harm(HarmReason::UnitFailed)),
            At::Harmed if agent.automatic => (At::GoingBack, DirectiveProgress::TakingBack),
            At::GoingBack if roll > 245 => (At::Ended, DirectiveProgress::NeedsAttention { detail: "conffile differs".to_owned() }),
            At::GoingBack => (At::Ended, DirectiveProgress::TakenBack),
            At::Proved | At::Harmed | At::Ended | At::Idle => {
                if connected && agent.generation != Generation::default() && !agent.history.is_empty() {
                    let last = self.agents.get_mut(host).unwrap().history.pop().unwrap();
                    self.tell(host, last);
                }
                return;
            }
        };
        let agent = self.agents.get_mut(host).unwrap();
        agent.at = next;
        agent.changed = match next {
            At::Checking | At::Harmed => true,
            At::Ended if matches!(progress, DirectiveProgress::TakenBack) => false,
            _ => agent.changed,
        };
        self.tell(host, progress);
    }
}

fn staging(roll: u8) -> StageResult {
    use patchwave_common::domain::NotStagedReason::{Gone, Unreachable};
    match roll {
        0..=225 => StageResult::Staged { bytes: 1, way_back: true },
        226..=232 => StageResult::Staged { bytes: 1, way_back: false },
        233..=244 => StageResult::NotStaged { reason: Unreachable, detail: "mirror".to_owned() },
        _ => StageResult::NotStaged { reason: Gone, detail: "404".to_owned() },
    }
}

fn refusal(roll: u8) -> DirectiveProgress {
    let reason = RefusalReason::ALL[usize::from(roll) % RefusalReason::ALL.len()];
    DirectiveProgress::Refused { reason, detail: "simulated".to_owned() }
}

fn harm(reason: HarmReason) -> DirectiveProgress {
    DirectiveProgress::Harmed { reason, detail: "simulated".to_owned() }
}

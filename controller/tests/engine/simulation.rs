//! Random fleets' lives: hosts that refuse, fail, fall silent and come back, operators that interfere, a controller that restarts. After
//! every event the auditor checks its invariants; at the end the world calms down and every rollout must come to an end, and its log must
//! give the same state when it is read again.

use std::collections::BTreeSet;
use std::time::Duration;

use patchwave::records::Actor;
use patchwave::rollout::plan::PlannedHost;
use patchwave::rollout::planner::{PlanRequest, RequestKind, ReverseTarget};
use patchwave::rollout::{Event, Halt, PauseReason, Presence, Recorded, Rollout, RolloutState, Standing};
use patchwave::rollout_log;
use patchwave_common::domain::policy::{Amount, Policy};
use patchwave_common::domain::{DirectiveProgress, Generation, HostId, OperatorName, RolloutId};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::agent::Sim;
use crate::fleet::{alice, plan_for, request, simple_fleet, three_waves};

#[derive(Debug, Clone)]
enum Action {
    Act { host: u8, roll: u8 },
    ActAll { roll: u8 },
    Offline(u8),
    Online(u8),
    Wait(u32),
    Pause,
    Resume(bool),
    Abort,
    Halt(bool),
    ReportHarm(u8),
    Standing(u8, u8),
    Claimed(u8, bool),
    Garbage { host: u8, generation: u64, kind: u8 },
    Restart,
    HandOver,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        20 => (any::<u8>(), any::<u8>()).prop_map(|(host, roll)| Action::Act { host, roll }),
        30 => (0_u8..=235).prop_map(|roll| Action::ActAll { roll }),
        4 => any::<u8>().prop_map(|roll| Action::ActAll { roll }),
        5 => any::<u8>().prop_map(Action::Offline),
        8 => any::<u8>().prop_map(Action::Online),
        12 => (1_u32..2_000).prop_map(Action::Wait),
        2 => (1_u32..200_000).prop_map(Action::Wait),
        1 => Just(Action::Pause),
        4 => any::<bool>().prop_map(Action::Resume),
        2 => any::<bool>().prop_map(Action::Halt),
        1 => any::<u8>().prop_map(Action::ReportHarm),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(host, which)| Action::Standing(host, which)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(host, claimed)| Action::Claimed(host, claimed)),
        3 => (any::<u8>(), 0_u64..40, any::<u8>()).prop_map(|(host, generation, kind)| Action::Garbage { host, generation, kind }),
        1 => Just(Action::Restart),
        1 => (0_u8..8).prop_map(|chance| if chance == 0 { Action::Abort } else { Action::HandOver }),
    ]
}

fn pick(sim: &Sim, host: u8) -> HostId {
    let hosts: Vec<&HostId> = sim.agents.keys().collect();
    hosts[usize::from(host) % hosts.len()].clone()
}

fn perform(sim: &mut Sim, action: &Action) {
    match action {
        Action::Act { host, roll } => sim.act(&pick(sim, *host), *roll),
        Action::ActAll { roll } => act_all(sim, *roll),
        Action::Offline(host) => {
            let host = pick(sim, *host);
            if sim.is_connected(&host) {
                sim.offline(host.as_str());
            }
        }
        Action::Online(host) => {
            let host = pick(sim, *host);
            if !sim.is_connected(&host) && sim.world.standing.get(&host) != Some(&Standing::Retired) {
                sim.online(host.as_str());
            }
        }
        Action::Wait(seconds) => sim.wait(Duration::from_secs(u64::from(*seconds))),
        Action::Pause => drop(sim.record(Event::Paused { by: alice(), reason: PauseReason::Operator, detail: "lunch".to_owned() })),
        Action::Resume(accept) => resume(sim, *accept),
        Action::Abort => drop(sim.record(Event::Aborted { by: alice(), reason: "enough".to_owned() })),
        Action::Halt(on) => sim.world.halt = Halt { on: *on, revision: sim.world.halt.revision + 1 },
        Action::ReportHarm(host) => {
            let host = sim.index(pick(sim, *host).as_str());
            drop(sim.record(Event::OperatorReportedHarm { host, by: OperatorName::parse("bob").unwrap(), reason: "slow".to_owned() }));
        }
        Action::Standing(host, which) => {
            let host = pick(sim, *host);
            let standing = [Standing::Eligible, Standing::Eligible, Standing::ClockOff, Standing::Cloned, Standing::Retired];
            let standing = standing[usize::from(*which) % standing.len()];
            if sim.world.standing.get(&host) != Some(&Standing::Retired) {
                sim.world.standing.insert(host.clone(), standing);
                if standing == Standing::Retired {
                    sim.offline(host.as_str());
                }
            }
        }
        Action::Claimed(host, claimed) => {
            let host = pick(sim, *host);
            if !claimed {
                sim.world.claims.remove(&host);
            } else if sim.rollout.directive_for(&host).is_none() {
                sim.world.claims.insert(host, RolloutId::parse("r-other").unwrap());
            }
        }
        Action::Garbage { host, generation, kind } => garbage(sim, &pick(sim, *host), *generation, *kind),
        Action::Restart => restart(sim),
        Action::HandOver => drop(sim.record(Event::HandedOver { to: RolloutId::parse("r-back").unwrap() })),
    }
    sim.settle();
}

fn act_all(sim: &mut Sim, roll: u8) {
    for (number, host) in sim.agents.keys().cloned().collect::<Vec<_>>().into_iter().enumerate() {
        sim.act(&host, roll.wrapping_add(u8::try_from(number % 3).unwrap()));
        sim.settle();
    }
}

fn resume(sim: &mut Sim, accept: bool) {
    for event in sim.rollout.resume(&alice(), if accept { "seen and accepted" } else { "" }) {
        drop(sim.record(event));
    }
}

/// Reports that no honest agent makes: they are refused or believed, and never break anything.
fn garbage(sim: &mut Sim, host: &HostId, generation: u64, kind: u8) {
    let detail = || "\u{1b}[31mred".to_owned();
    let progress = match kind % 5 {
        0 => DirectiveProgress::Accepted,
        1 => DirectiveProgress::Ready,
        2 => DirectiveProgress::TakingBack,
        3 => DirectiveProgress::Refused { reason: patchwave_common::domain::RefusalReason::Drifted, detail: detail() },
        _ => DirectiveProgress::Healthy,
    };
    let generation = Generation { epoch: u32::from(kind % 2), counter: generation };
    let claimed = sim.rollout.directive_for(host).is_some_and(|directive| directive.generation == generation);
    let outcome = sim.rollout.observe(host, generation, &progress);
    assert!(
        claimed || sim.agents[host].generation == generation || outcome.is_err(),
        "a report about a void directive is not taken: {outcome:?}"
    );
}

/// The controller is killed and starts again: its memory is the log, and for a while it does not know who is there.
fn restart(sim: &mut Sim) {
    let presence = sim.world.presence.clone();
    sim.rollout = read_again(sim);
    for now in sim.world.presence.values_mut() {
        *now = Presence::Unknown;
    }
    sim.settle();
    sim.wait(Duration::from_secs(60));
    for (host, before) in presence {
        let now = if matches!(before, Presence::Connected { .. }) {
            Presence::Connected { since: sim.now }
        } else {
            Presence::Offline { since: sim.now }
        };
        sim.world.presence.insert(host, now);
    }
}

/// The rollout as its stored log gives it.
pub fn read_again(sim: &Sim) -> Rollout {
    let (sealed, stored) = rollout_log::seal(sim.sealed.plan.as_ref().clone());
    assert_eq!(sealed.root, sim.sealed.root);
    let opened = rollout_log::open(stored.root, &stored.header, &stored.segments).unwrap();
    assert_eq!(opened.plan, sim.sealed.plan);
    let log = sim.log.iter().map(|recorded| rollout_log::decode(&rollout_log::encode(recorded)).unwrap());
    let rollout = Rollout::replay(opened, log).unwrap();
    assert_eq!(rollout.state_hash(), sim.rollout.state_hash(), "replay is exact");
    rollout
}

/// What kind of life.
#[derive(Debug, Clone)]
struct Setting {
    reverse: bool,
    automatic: bool,
    unavailable: Amount,
    wave_in_flight: u32,
    site_in_flight: u32,
    failures: u32,
    wave_failures: u32,
    minimum: u32,
    offline_budget: u32,
    staging_per_minute: u32,
}

fn setting() -> impl Strategy<Value = Setting> {
    let unavailable =
        prop_oneof![(1_u32..4).prop_map(Amount::Count), Just(Amount::Percent(5)), Just(Amount::Percent(50)), Just(Amount::All)];
    let kinds = (prop::bool::weighted(0.2), prop::bool::weighted(0.8), unavailable);
    let bounds = (1_u32..6, 1_u32..6, 1_u32..6, 1_u32..4, 1_u32..3, 0_u32..3, prop_oneof![Just(600_u32), 1_u32..5]);
    (kinds, bounds).prop_map(|((reverse, automatic, unavailable), bounds)| {
        let (wave_in_flight, site_in_flight, failures, wave_failures, minimum, offline_budget, staging_per_minute) = bounds;
        Setting {
            reverse,
            automatic,
            unavailable,
            wave_in_flight,
            site_in_flight,
            failures,
            wave_failures,
            minimum,
            offline_budget,
            staging_per_minute,
        }
    })
}

impl Setting {
    fn policy(&self) -> Policy {
        let mut policy = three_waves();
        policy.automatic_rollback = self.automatic;
        policy.limits.max_unavailable = self.unavailable;
        policy.limits.max_in_flight_per_site = self.site_in_flight;
        policy.limits.failures = self.failures;
        policy.limits.staging_per_minute = self.staging_per_minute;
        policy.offline.budget = Amount::Count(self.offline_budget);
        for wave in &mut policy.waves {
            wave.max_in_flight = self.wave_in_flight;
            wave.failure_limit = self.wave_failures;
            wave.minimum = self.minimum;
        }
        policy
    }

    fn start(&self) -> Sim {
        let fleet = simple_fleet(8);
        if !self.reverse {
            return Sim::started(&fleet, &self.policy());
        }
        let of = RolloutId::parse("r-0").unwrap();
        let (forward, _) = plan_for(&fleet, &request(), &self.policy()).unwrap();
        let target = |number: u64, host: &PlannedHost| ReverseTarget {
            generation: Generation { epoch: 1, counter: 1 + number },
            targets: forward.target_sets()[host.targets as usize].clone(),
        };
        let hosts = forward.hosts().zip(0..).map(|(host, number)| (host.id.clone(), target(number, &host))).collect();
        let reverse = PlanRequest { kind: RequestKind::Reverse { of, hosts }, ..request() };
        let mut sim = Sim::of(rollout_log::seal(plan_for(&fleet, &reverse, &self.policy()).unwrap().0).0);
        sim.record(Event::Started { by: alice() }).unwrap();
        sim.settle();
        sim
    }

    /// Harmed hosts wait for people, who hand the rollout over.
    fn needs_people(&self) -> bool {
        self.reverse || !self.automatic
    }
}

/// The world calms down: everybody is there, nobody interferes, operators answer. Every rollout then comes to an end.
fn calm_down(sim: &mut Sim, with_people: bool) {
    sim.world.halt.on = false;
    sim.world.claims.clear();
    for host in sim.agents.keys().cloned().collect::<Vec<_>>() {
        if sim.world.standing.get(&host) != Some(&Standing::Retired) {
            sim.world.standing.insert(host.clone(), Standing::Eligible);
            if !sim.is_connected(&host) {
                sim.online(host.as_str());
            }
        }
    }
    for _ in 0..3_000 {
        sim.settle();
        act_all(sim, 0);
        match sim.state() {
            RolloutState::Paused => resume(sim, true),
            RolloutState::NeedsAttention if with_people => drop(sim.record(Event::HandedOver { to: RolloutId::parse("r-back").unwrap() })),
            _ => {}
        }
        if sim.rollout.is_settled() {
            return;
        }
        sim.wait(Duration::from_secs(300));
    }
    panic!("it does not end: {:?} {:#?}", sim.state(), sim.rollout.progress(sim.now, &sim.world));
}

fn live(setting: &Setting, actions: &[Action]) -> Sim {
    let mut sim = setting.start();
    for action in actions {
        perform(&mut sim, action);
        let (at, view) = (sim.now, &sim.world);
        for host in sim.agents.keys() {
            assert!(!sim.rollout.explain(host, at, view).text.is_empty(), "every host is explained at every moment");
        }
        for wave in sim.rollout.progress(at, view) {
            let parts =
                [wave.pending, wave.staging, wave.staged, wave.applying, wave.verifying, wave.healthy, wave.failed, wave.taken_back];
            let rest = [wave.offline, wave.not_staged, wave.refused, wave.up_to_date, wave.retired];
            assert_eq!(parts.iter().chain(&rest).sum::<u32>(), wave.hosts, "each host counts in one field");
        }
    }
    read_again(&sim);
    calm_down(&mut sim, setting.needs_people());
    read_again(&sim);
    sim
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_everything_ends(setting in setting(), actions in prop::collection::vec(action(), 0..120)) {
        drop(live(&setting, &actions));
    }
}

/// More cases where somebody asks for them: PATCHWAVE_SIMULATIONS=10000.
fn cases() -> u32 {
    std::env::var("PATCHWAVE_SIMULATIONS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(60)
}

#[test]
fn a_kind_world_updates_everybody() {
    let mut sim = Sim::started(&simple_fleet(8), &three_waves());
    calm_down(&mut sim, false);
    assert_eq!(sim.state(), RolloutState::Completed);
    let summary = sim.rollout.summary();
    assert_eq!((summary.updated, summary.changed, summary.untouched, summary.charged), (10, 10, 0, 0));
    assert_eq!(summary.created_by, Some(Actor::Operator(OperatorName::parse("alice").unwrap())));
}

#[test]
fn the_simulation_reaches_every_kind_of_event_and_every_end() {
    let mut runner = TestRunner::deterministic();
    let lives = (setting(), prop::collection::vec(action(), 0..120));
    let (mut kinds, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..100 {
        let (setting, actions) = lives.new_tree(&mut runner).unwrap().current();
        let sim = live(&setting, &actions);
        let kind = |recorded: &Recorded| format!("{:?}", recorded.event).split([' ', '{']).next().unwrap_or_default().to_owned();
        kinds.extend(sim.log.iter().map(kind));
        ends.insert(sim.state().as_str());
    }
    let all = [
        "Aborted",
        "Completed",
        "Created",
        "GateOverridden",
        "HaltLifted",
        "Halted",
        "HandedOver",
        "HostConcluded",
        "HostNotStaged",
        "HostOffline",
        "HostProgress",
        "HostRetired",
        "HostReturned",
        "HostSilent",
        "HostStaged",
        "OperatorReportedHarm",
        "Paused",
        "Quarantined",
        "Released",
        "Resumed",
        "StageRequested",
        "Started",
        "Stopped",
        "TakeBackOrdered",
        "WavePassed",
        "WaveStarted",
        "WaveTimedOut",
        "Withdrawn",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["aborted", "completed", "needs-attention", "stopped"]);
}

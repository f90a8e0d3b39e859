//! Waves and gates: evidence, soak, absence, bounds.

use std::time::Duration;

use patchwave::rollout::plan::Emptied;
use patchwave::rollout::{Event, PassReason, Phase, RolloutState, WaitingReason, WaveIndex, WaveStage};
use patchwave_common::domain::policy::{Amount, Policy};
use patchwave_common::domain::{DirectiveProgress, RefusalReason};

use crate::agent::Sim;
use crate::fleet::{Host, alice, host_id, simple_fleet, three_waves};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn passed(sim: &Sim) -> Vec<(u16, PassReason)> {
    let gate = |event: &Event| if let Event::WavePassed { wave, because } = event { Some((wave.0, *because)) } else { None };
    sim.log.iter().filter_map(|recorded| gate(&recorded.event)).collect()
}

fn waiting(sim: &Sim) -> WaitingReason {
    sim.rollout.waiting_for(sim.now, &sim.world).unwrap().reason
}

/// Everybody has downloaded, and the test ring is through its gate.
fn canaries_on(production: usize, policy: &Policy) -> Sim {
    let mut sim = Sim::started(&simple_fleet(production), policy);
    sim.stage_all();
    sim.update_all();
    sim.wait(10 * MINUTE);
    assert_eq!(passed(&sim), [(0, PassReason::Proved)]);
    sim
}

#[test]
fn waves_go_one_after_the_other_each_through_its_soak() {
    let mut sim = Sim::started(&simple_fleet(6), &three_waves());
    sim.stage_all();
    assert_eq!(sim.rollout.summary().untouched, 6, "only the test ring is ordered");
    sim.update("test-0");
    sim.wait(5 * MINUTE);
    sim.update("test-1");
    assert_eq!(waiting(&sim), WaitingReason::Soaking);
    assert_eq!(sim.rollout.progress(sim.now, &sim.world)[0].stage, WaveStage::Soaking);
    sim.wait(9 * MINUTE);
    assert_eq!(passed(&sim), [], "the soak counts from each host's own proof");
    sim.wait(MINUTE);
    assert_eq!(passed(&sim), [(0, PassReason::Proved)]);
    assert_eq!(sim.phase("test-0"), Phase::Concluded);
    assert!(sim.rollout.conclude_for(&host_id("test-0")).is_some() && sim.rollout.directive_for(&host_id("test-0")).is_none());
    let told = sim.rollout.explain(&host_id(&sim.wave(2)[0]), sim.now, &sim.world);
    assert_eq!((told.code, told.text.contains("canary")), ("earlier-wave", true));
    sim.update_all();
    sim.wait(20 * MINUTE);
    sim.update_all();
    sim.wait(10 * MINUTE);
    assert_eq!(sim.state(), RolloutState::Completed);
}

#[test]
fn an_evidence_that_cannot_come_any_more_pauses_and_passes_only_on_an_operators_word() {
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    for host in ["test-0", "test-1"] {
        sim.report(host, DirectiveProgress::Refused { reason: RefusalReason::LocalHold, detail: "release".to_owned() });
    }
    assert_eq!(sim.state(), RolloutState::Paused);
    assert!(sim.rollout.reason().contains("0 hosts are proved healthy and the gate wants 1, 2 refused"), "{}", sim.rollout.reason());
    for event in sim.rollout.resume(&alice(), "") {
        sim.record(event).unwrap();
    }
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Paused, "resuming alone lets no gate pass");
    for event in sim.rollout.resume(&alice(), "tested by hand") {
        sim.record(event).unwrap();
    }
    sim.settle();
    assert_eq!((sim.state(), passed(&sim)), (RolloutState::Running, vec![(0, PassReason::Overridden)]));
}

#[test]
fn a_wave_without_hosts_decides_nothing() {
    let fleet: Vec<Host> = simple_fleet(4).into_iter().skip(2).collect();
    let mut sim = Sim::started(&fleet, &three_waves());
    assert_eq!(sim.state(), RolloutState::Paused);
    assert!(sim.rollout.reason().contains("wave \"test\" has no host"), "{}", sim.rollout.reason());
    sim.wait(HOUR);
    assert_eq!(sim.rollout.summary().untouched, 4);
}

#[test]
fn a_wave_that_is_up_to_date_passes_with_nothing_to_do() {
    let mut fleet = simple_fleet(4);
    for host in &mut fleet[..2] {
        *host = Host::new(host.id.as_str(), "ring=test").has("openssl", "3.0.15");
    }
    let sim = Sim::started(&fleet, &three_waves());
    assert_eq!(sim.sealed.plan.planned_wave(WaveIndex(0)).unwrap().emptied, Some(Emptied::UpToDate));
    assert_eq!(passed(&sim), [(0, PassReason::NothingToDo)]);
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    for host in ["test-0", "test-1"] {
        sim.report(host, DirectiveProgress::Refused { reason: RefusalReason::AlreadyAtTarget, detail: String::new() });
    }
    assert_eq!(passed(&sim), [(0, PassReason::NothingToDo)], "also where the hosts say so themselves");
}

#[test]
fn an_offline_host_is_left_to_catch_up_and_the_wave_goes_on() {
    let mut sim = canaries_on(4, &three_waves());
    let canaries = sim.wave(1);
    sim.offline(&canaries[0]);
    sim.wait(4 * MINUTE);
    assert_eq!(sim.phase(&canaries[0]), Phase::Released, "the policy's grace");
    sim.wait(MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.directive_for(&host_id(&canaries[0]))), (Phase::Offline, None));
    sim.update(&canaries[1]);
    sim.wait(20 * MINUTE);
    assert_eq!(passed(&sim).len(), 2, "one offline host is within the budget");
    sim.update_all();
    sim.wait(10 * MINUTE);
    assert_eq!((sim.state(), sim.rollout.charged()), (RolloutState::CatchingUp, 0));
    let waits = sim.rollout.catch_up_text().unwrap();
    assert!(waits.starts_with("1 hosts that are away") && waits.contains(canaries[0].as_str()) && waits.contains(", until "), "{waits}");
    sim.wait(24 * HOUR);
    sim.online(&canaries[0]);
    sim.settle();
    assert_eq!(sim.phase(&canaries[0]), Phase::Released, "it gets the patch when it returns");
    sim.update(&canaries[0]);
    assert_eq!(sim.state(), RolloutState::CatchingUp);
    sim.wait(20 * MINUTE);
    assert_eq!((sim.state(), sim.rollout.summary().updated), (RolloutState::Completed, 6));
}

#[test]
fn after_the_deadline_a_returning_host_gets_nothing() {
    let mut sim = canaries_on(2, &three_waves());
    let late = sim.wave(1)[0].clone();
    sim.offline(&late);
    sim.wait(5 * MINUTE);
    sim.update_all();
    sim.wait(20 * MINUTE);
    assert_eq!(sim.state(), RolloutState::CatchingUp);
    sim.wait(48 * HOUR);
    assert_eq!(sim.state(), RolloutState::Completed);
    sim.online(&late);
    sim.settle();
    assert_eq!(sim.rollout.directive_for(&host_id(&late)), None);
    assert!(sim.rollout.replannable().contains(&host_id(&late)));
}

#[test]
fn more_offline_hosts_than_the_budget_hold_the_gate_until_its_time_limit() {
    let mut sim = canaries_on(6, &three_waves());
    sim.update_all();
    sim.wait(20 * MINUTE);
    let rest = sim.wave(2);
    for host in &rest[..2] {
        sim.offline(host);
    }
    sim.wait(5 * MINUTE);
    sim.update_all();
    sim.wait(HOUR);
    assert_eq!((sim.state(), waiting(&sim)), (RolloutState::Running, WaitingReason::Offline));
    sim.wait(12 * HOUR);
    assert_eq!(sim.state(), RolloutState::Paused);
    assert!(sim.rollout.reason().contains("time limit") && sim.rollout.reason().contains("offline"), "{}", sim.rollout.reason());
    sim.online(&rest[0]);
    for event in sim.rollout.resume(&alice(), "") {
        sim.record(event).unwrap();
    }
    sim.settle();
    sim.update(&rest[0]);
    sim.wait(10 * MINUTE);
    assert_eq!(passed(&sim).len(), 3, "one is within the budget, and the time limit began anew");
}

#[test]
fn returning_hosts_are_released_at_a_bounded_rate() {
    let mut rules = three_waves();
    rules.offline.budget = Amount::All;
    rules.waves[2].max_in_flight = 10;
    rules.limits.max_in_flight_per_site = 10;
    rules.limits.max_unavailable = Amount::All;
    let mut sim = canaries_on(8, &rules);
    sim.update_all();
    let rest = sim.wave(2);
    rest.iter().skip(1).for_each(|host| sim.offline(host));
    sim.wait(25 * MINUTE);
    sim.update_all();
    sim.wait(10 * MINUTE);
    rest.iter().skip(1).for_each(|host| sim.online(host));
    sim.settle();
    let released = |sim: &Sim| rest.iter().filter(|host| sim.phase(host) == Phase::Released).count();
    assert_eq!(released(&sim), 2);
    sim.wait(MINUTE);
    assert_eq!(released(&sim), 4);
    sim.wait(MINUTE);
    assert_eq!(released(&sim), 5);
}

#[test]
fn a_wave_that_does_not_pass_in_time_waits_for_an_operator() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Accepted);
    sim.wait(6 * HOUR);
    assert_eq!(sim.state(), RolloutState::Paused);
    assert_eq!(sim.phase("test-0"), Phase::Pending, "what has not begun is withdrawn");
    assert!(matches!(
        sim.log.iter().rev().find_map(|recorded| match recorded.event {
            Event::WaveTimedOut { wave, waiting } => Some((wave, waiting)),
            _ => None,
        }),
        Some((WaveIndex(0), WaitingReason::InFlight))
    ));
}

#[test]
fn hosts_in_flight_stay_within_every_bound() {
    let in_flight = |change: &dyn Fn(&mut Policy)| {
        let mut rules = three_waves();
        rules.limits.max_unavailable = Amount::All;
        rules.waves.remove(1);
        rules.waves[1].max_in_flight = 9;
        rules.limits.max_in_flight_per_site = 9;
        change(&mut rules);
        let mut sim = Sim::started(&simple_fleet(12), &rules);
        sim.stage_all();
        sim.update_all();
        sim.wait(10 * MINUTE);
        sim.wave(1).iter().filter(|host| sim.phase(host) == Phase::Released).count()
    };
    assert_eq!(in_flight(&|_| {}), 9);
    assert_eq!(in_flight(&|rules| rules.waves[1].max_in_flight = 4), 4);
    assert_eq!(in_flight(&|rules| rules.limits.max_in_flight_per_site = 2), 4, "two sites of two");
    assert_eq!(in_flight(&|rules| rules.limits.max_unavailable = Amount::Count(3)), 3);
    assert_eq!(in_flight(&|rules| rules.limits.max_unavailable = Amount::Percent(1)), 1, "a share that rounds down to none is one");
}

#[test]
fn a_retired_host_leaves_the_denominators() {
    let mut sim = canaries_on(4, &three_waves());
    let canaries = sim.wave(1);
    sim.update(&canaries[0]);
    sim.world.standing.insert(host_id(&canaries[1]), patchwave::rollout::Standing::Retired);
    sim.offline(&canaries[1]);
    sim.wait(20 * MINUTE);
    assert_eq!((sim.phase(&canaries[1]), passed(&sim).len(), sim.rollout.charged()), (Phase::Retired, 2, 0));
}

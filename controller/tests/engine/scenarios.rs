//! Operators, halts, restarts, downloads: what each does to a rollout.

use std::time::Duration;

use patchwave::rollout::{Event, Halt, Ordered, PauseReason, Phase, Presence, Recorded, Rejected, RolloutState, Staging};
use patchwave_common::domain::{
    DirectiveProgress, Generation, NotStagedReason, OperatorName, QuarantineKey, RefusalReason, StageResult, Timestamp,
};

use crate::agent::Sim;
use crate::fleet::{Host, alice, host_id, policy, simple_fleet, three_waves};
use crate::simulation::read_again;

fn operator(name: &str) -> OperatorName {
    OperatorName::parse(name).unwrap()
}

fn pause(sim: &mut Sim) {
    sim.record(Event::Paused { by: alice(), reason: PauseReason::Operator, detail: "lunch".to_owned() }).unwrap();
    sim.settle();
}

#[test]
fn approval_is_by_others_than_the_planner_and_by_different_ones() {
    let mut rules = three_waves();
    rules.approvals = 2;
    let mut sim = Sim::planned(&simple_fleet(2), &rules);
    assert_eq!(sim.state(), RolloutState::AwaitingApproval);
    assert!(matches!(sim.record(Event::Started { by: alice() }), Err(Rejected::WrongState { .. })));
    assert!(matches!(sim.record(Event::Approved { by: operator("alice") }), Err(Rejected::Approval(_))));
    sim.record(Event::Approved { by: operator("bob") }).unwrap();
    assert!(matches!(sim.record(Event::Approved { by: operator("bob") }), Err(Rejected::Approval(_))));
    sim.record(Event::Approved { by: operator("carol") }).unwrap();
    assert_eq!(sim.state(), RolloutState::Approved);
    sim.record(Event::Started { by: alice() }).unwrap();
    assert_eq!(sim.state(), RolloutState::Running);
}

#[test]
fn all_waves_download_from_the_start_at_the_bounded_rate() {
    let mut rules = three_waves();
    rules.limits.staging_per_minute = 3;
    let mut sim = Sim::started(&simple_fleet(6), &rules);
    let asked = |sim: &Sim| sim.sealed.plan.indexes().filter(|&host| sim.rollout.staging_of(host) == Some(Staging::Asked)).count();
    assert_eq!(asked(&sim), 3);
    sim.wait(Duration::from_secs(59));
    assert_eq!(asked(&sim), 3);
    sim.wait(Duration::from_secs(61));
    assert_eq!(asked(&sim), 8, "also hosts of waves that have not begun");
    assert_eq!(sim.phase("test-0"), Phase::Pending, "no order before the download");
}

#[test]
fn a_pause_withdraws_what_has_not_begun_and_lets_the_rest_finish() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Ready);
    sim.report("test-1", DirectiveProgress::Accepted);
    let withdrawn = sim.rollout.directive_for(&host_id("test-1")).unwrap().generation;
    pause(&mut sim);
    assert_eq!(sim.state(), RolloutState::Paused);
    assert_eq!((sim.phase("test-0"), sim.phase("test-1")), (Phase::Applying, Phase::Pending));
    assert_eq!(sim.rollout.directive_for(&host_id("test-1")), None);
    let late = sim.rollout.observe(&host_id("test-1"), withdrawn, &DirectiveProgress::Ready);
    assert!(matches!(late, Err(Rejected::Stale { .. })), "a void order gets no lease");
    sim.report("test-0", DirectiveProgress::Verifying);
    sim.report("test-0", DirectiveProgress::Healthy);
    sim.record(Event::Resumed { by: alice() }).unwrap();
    sim.settle();
    assert!(sim.rollout.directive_for(&host_id("test-1")).unwrap().generation > withdrawn);
}

#[test]
fn a_lost_lease_is_given_again_only_while_things_may_begin() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Ready);
    let generation = sim.rollout.directive_for(&host_id("test-0")).unwrap().generation;
    assert!(sim.rollout.may_begin(&host_id("test-0"), generation));
    assert!(!sim.rollout.may_begin(&host_id("test-0"), Generation { epoch: 0, counter: 1 }));
    let due = [(host_id("test-0"), generation)];
    assert_eq!(sim.rollout.leases_due(), due);
    pause(&mut sim);
    assert!(!sim.rollout.may_begin(&host_id("test-0"), generation));
    assert_eq!(sim.rollout.leases_due(), [], "nothing begins in a pause");
    sim.record(Event::Resumed { by: alice() }).unwrap();
    assert_eq!(sim.rollout.leases_due(), due, "it asked in vain and is offered one now");
    pause(&mut sim);
    sim.report("test-0", DirectiveProgress::Refused { reason: RefusalReason::NoLease, detail: String::new() });
    assert_eq!((sim.phase("test-0"), sim.rollout.charged()), (Phase::Pending, 0));
}

#[test]
fn the_fleets_halt_stops_all_that_has_not_begun_and_taking_back_goes_on() {
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Ready);
    sim.world.halt = Halt { on: true, revision: 9 };
    sim.settle();
    assert_eq!((sim.state(), sim.phase("test-1")), (RolloutState::Halted, Phase::Pending));
    sim.record(Event::OperatorReportedHarm { host: sim.index("test-0"), by: operator("bob"), reason: "down".to_owned() }).unwrap();
    sim.settle();
    assert!(sim.rollout.directive_for(&host_id("test-0")).is_some(), "ordered back under the halt");
    sim.report("test-0", DirectiveProgress::TakingBack);
    sim.report("test-0", DirectiveProgress::TakenBack);
    sim.world.halt = Halt { on: false, revision: 10 };
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Stopped, "the wave's limit of one was reached, halt or not");
}

#[test]
fn an_abort_releases_nothing_more_and_ends_when_what_has_begun_is_done() {
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Ready);
    sim.record(Event::Aborted { by: alice(), reason: "wrong day".to_owned() }).unwrap();
    sim.settle();
    assert_eq!((sim.state(), sim.phase("test-1")), (RolloutState::Aborting, Phase::Pending));
    sim.report("test-0", DirectiveProgress::Verifying);
    sim.report("test-0", DirectiveProgress::Healthy);
    assert_eq!(sim.state(), RolloutState::Aborted);
    assert!(!sim.rollout.is_settled(), "the healthy host is watched through its soak");
    sim.wait(Duration::from_secs(600));
    assert_eq!(sim.phase("test-0"), Phase::Concluded);
    assert!(sim.rollout.is_settled());
    assert_eq!(sim.rollout.summary().untouched, 4);
    assert!(sim.rollout.summary().reason.contains("wrong day"));
}

#[test]
fn a_plan_that_never_started_can_be_aborted() {
    let mut sim = Sim::planned(&simple_fleet(2), &three_waves());
    sim.record(Event::Aborted { by: alice(), reason: String::new() }).unwrap();
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Aborted);
}

#[test]
fn unknown_presence_is_no_verdict() {
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Ready);
    sim.rollout = read_again(&sim);
    for presence in sim.world.presence.values_mut() {
        *presence = Presence::Unknown;
    }
    sim.wait(Duration::from_secs(3600));
    assert_eq!((sim.phase("test-0"), sim.phase("test-1")), (Phase::Applying, Phase::Released));
    assert_eq!(sim.rollout.charged(), 0);
}

#[test]
fn many_hosts_that_cannot_download_pause_the_rollout_and_are_never_harm() {
    let mut sim = Sim::started(&simple_fleet(6), &three_waves());
    let refuse = |sim: &mut Sim, host: &str, reason| {
        sim.stage(&host_id(host), &StageResult::NotStaged { reason, detail: "mirror.example: 404".to_owned() });
        sim.settle();
    };
    refuse(&mut sim, "web-00", NotStagedReason::Unreachable);
    refuse(&mut sim, "web-01", NotStagedReason::Gone);
    assert_eq!(sim.state(), RolloutState::Running);
    refuse(&mut sim, "web-02", NotStagedReason::DiskFull);
    assert_eq!(sim.state(), RolloutState::Paused);
    assert_eq!(sim.rollout.charged(), 0);
    assert!(sim.rollout.reason().contains("3 hosts could not stage"), "{}", sim.rollout.reason());
    sim.record(Event::Resumed { by: alice() }).unwrap();
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Running, "an operator who resumes has seen them");
    assert_eq!(sim.rollout.staging_of(sim.index("web-00")), Some(Staging::Asked), "asked again");
    assert_eq!(sim.rollout.staging_of(sim.index("web-01")), Some(Staging::NotStaged), "asking again cannot help");
    refuse(&mut sim, "web-00", NotStagedReason::Unreachable);
    refuse(&mut sim, "web-02", NotStagedReason::DiskFull);
    assert_eq!(sim.state(), RolloutState::Running, "and is not asked about the same hosts again");
    assert!(sim.rollout.replannable().contains(&host_id("web-01")));
    let told = sim.rollout.explain(&host_id("web-01"), sim.now, &sim.world);
    assert_eq!(told.code, "not-staged");
    assert!(told.text.contains("404") && told.text.contains("replan"), "{}", told.text);
}

#[test]
fn a_host_that_never_says_how_its_download_went_counts_as_not_staged() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.wait(Duration::from_secs(4199));
    assert_eq!(sim.rollout.staging_of(sim.index("test-0")), Some(Staging::Asked));
    sim.wait(Duration::from_secs(1));
    assert_eq!(sim.rollout.staging_of(sim.index("test-0")), Some(Staging::NotStaged));
}

#[test]
fn a_host_without_a_certain_way_back_is_left_as_it_is_unless_the_policy_permits() {
    let run = |permitted: bool| {
        let mut rules = three_waves();
        rules.transaction.allow_no_way_back = permitted;
        let mut sim = Sim::started(&simple_fleet(2), &rules);
        sim.stage(&host_id("test-0"), &StageResult::Staged { bytes: 1, way_back: false });
        sim.settle();
        sim.phase("test-0")
    };
    assert_eq!((run(false), run(true)), (Phase::Refused, Phase::Released));
}

#[test]
fn a_refusal_that_may_pass_is_ordered_again_three_times_with_newer_generations() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.stage_all();
    let mut generations = Vec::new();
    for _ in 0..4 {
        generations.push(sim.rollout.directive_for(&host_id("test-0")).unwrap().generation);
        sim.report("test-0", DirectiveProgress::Refused { reason: RefusalReason::LockHeld, detail: "apt".to_owned() });
        sim.wait(Duration::from_secs(60));
    }
    assert!(generations.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!((sim.phase("test-0"), sim.rollout.charged()), (Phase::Refused, 0));
    assert_eq!(sim.rollout.explain(&host_id("test-0"), sim.now, &sim.world).code, "lock-held");
}

#[test]
fn a_version_that_another_rollout_quarantined_pauses_this_one() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    let set = &sim.sealed.plan.target_sets()[0];
    let target = set.targets[0].clone();
    sim.world.quarantine.insert(QuarantineKey {
        manager: set.manager,
        origin: target.origin,
        source: target.source,
        version: target.to,
        architecture: target.id.architecture,
    });
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Paused);
    assert!(sim.rollout.reason().contains("openssl:amd64 3.0.15"), "{}", sim.rollout.reason());
    sim.world.quarantine.clear();
    sim.record(Event::Resumed { by: alice() }).unwrap();
    sim.stage_all();
    assert_eq!(sim.phase("test-0"), Phase::Released);
}

#[test]
fn bad_events_are_rejected_and_change_nothing() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.stage_all();
    let host = sim.index("test-0");
    let beyond = patchwave::rollout::HostIndex(4_000);
    let order = |host, counter| Ordered { host, generation: Generation { epoch: 1, counter } };
    let bad = [
        Event::Created { by: alice(), plan: sim.sealed.root },
        Event::Released { hosts: vec![order(beyond, 90)] },
        Event::Released { hosts: vec![order(host, 91)] },
        Event::Released { hosts: vec![] },
        Event::Withdrawn { hosts: vec![host, host] },
        Event::TakeBackOrdered { hosts: vec![order(host, 92)] },
        Event::HostConcluded { hosts: vec![host] },
        Event::HostStaged { host: beyond, way_back: true },
        Event::WavePassed { wave: patchwave::rollout::WaveIndex(0), because: patchwave::rollout::PassReason::Proved },
        Event::WaveStarted { wave: patchwave::rollout::WaveIndex(9) },
        Event::WaveTimedOut { wave: patchwave::rollout::WaveIndex(0), waiting: patchwave::rollout::WaitingReason::Staging },
        Event::Stopped { reason: patchwave::rollout::StopReason::RolloutLimit },
        Event::Quarantined { keys: vec![] },
        Event::Completed { outcome: patchwave::rollout::Outcome::Completed },
        Event::Resumed { by: alice() },
        Event::HaltLifted { revision: 3 },
        Event::HandedOver { to: crate::fleet::rollout_id() },
    ];
    for event in bad {
        let shown = format!("{event:?}");
        assert!(sim.record(event).is_err(), "{shown} was accepted");
    }
    let earlier = Recorded { at: Timestamp(sim.rollout.last_at().0 - 1), event: Event::Aborted { by: alice(), reason: String::new() } };
    assert!(matches!(sim.rollout.check(&earlier), Err(Rejected::TimeWentBack { .. })));
}

#[test]
fn hosts_of_another_rollout_and_hosts_with_a_wrong_clock_wait() {
    let mut sim = Sim::started(&simple_fleet(2), &three_waves());
    sim.world.claims.insert(host_id("test-0"), patchwave_common::domain::RolloutId::parse("r-other").unwrap());
    sim.world.standing.insert(host_id("test-1"), patchwave::rollout::Standing::ClockOff);
    sim.stage_all();
    let told = sim.rollout.explain(&host_id("test-0"), sim.now, &sim.world);
    assert_eq!(told.code, "claimed");
    assert!(told.text.contains("r-other"), "{}", told.text);
    assert_eq!(sim.rollout.explain(&host_id("test-1"), sim.now, &sim.world).code, "ineligible");
    sim.wait(Duration::from_secs(300));
    assert_eq!((sim.phase("test-0"), sim.phase("test-1")), (Phase::Pending, Phase::Offline));
    sim.world.claims.clear();
    sim.world.standing.clear();
    sim.settle();
    assert_eq!((sim.phase("test-0"), sim.phase("test-1")), (Phase::Released, Phase::Released));
}

#[test]
fn excluded_and_unknown_hosts_are_explained() {
    let mut fleet = simple_fleet(2);
    fleet.push(Host::new("old-1", "").has("openssl", "3.0.15"));
    let sim = Sim::started(&fleet, &policy("name = \"p\"\n[[wave]]\nname = \"all\"\n"));
    let told = sim.rollout.explain(&host_id("old-1"), sim.now, &sim.world);
    assert_eq!((told.state.as_str(), told.code), ("excluded", "already-at-version"));
    assert_eq!(sim.rollout.explain(&host_id("new-1"), sim.now, &sim.world).code, "not-in-fleet");
}

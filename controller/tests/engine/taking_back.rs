//! Harm, silence, stopping, taking back, reverse rollouts.

use std::time::Duration;

use patchwave::rollout::planner::{PlanRequest, RequestKind};
use patchwave::rollout::{Event, Outcome, Phase, Rejected, RolloutState, StopReason, WaveIndex};
use patchwave::rollout_log;
use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{DirectiveProgress, HarmReason, OperatorName, Order, RefusalReason, RolloutId};

use crate::agent::Sim;
use crate::fleet::{host_id, plan_for, request, rollout_id, simple_fleet, three_waves};

const MINUTE: Duration = Duration::from_secs(60);

/// The test ring is through, canaries are ordered.
fn canaries_on(policy: &Policy) -> (Sim, Vec<String>) {
    let mut sim = Sim::started(&simple_fleet(6), policy);
    sim.stage_all();
    sim.update_all();
    sim.wait(10 * MINUTE);
    let canaries = sim.wave(1);
    assert!(canaries.iter().all(|host| sim.phase(host) == Phase::Released));
    (sim, canaries)
}

/// A canary wave that bears one failure.
fn patient() -> Policy {
    let mut policy = three_waves();
    policy.waves[1].failure_limit = 2;
    policy.limits.failures = 3;
    policy
}

fn ordered_back(sim: &Sim, host: &str) -> bool {
    matches!(sim.rollout.directive_for(&host_id(host)).map(|directive| directive.order), Some(Order::TakeBack(_)))
}

fn harm(sim: &mut Sim, host: &str) {
    sim.report(host, DirectiveProgress::Harmed { reason: HarmReason::CheckFailed, detail: "http: 500".to_owned() });
}

#[test]
fn a_failing_canary_stops_everything_and_quarantines_the_suspects() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.report(&canaries[0], DirectiveProgress::Verifying);
    harm(&mut sim, &canaries[0]);
    assert_eq!(sim.state(), RolloutState::Stopping);
    assert_eq!(sim.phase(&canaries[1]), Phase::Pending, "withdrawn, it had not begun");
    sim.report(&canaries[0], DirectiveProgress::TakingBack);
    sim.report(&canaries[0], DirectiveProgress::TakenBack);
    assert_eq!(sim.state(), RolloutState::Stopped);
    let summary = sim.rollout.summary();
    assert_eq!((summary.charged, summary.taken_back, summary.updated, summary.untouched), (1, 1, 2, 4), "healthy hosts stay");
    assert_eq!(summary.quarantined.iter().map(|key| key.version.as_str()).collect::<Vec<_>>(), ["3.0.15"]);
    assert!(summary.reason.contains("wave \"canary\"") && summary.reason.contains("http: 500"), "{}", summary.reason);
    assert!(sim.log.iter().any(|recorded| recorded.event == Event::Stopped { reason: StopReason::WaveLimit(WaveIndex(1)) }));
    let told = sim.rollout.explain(&host_id(&sim.wave(2)[0]), sim.now, &sim.world);
    assert_eq!(told.code, "rollout-over");
    sim.wait(100 * MINUTE);
    assert_eq!(sim.rollout.summary().untouched, 4);
}

#[test]
fn what_has_begun_finishes_after_a_stop_and_healthy_hosts_stay() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    for host in &canaries {
        sim.report(host, DirectiveProgress::Ready);
        sim.report(host, DirectiveProgress::Verifying);
    }
    harm(&mut sim, &canaries[0]);
    assert_eq!(sim.phase(&canaries[1]), Phase::Verifying);
    sim.report(&canaries[1], DirectiveProgress::Healthy);
    sim.report(&canaries[0], DirectiveProgress::TakenBack);
    assert_eq!((sim.state(), sim.phase(&canaries[1])), (RolloutState::Stopped, Phase::Healthy));
    sim.wait(20 * MINUTE);
    assert_eq!((sim.phase(&canaries[1]), sim.rollout.is_settled()), (Phase::Concluded, true));
}

#[test]
fn silence_after_applying_is_harm_and_is_never_refunded() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.offline(&canaries[0]);
    sim.wait(9 * MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Applying, 0));
    sim.wait(MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Harmed, 1));
    assert!(ordered_back(&sim, &canaries[0]));
    let told = sim.rollout.explain(&host_id(&canaries[0]), sim.now, &sim.world);
    assert!(told.text.contains("silent") && told.text.contains("when it returns"), "{}", told.text);
    sim.online(&canaries[0]);
    sim.settle();
    sim.report(&canaries[0], DirectiveProgress::TakingBack);
    sim.report(&canaries[0], DirectiveProgress::TakenBack);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::TakenBack, 1), "healed, and still charged");
}

#[test]
fn silence_before_applying_is_neither_success_nor_failure() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    sim.report(&canaries[0], DirectiveProgress::Accepted);
    sim.offline(&canaries[0]);
    sim.wait(60 * MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Offline, 0));
}

#[test]
fn silence_in_the_soak_is_harm_and_after_it_is_nothing() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.update(&canaries[0]);
    sim.update(&canaries[1]);
    sim.wait(19 * MINUTE);
    sim.offline(&canaries[0]);
    sim.wait(2 * MINUTE);
    assert_eq!(sim.rollout.current_wave(), Some(WaveIndex(1)), "no gate passes on a host that is away in its soak");
    sim.wait(8 * MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Harmed, 1));
    assert_eq!(sim.rollout.current_wave(), Some(WaveIndex(2)), "the other canary is enough evidence");
    sim.offline(&canaries[1]);
    sim.wait(60 * MINUTE);
    assert_eq!((sim.phase(&canaries[1]), sim.rollout.charged()), (Phase::Concluded, 1));
}

#[test]
fn a_host_that_answers_and_never_tells_how_it_went_is_lost_too() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.wait(80 * MINUTE);
    assert_eq!(sim.phase(&canaries[0]), Phase::Applying);
    sim.wait(10 * MINUTE);
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Harmed, 1));
}

#[test]
fn failures_of_several_waves_add_up_to_the_rollouts_limit() {
    let mut policy = patient();
    policy.limits.failures = 2;
    let (mut sim, canaries) = canaries_on(&policy);
    sim.fail(&canaries[0]);
    assert_eq!(sim.state(), RolloutState::Running, "the wave bears one");
    sim.update(&canaries[1]);
    sim.wait(20 * MINUTE);
    let next = sim.wave(2)[0].clone();
    sim.fail(&next);
    assert_eq!((sim.state(), sim.rollout.charged()), (RolloutState::Stopped, 2));
    assert!(sim.log.iter().any(|recorded| recorded.event == Event::Stopped { reason: StopReason::RolloutLimit }));
}

#[test]
fn a_failed_host_keeps_its_place_in_the_budget_until_it_is_restored() {
    let mut policy = patient();
    policy.limits.max_unavailable = patchwave_common::domain::policy::Amount::Count(1);
    let mut sim = Sim::started(&simple_fleet(6), &policy);
    sim.stage_all();
    sim.update_all();
    sim.wait(10 * MINUTE);
    let canaries = sim.wave(1);
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.report(&canaries[0], DirectiveProgress::Verifying);
    harm(&mut sim, &canaries[0]);
    assert_eq!(sim.phase(&canaries[1]), Phase::Pending);
    sim.report(&canaries[0], DirectiveProgress::TakenBack);
    assert_eq!(sim.phase(&canaries[1]), Phase::Released);
}

#[test]
fn a_persons_report_counts_and_takes_the_host_back() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.update(&canaries[0]);
    let report = |sim: &Sim, host: &str| Event::OperatorReportedHarm {
        host: sim.index(host),
        by: OperatorName::parse("bob").unwrap(),
        reason: "users see errors".to_owned(),
    };
    let unbegun = report(&sim, &canaries[1]);
    assert!(matches!(sim.record(unbegun), Err(Rejected::WrongPhase { .. })));
    let event = report(&sim, &canaries[0]);
    sim.record(event).unwrap();
    sim.settle();
    assert!(ordered_back(&sim, &canaries[0]));
    let event = report(&sim, "test-0");
    sim.record(event).unwrap();
    sim.settle();
    assert!(ordered_back(&sim, "test-0"), "also a host that was concluded, while the rollout goes on");
    assert_eq!(sim.rollout.charged(), 2);
}

#[test]
fn without_automatic_rollback_harmed_hosts_wait_until_a_limit_is_reached() {
    let mut policy = patient();
    policy.automatic_rollback = false;
    let (mut sim, canaries) = canaries_on(&policy);
    for host in &canaries {
        sim.report(host, DirectiveProgress::Ready);
        sim.report(host, DirectiveProgress::Verifying);
    }
    harm(&mut sim, &canaries[0]);
    assert!(!ordered_back(&sim, &canaries[0]));
    harm(&mut sim, &canaries[1]);
    assert!(ordered_back(&sim, &canaries[0]) && ordered_back(&sim, &canaries[1]));
}

#[test]
fn an_order_back_that_is_refused_is_given_again_and_at_last_needs_a_person() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.offline(&canaries[0]);
    sim.wait(10 * MINUTE);
    assert_eq!(sim.state(), RolloutState::NeedsAttention, "it ends without the lost host, and says so");
    sim.online(&canaries[0]);
    sim.settle();
    for _ in 0..5 {
        assert!(ordered_back(&sim, &canaries[0]));
        sim.report(&canaries[0], DirectiveProgress::Refused { reason: RefusalReason::Busy, detail: String::new() });
        sim.wait(MINUTE);
    }
    assert_eq!((sim.phase(&canaries[0]), sim.state()), (Phase::NeedsAttention, RolloutState::NeedsAttention));
    assert!(sim.rollout.summary().reason.contains("1 host is neither updated nor restored"), "{}", sim.rollout.summary().reason);
}

#[test]
fn a_lost_host_that_had_changed_nothing_is_not_updated_and_stays_charged() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    sim.offline(&canaries[0]);
    sim.wait(10 * MINUTE);
    sim.online(&canaries[0]);
    sim.settle();
    sim.report(&canaries[0], DirectiveProgress::Refused { reason: RefusalReason::NoReceipt, detail: String::new() });
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged(), sim.state()), (Phase::Refused, 1, RolloutState::Stopped));
    assert_eq!(sim.rollout.summary().changed, 2);
}

#[test]
fn a_host_taken_back_by_itself_while_its_order_is_on_the_way_needs_no_second_one() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    let applied = sim.rollout.directive_for(&host_id(&canaries[0])).unwrap().generation;
    sim.offline(&canaries[0]);
    sim.wait(10 * MINUTE);
    sim.online(&canaries[0]);
    sim.settle();
    let healthy = sim.rollout.observe(&host_id(&canaries[0]), applied, &DirectiveProgress::Healthy);
    assert_eq!(healthy, Err(Rejected::NoNews), "it is on its way back, whatever it was before");
    let event = sim.rollout.observe(&host_id(&canaries[0]), applied, &DirectiveProgress::TakenBack).unwrap();
    sim.record(event).unwrap();
    sim.settle();
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.directive_for(&host_id(&canaries[0]))), (Phase::TakenBack, None));
}

#[test]
fn a_reverse_rollout_takes_healthy_hosts_back_in_waves() {
    let (mut sim, canaries) = canaries_on(&three_waves());
    sim.update(&canaries[0]);
    sim.record(Event::Aborted { by: crate::fleet::alice(), reason: "users complain".to_owned() }).unwrap();
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Aborted);
    let hosts = sim.rollout.reversible();
    assert_eq!(hosts.len(), 3);
    assert_eq!(hosts[&host_id("test-0")].targets.targets[0].to.as_str(), "3.0.14");
    let back = RolloutId::parse("r-back").unwrap();
    sim.record(Event::HandedOver { to: back.clone() }).unwrap();
    sim.settle();
    assert!(sim.rollout.is_settled(), "its claims are given back");
    let mut reverse = PlanRequest { rollout: back, kind: RequestKind::Reverse { of: rollout_id(), hosts: hosts.clone() }, ..request() };
    reverse.by = crate::fleet::alice();
    let mut policy = three_waves();
    policy.waves.remove(1);
    let (plan, _) = plan_for(&simple_fleet(6), &reverse, &policy).unwrap();
    assert_eq!((plan.host_count(), plan.excluded().len()), (3, 5));
    let mut sim = Sim::of(rollout_log::seal(plan).0);
    sim.record(Event::Started { by: crate::fleet::alice() }).unwrap();
    sim.settle();
    let directive = sim.rollout.directive_for(&host_id("test-0")).unwrap();
    assert!(matches!(&directive.order, Order::TakeBack(order) if order.of == hosts[&host_id("test-0")].generation));
    assert_eq!(sim.rollout.directive_for(&host_id(&canaries[0])), None, "the test ring goes first here too");
    for host in ["test-0", "test-1"] {
        sim.report(host, DirectiveProgress::Accepted);
        sim.report(host, DirectiveProgress::TakingBack);
        sim.report(host, DirectiveProgress::TakenBack);
    }
    sim.wait(10 * MINUTE);
    sim.report(&canaries[0], DirectiveProgress::NeedsAttention { detail: "no original".to_owned() });
    sim.wait(MINUTE);
    assert_eq!((sim.rollout.charged(), sim.rollout.summary().updated), (1, 2));
    let outcome = sim.log.iter().find_map(|recorded| if let Event::Completed { outcome } = recorded.event { Some(outcome) } else { None });
    assert_eq!((outcome, sim.state()), (None, RolloutState::Paused), "one failure of two allowed: too little evidence");
    assert_ne!(outcome, Some(Outcome::Stopped));
}

#[test]
fn a_reverse_rollout_passes_a_test_ring_that_has_nothing_to_take_back() {
    let (sim, canaries) = canaries_on(&three_waves());
    let mut hosts = sim.rollout.reversible();
    hosts.insert(host_id(&canaries[0]), hosts[&host_id("test-0")].clone());
    hosts.retain(|host, _| *host == host_id(&canaries[0]));
    let kind = RequestKind::Reverse { of: rollout_id(), hosts };
    let request = PlanRequest { rollout: RolloutId::parse("r-back").unwrap(), kind, ..request() };
    let (plan, _) = plan_for(&simple_fleet(6), &request, &three_waves()).unwrap();
    let mut sim = Sim::of(rollout_log::seal(plan).0);
    sim.record(Event::Started { by: crate::fleet::alice() }).unwrap();
    sim.settle();
    assert_eq!(sim.state(), RolloutState::Running, "it waits for nobody");
    assert!(sim.rollout.directive_for(&host_id(&canaries[0])).is_some());
}

#[test]
fn a_handed_over_rollout_must_have_ended() {
    let (mut sim, _) = canaries_on(&three_waves());
    assert!(matches!(sim.record(Event::HandedOver { to: rollout_id() }), Err(Rejected::WrongState { .. })));
}

#[test]
fn a_host_that_was_given_up_and_heals_is_not_claimed_again() {
    let (mut sim, canaries) = canaries_on(&patient());
    sim.report(&canaries[0], DirectiveProgress::Ready);
    let generation = sim.rollout.directive_for(&host_id(&canaries[0])).unwrap().generation;
    sim.report(&canaries[0], DirectiveProgress::NeedsAttention { detail: "conffile differs".to_owned() });
    let event = sim.rollout.observe(&host_id(&canaries[0]), generation, &DirectiveProgress::Healthy).unwrap();
    sim.record(event).unwrap();
    assert_eq!((sim.phase(&canaries[0]), sim.rollout.charged()), (Phase::Concluded, 1));
    assert_eq!(sim.rollout.directive_for(&host_id(&canaries[0])), None);
}

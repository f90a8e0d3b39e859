//! What is told of one host: its history from the stored log, and when it last changed.

use std::time::Duration;

use patchwave::conductor::{HISTORY_LINES, host_history};
use patchwave::rollout::{Event, Recorded};
use patchwave::rollout_log;
use patchwave::store::{Change, MAX_CHANGES, Write, open_memory};
use patchwave_common::domain::{DirectiveProgress, HarmReason, Timestamp};

use crate::agent::Sim;
use crate::fleet::{START, host_id, rollout_id, simple_fleet, three_waves};

/// A host's history as the controller reads it from a store.
fn history(sim: &Sim, log: &[Recorded], host: &str) -> Vec<String> {
    let store = open_memory().unwrap();
    let mut expected = 0;
    for records in log.chunks(MAX_CHANGES) {
        let records: Vec<_> = records.iter().map(rollout_log::encode).collect();
        let count = records.len() as u64;
        store.write(Write::new(vec![Change::AppendRollout { rollout: rollout_id(), expected, records }])).unwrap();
        expected += count;
    }
    host_history(store.as_ref(), &sim.sealed.plan, sim.index(host)).unwrap()
}

/// A test host that is harmed a minute after it was ordered and taken back.
fn harmed() -> Sim {
    let mut sim = Sim::started(&simple_fleet(4), &three_waves());
    sim.stage_all();
    sim.report("test-0", DirectiveProgress::Accepted);
    sim.wait(Duration::from_secs(60));
    sim.report("test-0", DirectiveProgress::Ready);
    sim.report("test-0", DirectiveProgress::Verifying);
    sim.report("test-0", DirectiveProgress::Harmed { reason: HarmReason::CheckFailed, detail: "port 80\nis closed".to_owned() });
    sim.report("test-0", DirectiveProgress::TakingBack);
    sim.wait(Duration::from_secs(5));
    sim.report("test-0", DirectiveProgress::TakenBack);
    sim
}

#[test]
fn a_hosts_history_tells_what_happened_to_it_in_order_and_nothing_of_others() {
    let sim = harmed();
    let told = history(&sim, &sim.log, "test-0");
    let later = |secs| START.plus(Duration::from_secs(secs)).to_string();
    let expected = [
        (later(0), "asked to download"),
        (later(0), "its wave \"test\" began"),
        (later(0), "downloaded everything"),
        (later(0), "ordered"),
        (later(0), "took the order"),
        (later(60), "got leave to change packages"),
        (later(60), "changed its packages"),
        (later(60), "harm was seen (check-failed): port 80 is closed"),
        (later(60), "began to return"),
        (later(65), "exactly as before"),
    ];
    let found = |line: &String| {
        expected.iter().position(|(at, words)| line.strip_prefix(at.as_str()).is_some_and(|rest| rest.trim_start().starts_with(words)))
    };
    let mut order: Vec<usize> = told.iter().filter_map(found).collect();
    let in_order = order.clone();
    order.sort_unstable();
    order.dedup();
    assert_eq!(order.len(), expected.len(), "{told:#?}");
    assert!(in_order.windows(2).all(|pair| pair[0] <= pair[1] || pair[1] <= 1), "{told:#?}");
    let other = history(&sim, &sim.log, "test-1");
    assert!(!other.iter().any(|line| line.contains("harm") || line.contains("as before")), "{other:#?}");
}

#[test]
fn a_history_is_bounded_and_says_what_it_leaves_out() {
    let mut sim = harmed();
    let returns = Event::HostReturned { hosts: vec![sim.index("test-0")] };
    let first = sim.log[0].clone();
    sim.log = std::iter::once(first)
        .chain((0..2_500).map(|second| Recorded { at: START.plus(Duration::from_secs(second)), event: returns.clone() }))
        .collect();
    let told = history(&sim, &sim.log, "test-0");
    assert_eq!(told.len(), HISTORY_LINES + 1);
    assert!(told[0].contains("2400 earlier lines are left out"), "{}", told[0]);
    assert!(told[HISTORY_LINES].starts_with(&START.plus(Duration::from_secs(2_499)).to_string()), "the newest is last");
}

#[test]
fn a_host_changed_when_its_state_last_did() {
    let sim = harmed();
    let changed = |host: &str| sim.rollout.changed_at(sim.index(host));
    assert_eq!(changed("test-0"), Some(START.plus(Duration::from_secs(65))));
    let waiting = sim.wave(2)[0].clone();
    assert_eq!(changed(&waiting), Some(START), "downloaded and waits since");
    assert_eq!(sim.rollout.changed_at(patchwave::rollout::HostIndex(9_999)), None);
    let planned = Sim::planned(&simple_fleet(4), &three_waves());
    assert_eq!(planned.rollout.changed_at(planned.index("test-0")), Some(START), "as old as the plan");
    assert!(planned.rollout.plan().index_of(&host_id("nobody")).is_none() && START > Timestamp::default());
}

//! A large plan: nothing in planning, folding, storing or deciding may grow with the square of the hosts, and a long log is folded again in
//! seconds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use patchwave::rollout::plan::SEGMENT_HOSTS;
use patchwave::rollout::{Event, HostIndex, MAX_HOSTS_PER_EVENT, Presence, Recorded, Rollout, RolloutState, SealedPlan};
use patchwave::rollout_log::{self, StoredPlan};
use patchwave::store::{Change, MAX_PAGE, Store, Write};
use patchwave_common::domain::policy::Amount;
use patchwave_common::domain::{DirectiveProgress, Generation, RolloutId};

use crate::agent::World;
use crate::fleet::{START, alice, plan_for, policy, request, simple_fleet};

/// Enough that squaring it would be felt, and few enough for every test run.
const HOSTS: usize = 10_000;

/// A plan for so many hosts (and the two of the test ring) in one wave.
fn large_plan(hosts: usize) -> (SealedPlan, StoredPlan) {
    let mut rules = policy("name = \"p\"\n[[wave]]\nname = \"all\"\nsoak = \"0s\"\nmax_in_flight = 1000000\n");
    rules.limits.max_unavailable = Amount::All;
    rules.limits.max_in_flight_per_site = 1_000_000;
    rules.limits.staging_per_minute = 1_000_000;
    rollout_log::seal(plan_for(&simple_fleet(hosts), &request(), &rules).unwrap().0)
}

/// Carries a plan out to its end, every host doing well; gives the log.
fn carry_out(sealed: &SealedPlan) -> (Rollout, Vec<Recorded>) {
    let mut world = World::default();
    for host in sealed.plan.hosts() {
        world.presence.insert(host.id, Presence::Connected { since: START });
    }
    let (mut rollout, mut log, mut counter) = (Rollout::new(sealed.clone()), Vec::new(), 0);
    let mut fold = |rollout: &mut Rollout, mut event: Event| {
        event.fill_generations(|| {
            counter += 1;
            Generation { epoch: 1, counter }
        });
        let recorded = Recorded { at: START, event };
        rollout.step(&recorded).unwrap();
        log.push(recorded);
    };
    fold(&mut rollout, Event::Created { by: alice(), plan: sealed.root });
    fold(&mut rollout, Event::Started { by: alice() });
    while matches!(rollout.state(), RolloutState::Running | RolloutState::CatchingUp) {
        let events = rollout.decide(START, &world);
        assert!(!events.is_empty(), "it stands still: {:?}", rollout.waiting_for(START, &world));
        for event in events {
            let (asked, ordered) = match &event {
                Event::StageRequested { hosts } => (hosts.clone(), Vec::new()),
                Event::Released { hosts } => (Vec::new(), hosts.iter().map(|order| order.host).collect::<Vec<HostIndex>>()),
                _ => (Vec::new(), Vec::new()),
            };
            fold(&mut rollout, event);
            for host in asked {
                fold(&mut rollout, Event::HostStaged { host, way_back: true });
            }
            for host in ordered {
                let id = sealed.plan.host(host).unwrap();
                let generation = rollout.directive_for(id).unwrap().generation;
                for progress in
                    [DirectiveProgress::Ready, DirectiveProgress::Applying, DirectiveProgress::Verifying, DirectiveProgress::Healthy]
                {
                    if let Ok(event) = rollout.observe(id, generation, &progress) {
                        fold(&mut rollout, event);
                    }
                }
            }
        }
    }
    (rollout, log)
}

#[test]
fn a_large_plan_is_stored_in_segments_and_goes_through() {
    let (sealed, stored) = large_plan(HOSTS);
    assert_eq!(stored.segments.len(), (HOSTS + 2).div_ceil(SEGMENT_HOSTS));
    let bytes = stored.segments.iter().map(Bytes::len).sum::<usize>();
    assert!(bytes < (HOSTS + 2) * 40, "{bytes} bytes are more than tens of bytes a host");
    assert_eq!(rollout_log::open(stored.root, &stored.header, &stored.segments).unwrap().plan, sealed.plan);
    let (rollout, log) = carry_out(&sealed);
    let batches = log.iter().filter(|recorded| matches!(recorded.event, Event::Released { .. })).count();
    assert_eq!(batches, (HOSTS + 2).div_ceil(MAX_HOSTS_PER_EVENT));
    assert_eq!((rollout.state(), rollout.summary().updated as usize), (RolloutState::Completed, HOSTS + 2));
}

/// Keeps a log in a store as the conductor does, loads it from there as a restarted controller does; gives how long that took at best.
fn load_again(hosts: usize) -> (usize, Duration) {
    let (sealed, stored) = large_plan(hosts);
    let (rollout, log) = carry_out(&sealed);
    let folder = tempfile::tempdir().unwrap();
    let store = patchwave::store::open("redb", &folder.path().join("store")).unwrap();
    let id = RolloutId::parse("r-large").unwrap();
    let plan = Change::PutPlan { rollout: id.clone(), header: stored.header, segments: stored.segments };
    store.write(Write::new(vec![plan])).unwrap();
    for (batch, records) in log.chunks(MAX_PAGE).enumerate() {
        let records = records.iter().map(rollout_log::encode).collect();
        let change = Change::AppendRollout { rollout: id.clone(), expected: (batch * MAX_PAGE) as u64, records };
        store.write(Write::new(vec![change])).unwrap();
    }
    let times = (0..5).map(|_| {
        let began = Instant::now();
        let loaded = load(store.as_ref(), &id, sealed.root);
        let took = began.elapsed();
        assert_eq!((loaded.revision(), loaded.state_hash()), (rollout.revision(), rollout.state_hash()));
        took
    });
    (log.len(), times.min().unwrap_or_default())
}

/// As `conductor/load.rs` has it.
fn load(store: &dyn Store, id: &RolloutId, root: patchwave_common::domain::Digest) -> Rollout {
    let segments: Vec<Bytes> = (0..).map_while(|index| store.plan_segment(id, index).unwrap()).collect();
    let mut rollout = Rollout::new(rollout_log::open(root, &store.plan_header(id).unwrap().unwrap(), &segments).unwrap());
    loop {
        let page = store.rollout_log(id, rollout.revision(), MAX_PAGE).unwrap();
        for bytes in &page {
            rollout.step(&rollout_log::decode(bytes).unwrap()).unwrap();
        }
        if page.len() < MAX_PAGE {
            return rollout;
        }
    }
}

/// Why the engine's state is not kept in snapshots: a log of 400,000 events (100,000 hosts) is folded again in 0.3 s.
/// `PATCHWAVE_TESTS_REPLAY_HOSTS=100000` tries that.
#[test]
fn a_long_log_is_folded_again_in_time_that_grows_with_its_length() {
    let hosts = std::env::var("PATCHWAVE_TESTS_REPLAY_HOSTS").map_or(HOSTS, |hosts| hosts.parse().unwrap());
    let rate = |(events, took): (usize, Duration)| events as f64 / took.as_secs_f64();
    let (small, large) = (load_again(hosts / 10), load_again(hosts));
    for (events, took) in [small, large] {
        eprintln!("{events} events loaded in {:.3} s: {:.0} a second", took.as_secs_f64(), rate((events, took)));
    }
    // Four times is far from the tenfold that a square would be, and far from what other work on the machine does.
    assert!(rate(large) * 4.0 > rate(small), "{small:?} {large:?}");
}

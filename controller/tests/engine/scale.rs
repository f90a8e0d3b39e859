//! A large plan: nothing in planning, folding, storing or deciding may grow with the square of the hosts.

use patchwave::rollout::plan::SEGMENT_HOSTS;
use patchwave::rollout::{Event, HostIndex, MAX_HOSTS_PER_EVENT, RolloutState};
use patchwave::rollout_log;
use patchwave_common::domain::DirectiveProgress;
use patchwave_common::domain::policy::Amount;

use crate::agent::World;
use crate::fleet::{START, alice, plan_for, policy, request, simple_fleet};

/// Enough that squaring it would be felt, and few enough for every test run.
const HOSTS: usize = 10_000;

#[test]
fn a_large_plan_is_stored_in_segments_and_goes_through() {
    let mut rules = policy("name = \"p\"\n[[wave]]\nname = \"all\"\nsoak = \"0s\"\nmax_in_flight = 100000\n");
    rules.limits.max_unavailable = Amount::All;
    rules.limits.max_in_flight_per_site = 100_000;
    rules.limits.staging_per_minute = 100_000;
    let (plan, _) = plan_for(&simple_fleet(HOSTS), &request(), &rules).unwrap();
    let (sealed, stored) = rollout_log::seal(plan);
    assert_eq!(stored.segments.len(), (HOSTS + 2).div_ceil(SEGMENT_HOSTS));
    let bytes = stored.segments.iter().map(bytes::Bytes::len).sum::<usize>();
    assert!(bytes < (HOSTS + 2) * 40, "{bytes} bytes are more than tens of bytes a host");
    assert_eq!(rollout_log::open(stored.root, &stored.header, &stored.segments).unwrap().plan, sealed.plan);

    let mut world = World::default();
    for host in sealed.plan.hosts() {
        world.presence.insert(host.id, patchwave::rollout::Presence::Connected { since: START });
    }
    let mut rollout = patchwave::rollout::Rollout::new(sealed.clone());
    let mut counter = 0;
    let mut fold = |rollout: &mut patchwave::rollout::Rollout, mut event: Event| {
        event.fill_generations(|| {
            counter += 1;
            patchwave_common::domain::Generation { epoch: 1, counter }
        });
        rollout.step(&patchwave::rollout::Recorded { at: START, event }).unwrap();
    };
    fold(&mut rollout, Event::Created { by: alice(), plan: sealed.root });
    fold(&mut rollout, Event::Started { by: alice() });
    let mut batches = 0;
    while matches!(rollout.state(), RolloutState::Running | RolloutState::CatchingUp) {
        let events = rollout.decide(START, &world);
        assert!(!events.is_empty(), "it stands still: {:?}", rollout.waiting_for(START, &world));
        for event in events {
            batches += usize::from(matches!(event, Event::Released { .. }));
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
                for progress in [DirectiveProgress::Ready, DirectiveProgress::Verifying, DirectiveProgress::Healthy] {
                    let event = rollout.observe(id, generation, &progress).unwrap();
                    fold(&mut rollout, event);
                }
            }
        }
    }
    assert_eq!(batches, (HOSTS + 2).div_ceil(MAX_HOSTS_PER_EVENT));
    assert_eq!((rollout.state(), rollout.summary().updated as usize), (RolloutState::Completed, HOSTS + 2));
}

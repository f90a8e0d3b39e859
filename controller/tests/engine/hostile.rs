//! Events that nobody should ever record, in any order: they are rejected or folded, never a panic, and decisions stay possible.

use std::time::Duration;

use patchwave::rollout::{Event, Recorded};
use patchwave_common::domain::Generation;
use proptest::prelude::*;

use crate::agent::Sim;
use crate::codec::any_event;
use crate::fleet::{simple_fleet, three_waves};

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_event_in_any_order_panics(events in prop::collection::vec((any_event(), 0_u64..5_000, any::<bool>()), 0..150)) {
        let sim = Sim::started(&simple_fleet(8), &three_waves());
        let (mut rollout, mut now, mut counter) = (sim.rollout.clone(), sim.now, 1_u64 << 40);
        let mut accepted = Vec::new();
        for (event, seconds, proposed) in events {
            now = now.plus(Duration::from_secs(seconds));
            // Half of the time the engine's own proposals are taken, so that strange events meet strange states.
            let mut due = if proposed { rollout.decide(now, &sim.world) } else { Vec::new() };
            due.push(event);
            for mut event in due {
                event.fill_generations(|| {
                    counter += 1;
                    Generation { epoch: u32::MAX, counter }
                });
                let recorded = Recorded { at: now, event: known_generation(event, counter) };
                let before = rollout.state_hash();
                match rollout.step(&recorded) {
                    Ok(_) => accepted.push(recorded),
                    Err(_) => prop_assert_eq!(rollout.state_hash(), before),
                }
            }
            let _ = (rollout.wake_at(now, &sim.world), rollout.progress(now, &sim.world), rollout.summary(), rollout.reversible());
            for host in sim.agents.keys() {
                let _ = (rollout.explain(host, now, &sim.world), rollout.directive_for(host), rollout.stage_for(host));
            }
        }
        let mut again = sim.rollout.clone();
        for recorded in &accepted {
            again.step(recorded).unwrap();
        }
        prop_assert_eq!(again.state_hash(), rollout.state_hash());
    }
}

/// Makes reports speak of generations that were given.
fn known_generation(event: Event, newest: u64) -> Event {
    match event {
        Event::HostProgress { host, generation, progress } => {
            let counter = newest.saturating_sub(generation.counter % 16);
            Event::HostProgress { host, generation: Generation { epoch: u32::MAX, counter }, progress }
        }
        other => other,
    }
}

//! Many threads at once.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use patchwave_common::domain::Generation;

use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, Result};

const THREADS: usize = 8;

/// Starts all threads at one instant and collects their answers.
fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let run = |number| {
            barrier.wait();
            work(number)
        };
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn one_winner(results: &[Result<u64>]) -> usize {
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|error| error.is_conflict()), "{results:?}");
    let winners: Vec<usize> = (0..results.len()).filter(|&number| results[number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    winners[0]
}

pub(super) fn of_many_appends_at_one_revision_exactly_one_wins(bed: Bed) {
    let store = bed.store();
    for round in 0..20 {
        let results = at_once(|number| {
            let records = vec![Bytes::from(number.to_string())];
            write(&store, vec![Change::AppendRollout { rollout: rollout_id("r-1"), expected: round, records }])
        });
        let winner = one_winner(&results);
        assert_eq!(store.rollout_log(&rollout_id("r-1"), round, 10).unwrap(), [Bytes::from(winner.to_string())]);
    }
}

pub(super) fn of_many_claims_of_one_host_exactly_one_rollout_wins(bed: Bed) {
    let store = bed.store();
    for round in 0..20 {
        let host = host_id(&format!("h-{round}"));
        let results = at_once(|number| {
            let generation = Generation { epoch: 1, counter: number as u64 };
            write(&store, vec![Change::Claim { host: host.clone(), rollout: rollout_id(&format!("r-{number}")), generation }])
        });
        let winner = rollout_id(&format!("r-{}", one_winner(&results)));
        assert_eq!(store.claim(&host).unwrap().unwrap().rollout, winner);
        let release = |rollout| Change::ReleaseClaim { host: host.clone(), rollout };
        write(&store, vec![release(rollout_id("r-none"))]).unwrap();
        assert!(store.claim(&host).unwrap().is_some(), "only the holder gives a host back");
        write(&store, vec![release(winner)]).unwrap();
        assert_eq!(store.claim(&host).unwrap(), None);
    }
}

pub(super) fn a_token_used_at_once_by_many_is_used_exactly_its_limit(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutToken(token("t1", 5))]).unwrap();
    let results =
        at_once(|number| write(&store, vec![Change::UseToken(token_id("t1")), Change::PutHost(Box::new(host(&format!("h-{number}"))))]));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(store.hosts(None, 100).unwrap().len(), 5, "who got no use got no host either");
    assert_eq!(store.token(&token_id("t1")).unwrap().unwrap().uses_left(), 0);
}

pub(super) fn revisions_are_gapless_under_many_writers(bed: Bed) {
    let store = bed.store();
    let revisions = at_once(|number| (0..25).map(|_| write(&store, vec![event(&number.to_string())]).unwrap()).collect::<Vec<_>>());
    assert!(revisions.iter().all(|of_one| of_one.is_sorted()), "a thread's own writes are in order");
    let all: BTreeSet<u64> = revisions.into_iter().flatten().collect();
    assert!(all.into_iter().eq(1..=(THREADS as u64 * 25)));
    assert_eq!(store.last_event().unwrap(), THREADS as u64 * 25);
    store.verify().unwrap();
}

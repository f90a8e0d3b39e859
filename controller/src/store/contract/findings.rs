//! Feeds, and the logs of findings and fixes.

use bytes::Bytes;
use patchwave_common::domain::Timestamp;

use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, StoreError};

fn segment(feed: &str, generation: u64, index: u32) -> Change {
    let records = Bytes::from(format!("{feed} {generation} {index}"));
    Change::PutFeedSegment { feed: feed_name(feed), generation, index, records }
}

pub(super) fn a_feed_s_generations_are_kept_apart_until_they_are_dropped(bed: Bed) {
    let store = bed.store();
    let all: Vec<Change> =
        ["a", "a-b"].iter().flat_map(|feed| (1..=3).flat_map(move |g| (0..2).map(move |i| segment(feed, g, i)))).collect();
    write(&store, all).unwrap();
    let read = |feed: &str, generation, index| store.feed_segment(&feed_name(feed), generation, index).unwrap();
    assert_eq!(read("a", 2, 1), Some(Bytes::from("a 2 1")));
    // What the same write put is dropped too.
    write(&store, vec![segment("a", 4, 0), Change::DropFeedSegments { feed: feed_name("a"), keep: Some(2) }]).unwrap();
    for generation in [1, 3, 4] {
        assert_eq!(read("a", generation, 0), None, "{generation}");
    }
    assert_eq!((read("a", 2, 0), read("a", 2, 1)), (Some(Bytes::from("a 2 0")), Some(Bytes::from("a 2 1"))));
    assert_eq!(read("a-b", 3, 1), Some(Bytes::from("a-b 3 1")), "another feed's");
    store.verify().unwrap();
}

pub(super) fn a_removed_feed_leaves_nothing_behind(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutFeed(Box::new(feed("a", 1))), Change::PutFeed(Box::new(feed("b", 1))), segment("a", 1, 0)]).unwrap();
    assert_eq!(store.feed(&feed_name("a")).unwrap(), Some(feed("a", 1)));
    assert_eq!(store.feeds(None, 10).unwrap(), [feed("a", 1), feed("b", 1)]);
    assert_eq!(store.feeds(Some(&feed_name("a")), 10).unwrap(), [feed("b", 1)]);
    write(&store, vec![Change::RemoveFeed(feed_name("a"))]).unwrap();
    assert_eq!((store.feed(&feed_name("a")).unwrap(), store.feed_segment(&feed_name("a"), 1, 0).unwrap()), (None, None));
    assert_eq!(store.feeds(None, 10).unwrap(), [feed("b", 1)]);
    write(&store, vec![Change::RemoveFeed(feed_name("a"))]).unwrap();
}

fn append(number: u64, transitions: &'static str) -> Change {
    Change::AppendFindings { host: host_id("h-1"), number, at: Timestamp(number as i64), transitions: transitions.into() }
}

pub(super) fn the_log_of_findings_takes_entries_only_at_its_end(bed: Bed) {
    let store = bed.store();
    assert!(matches!(write(&store, vec![append(1, "gap")]), Err(StoreError::Missing { .. })));
    write(&store, vec![append(0, "a"), append(1, "b")]).unwrap();
    assert!(matches!(write(&store, vec![append(1, "again")]), Err(StoreError::AlreadyThere { .. })));
    write(&store, vec![append(2, "c")]).unwrap();
    let log = store.finding_log(&host_id("h-1"), 1, 10).unwrap();
    assert_eq!(log.iter().map(|entry| (entry.number, entry.at)).collect::<Vec<_>>(), [(1, Timestamp(1)), (2, Timestamp(2))]);
    assert_eq!(store.finding_batch(&log[1].batch).unwrap(), Some(Bytes::from("c")));
    assert_eq!(store.finding_log(&host_id("h-1"), 0, 1).unwrap().len(), 1);
    assert_eq!(store.finding_log(&host_id("h"), 0, 10).unwrap(), []);
}

pub(super) fn equal_transitions_are_kept_once(bed: Bed) {
    let store = bed.store();
    let changes = (0..3).map(|host| Change::AppendFindings {
        host: host_id(&format!("h-{host}")),
        number: 0,
        at: NOW,
        transitions: "the same".into(),
    });
    write(&store, changes.collect()).unwrap();
    let batches: Vec<_> = (0..3).map(|host| store.finding_log(&host_id(&format!("h-{host}")), 0, 9).unwrap()[0].batch).collect();
    assert!(batches.iter().all(|batch| *batch == batches[0]));
}

pub(super) fn the_first_sight_of_a_fix_stands(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::NoteFix(fix("nginx", 5)), Change::NoteFix(fix("jq", 7))]).unwrap();
    write(&store, vec![Change::NoteFix(fix("nginx", 9)), Change::NoteFix(fix("jq", 6))]).unwrap();
    assert_eq!(store.fixes(None, 10).unwrap(), [fix("jq", 6), fix("nginx", 5)]);
    assert_eq!(store.fixes(Some(&fix("jq", 0).key), 10).unwrap(), [fix("nginx", 5)]);
}

//! Every write and every sync fails once: nothing is acknowledged that is not there, and nothing is taken for synced that was not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::cell::Cell;
use std::io::ErrorKind;
use std::sync::Arc;

use futures::future::join_all;

use super::CACHE_BYTES;
use super::disk::{Disk, Fault, Operation};
use crate::store::contract::work::{Expected, Work};
use crate::store::dice::Dice;
use crate::store::embedded::Embedded;
use crate::store::redb::RedbEngine;
use crate::store::testing::event;
use crate::store::{Store, StoreError, StoreHandle, StoreRead};

const WRITES: u64 = 16;

/// Writes until the fault or the end; gives the number of acknowledged writes and the error.
fn write_until_it_fails(store: &Embedded<RedbEngine>) -> (u64, Option<StoreError>) {
    let mut work = Work::default();
    for acknowledged in 0..WRITES {
        if let Err(error) = work.write(store) {
            return (acknowledged, Some(error));
        }
    }
    (WRITES, None)
}

/// Runs the writes with a fault after each possible number of operations, and lets `check` look at what follows.
fn with_every(on: Operation, error: ErrorKind, stays: bool, check: impl Fn(&Disk, Embedded<RedbEngine>, u64, StoreError, &str)) -> usize {
    for after in 0.. {
        let disk = Disk::default();
        let store = disk.open(CACHE_BYTES).unwrap();
        disk.fail(Fault { on, after, error, stays }, Dice::new(after as u64));
        let (acknowledged, error) = write_until_it_fails(&store);
        let what = format!("{on:?} {after} fails with {error:?}, {acknowledged} acknowledged");
        let Some(error) = error else {
            assert!(!disk.failed(), "{what}: a failure that nobody was told");
            return after;
        };
        check(&disk, store, acknowledged, error, &what);
    }
    0
}

/// Asserts that a store that was killed holds all that was acknowledged, and goes on; `file` is what is left of its file.
fn opens(file: Vec<u8>, acknowledged: u64, what: &str) -> Disk {
    let disk = Disk::holding(file);
    let store = disk.open(CACHE_BYTES).unwrap_or_else(|error| panic!("{what}: {error}"));
    let revision = Expected::of(WRITES + 1).check(&store, acknowledged, what);
    assert!(revision <= acknowledged + 1, "{what}: at most the write that failed is found done");
    Work::resume(revision).write(&store).unwrap();
    drop(store);
    disk
}

#[test]
fn a_disk_that_is_full_at_any_write_loses_nothing_and_writes_go_on_when_there_is_room() {
    let found_done = Cell::new(0);
    let count = with_every(Operation::Write, ErrorKind::StorageFull, true, |disk, store, acknowledged, error, what| {
        assert!(matches!(error, StoreError::Full { .. }), "{what}");
        opens(disk.file(), acknowledged, what);
        opens(disk.platter(), acknowledged, what);
        let again = Work::resume(acknowledged).write(&store);
        assert!(matches!(again, Err(StoreError::Full { .. })), "{what}: still full, then {again:?}");
        disk.mend();
        match Work::resume(acknowledged).write(&store) {
            Ok(_) => Expected::of(WRITES + 1).check(&store, acknowledged + 1, what),
            // Where the half that was written of the header names the new commit, what was answered as failed is done: until a restart
            // nobody is told anything else.
            Err(StoreError::Io { detail, .. }) if detail.contains("took place all the same") => {
                found_done.set(found_done.get() + 1);
                acknowledged
            }
            Err(error) => panic!("{what}, then room: {error}"),
        };
    });
    println!("{count} writes, each failed once for want of room; {} were found done all the same", found_done.get());
    assert!(count > 100 && found_done.get() <= count / 4);
}

#[test]
fn a_write_or_sync_that_fails_is_not_acknowledged_and_nothing_is_written_until_a_restart() {
    for (on, stays) in [(Operation::Write, false), (Operation::Sync, false), (Operation::Sync, true)] {
        let count = with_every(on, ErrorKind::Other, stays, |disk, store, acknowledged, error, what| {
            assert!(matches!(error, StoreError::Io { .. }), "{what}");
            disk.mend();
            let again = Work::resume(acknowledged).write(&store);
            assert!(matches!(again, Err(StoreError::Io { .. })), "{what}: {again:?}");
            assert!(store.reserve_generations(1).is_err(), "{what}");
            // The controller is started again, and after that the power fails.
            drop(store);
            opens(disk.platter(), acknowledged, &format!("{what}; power cut"));
            let store = disk.open(CACHE_BYTES).unwrap_or_else(|error| panic!("{what}; restart: {error}"));
            let revision = Expected::of(WRITES + 1).check(&store, acknowledged, what);
            let mut work = Work::resume(revision);
            for _ in 0..3 {
                work.write(&store).unwrap();
            }
            let after = Disk::holding(disk.platter()).open(CACHE_BYTES);
            let after = after.unwrap_or_else(|error| panic!("{what}; restart, writes, power cut: {error}"));
            Expected::of(WRITES + 4).check(&after, revision + 3, what);
        });
        println!("{count} of {on:?}, each failed");
        assert!(count > 20);
    }
}

#[test]
fn a_failed_sync_leaves_reads_as_they_were() {
    let disk = Disk::default();
    let store = disk.open(CACHE_BYTES).unwrap();
    let mut work = Work::default();
    work.write(&store).unwrap();
    disk.fail(Fault { on: Operation::Sync, after: 0, error: ErrorKind::Other, stays: false }, Dice::new(1));
    assert!(work.write(&store).is_err());
    assert_eq!(store.revision().unwrap(), 1);
}

#[tokio::test]
async fn every_write_that_waits_for_a_sync_that_fails_is_answered_with_its_error() {
    let disk = Disk::default();
    let store: Arc<dyn Store> = Arc::new(disk.open(CACHE_BYTES).unwrap());
    let handle = StoreHandle::start(store.clone()).unwrap();
    handle.apply(vec![event("before")], vec![]).await.unwrap();
    disk.fail(Fault { on: Operation::Sync, after: 0, error: ErrorKind::Other, stays: false }, Dice::new(2));
    let answers = join_all((0..50).map(|_| handle.apply(vec![event("in vain")], vec![]))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Io { .. }))), "{answers:?}");
    disk.mend();
    assert!(handle.apply(vec![event("after")], vec![]).await.is_err(), "not before a restart");
    assert_eq!((store.revision().unwrap(), *handle.revisions().borrow(), store.last_event().unwrap()), (1, 1, 1));
    assert!(disk.open(CACHE_BYTES).unwrap().last_event().unwrap() <= 51, "at most what was on its way");
}

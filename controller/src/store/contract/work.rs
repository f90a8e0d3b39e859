//! Writes of all sorts, one after the other, each known by its number, and what a store must hold after each of them.

use bytes::Bytes;
use patchwave_proto::store::v1;

use crate::store::embedded::Embedded;
use crate::store::embedded::engine::Engine;
use crate::store::testing::*;
use crate::store::{Change, Result, Store, StoreRead, Write};

/// The next write to be done.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Work {
    done: u64,
}

impl Work {
    /// Goes on behind the write that made this store revision.
    pub(in crate::store) fn resume(revision: u64) -> Self {
        Self { done: revision }
    }

    /// The next write: a record of a log that has as many as the store has revisions, a host that comes or changes, and by turns
    /// content that comes and goes, a large value that replaces one of another size, events and audit.
    pub(in crate::store) fn next(&self) -> Write {
        let (number, rollout) = (self.done + 1, rollout_id("r-1"));
        let host_name = format!("h-{}", number * 7 % 40);
        let mut changes = vec![
            Change::AppendRollout { rollout: rollout.clone(), expected: self.done, records: vec![record(number)] },
            Change::PutHost(Box::new(host(&host_name))),
        ];
        if number.is_multiple_of(3) {
            let packages: Vec<String> = (0..number % 50).map(|package| format!("package-{number}-{package}")).collect();
            let held = inventory(&packages.iter().map(|name| (name.as_str(), "1.0-1")).collect::<Vec<_>>());
            let digest = Some(held.digest());
            changes.push(Change::PutInventory(held));
            changes.push(Change::SetHostInventory { host: host_id(&host_name), inventory: digest, candidates: None });
        }
        if number.is_multiple_of(7) {
            let size = usize::try_from(number * 40_961 % 150_000).unwrap();
            changes.push(Change::PutRolloutSnapshot { rollout, revision: number, bytes: vec![number as u8; size].into() });
        }
        if number.is_multiple_of(2) {
            changes.push(event(&format!("event of write {number}")));
            changes.push(Change::AppendAudit(audit("write")));
        }
        Write::new(changes)
    }

    /// Does the next write; gives its revision.
    pub(in crate::store) fn write(&mut self, store: &(impl Store + ?Sized)) -> Result<u64> {
        let revision = store.write(self.next())?;
        self.done += 1;
        assert_eq!(revision, self.done);
        Ok(revision)
    }
}

fn record(number: u64) -> Bytes {
    Bytes::from(format!("record {number} {}", "x".repeat(usize::try_from(number * 997 % 9_000).unwrap())))
}

/// What the store holds after each write, by revision.
pub(in crate::store) struct Expected(Vec<v1::Meta>);

impl Expected {
    /// Of a store without writes.
    pub(in crate::store) fn new<E: Engine>(store: &Embedded<E>) -> Self {
        Self(vec![store.counters().unwrap()])
    }

    /// Of a history of so many writes, as a store in memory keeps it.
    pub(in crate::store) fn of(writes: u64) -> Self {
        let store = Embedded::open(crate::store::memory::MemoryEngine::default(), || patchwave_common::domain::Digest::of(b"id")).unwrap();
        let (mut work, mut expected) = (Work::default(), Self::new(&store));
        for _ in 0..writes {
            work.write(&store).unwrap();
            expected.note(&store);
        }
        expected
    }

    /// Notes what the store holds after its newest write.
    pub(in crate::store) fn note<E: Engine>(&mut self, store: &Embedded<E>) {
        self.0.push(store.counters().unwrap());
        assert_eq!(self.0.last().unwrap().revision, self.0.len() as u64 - 1);
    }

    /// Asserts that the store holds a prefix of the history, whole, with all that was acknowledged; gives its revision.
    pub(in crate::store) fn check<E: Engine>(&self, store: &Embedded<E>, acknowledged: u64, what: &str) -> u64 {
        let revision = store.revision().unwrap();
        assert!(revision >= acknowledged, "{what}: {acknowledged} acknowledged, {revision} there");
        let expected = self.0.get(usize::try_from(revision).unwrap());
        assert_eq!(Some(&store.counters().unwrap()), expected, "{what}: not what write {revision} left");
        // Number and sum of all rows, as the counters have them.
        store.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
        let log = store.rollout_log(&rollout_id("r-1"), 0, 1_000).unwrap();
        assert_eq!(log, (1..=revision).map(record).collect::<Vec<_>>(), "{what}: the log has other records");
        revision
    }
}

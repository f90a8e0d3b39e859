//! A disk in memory that outlives the store on it and fails on request: for simulations.
//!
//! The store is the real one (guards, numbering, rows, checksums, recovery when it is opened); only what lies below is memory. A crash in
//! the middle of a commit is a [`Power::before_commit`] or [`Power::after_commit`] that unwinds.

use std::path::Path;
use std::sync::Arc;

use super::embedded::Embedded;
use super::embedded::engine::{Engine, RowChange, Rows, Visit};
use super::kinds::random_id;
use super::memory::MemoryEngine;
use super::{Result, Store, StoreError};

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFate {
    /// It is on disk.
    Works,
    /// No room: nothing is on disk.
    Full,
    /// The write or the sync fails, and nothing is on disk.
    Fails,
    /// The sync fails, and all of it is on disk nevertheless.
    FailsAndIsThere,
}

/// Decides about commits.
pub trait Power: Send + Sync {
    /// Asked before each commit.
    fn before_commit(&self) -> CommitFate;
    /// Told when a commit is on disk and nobody knows yet.
    fn after_commit(&self);
}

/// A disk; clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    rows: Arc<MemoryEngine>,
    power: Arc<dyn Power>,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(power: Arc<dyn Power>) -> Self {
        Self { rows: Arc::new(MemoryEngine::default()), power }
    }

    /// Opens the store on it, as a process that starts does; makes it where there is none.
    pub fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(Embedded::open(self.clone(), random_id)?))
    }
}

impl Rows for SimulatedDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rows.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.rows.scan(from, to, visit)
    }
}

impl Engine for SimulatedDisk {
    fn commit(&self, batch: Vec<RowChange>) -> Result<()> {
        let failed = || StoreError::Io { path: self.path().to_owned(), detail: "the sync failed".to_owned() };
        match self.power.before_commit() {
            CommitFate::Works => {}
            CommitFate::Full => return Err(StoreError::Full { path: self.path().to_owned() }),
            CommitFate::Fails => return Err(failed()),
            CommitFate::FailsAndIsThere => {
                self.rows.commit(batch)?;
                return Err(failed());
            }
        }
        self.rows.commit(batch)?;
        self.power.after_commit();
        Ok(())
    }
    fn reopen(&self) -> Result<()> {
        Ok(())
    }
    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        self.rows.snapshot()
    }
    fn path(&self) -> &Path {
        Path::new("(simulated)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::super::testing::event;
    use super::super::{StoreHandle, Write};
    use super::*;

    struct Next(Mutex<CommitFate>);

    impl Power for Next {
        fn before_commit(&self) -> CommitFate {
            std::mem::replace(&mut self.0.lock().unwrap(), CommitFate::Works)
        }
        fn after_commit(&self) {}
    }

    fn handle() -> (Arc<Next>, SimulatedDisk, StoreHandle) {
        let power = Arc::new(Next(Mutex::new(CommitFate::Works)));
        let disk = SimulatedDisk::new(power.clone());
        let handle = StoreHandle::start(disk.open().unwrap()).unwrap();
        (power, disk, handle)
    }

    fn write() -> Write {
        Write::new(vec![event("e")])
    }

    #[tokio::test]
    async fn a_failed_sync_ends_the_run_and_the_next_one_finds_out_what_is_on_disk() {
        for (fate, there) in [(CommitFate::Fails, 1), (CommitFate::FailsAndIsThere, 2)] {
            let (power, disk, handle) = handle();
            handle.write(write()).await.unwrap();
            assert!(handle.failed().now_or_never().is_none());
            *power.0.lock().unwrap() = fate;
            assert!(matches!(handle.write(write()).await, Err(StoreError::Io { .. })));
            assert!(matches!(handle.failed().await, StoreError::Io { .. }));
            assert!(handle.write(write()).await.is_err(), "nothing more is taken");
            let next = disk.open().unwrap();
            assert_eq!(next.events(0, 10).unwrap().len(), there);
            next.write(write()).unwrap();
        }
    }

    #[tokio::test]
    async fn a_full_disk_ends_nothing() {
        let (power, _disk, handle) = handle();
        *power.0.lock().unwrap() = CommitFate::Full;
        assert!(matches!(handle.write(write()).await, Err(StoreError::Full { .. })));
        handle.write(write()).await.unwrap();
        assert!(handle.failed().now_or_never().is_none());
    }
}

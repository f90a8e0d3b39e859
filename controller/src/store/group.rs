//! Group commit: many tasks submit writes, one thread carries them out with one sync of the disk for as many as wait.
//!
//! The thread commits at once what is there; what comes in while it syncs is the next group. So an idle store answers after one sync, and
//! a busy one pays one sync for a thousand changes. Each write keeps its own guards and its own answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Change, GenerationBlock, Guard, Result, Store, StoreError, StoreRead, Write};

/// A group takes no more writes once it has this many changes: a larger one gains nothing on the sync and makes the first wait longer.
const GROUP_CHANGES: usize = 1_000;
/// A group takes no more writes after this long, however fast they come in.
const GROUP_GATHER: Duration = Duration::from_millis(20);
/// Writes that may wait; who submits more waits for a place. Some seconds of work for a slow disk, and some MB of memory.
const QUEUE_WRITES: usize = 4_096;

/// What whoever is not the caller learns of commits.
struct Committed {
    revisions: watch::Sender<u64>,
    failure: watch::Sender<Option<StoreError>>,
}

enum Message {
    Write(Submission),
    Close(oneshot::Sender<()>),
}

struct Submission {
    write: Write,
    answer: oneshot::Sender<Result<u64>>,
}

/// An asynchronous front of a store; clones share the store and its writer thread, which ends with the last of them.
#[derive(Clone)]
pub struct StoreHandle {
    store: Arc<dyn Store>,
    front: Front,
    revisions: watch::Receiver<u64>,
    failure: watch::Receiver<Option<StoreError>>,
}

/// Where the work is done.
#[derive(Clone)]
enum Front {
    /// On the writer thread, and on threads that may block.
    Threads(mpsc::Sender<Message>),
    /// Where it is asked for, at once.
    Inline(Arc<Committed>),
}

impl StoreHandle {
    /// Starts the writer thread of a store. Every write of the process goes through handles of one start, or the groups compete.
    pub fn start(store: Arc<dyn Store>) -> std::io::Result<Self> {
        let (queue, receiver) = mpsc::channel(QUEUE_WRITES);
        let (committed, revisions, failure) = Committed::of(store.as_ref());
        let writer = Arc::clone(&store);
        std::thread::Builder::new().name("store-writer".into()).spawn(move || run(writer.as_ref(), receiver, &committed))?;
        Ok(Self { store, front: Front::Threads(queue), revisions, failure })
    }

    /// A handle that does everything where it is asked for, so that no future of it ever waits: for a simulation, in which nothing may
    /// depend on threads.
    #[must_use]
    pub fn inline(store: Arc<dyn Store>) -> Self {
        let (committed, revisions, failure) = Committed::of(store.as_ref());
        Self { store, front: Front::Inline(Arc::new(committed)), revisions, failure }
    }

    /// Writes, and gives the store revision once it is on disk. Waits for a place while the queue is full. A caller that gives up waiting
    /// does not know whether the write takes place.
    pub async fn write(&self, write: Write) -> Result<u64> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { write, answer };
        match &self.front {
            Front::Threads(queue) => queue.send(Message::Write(submission)).await.map_err(|_| StoreError::Closed)?,
            Front::Inline(committed) => commit(self.store.as_ref(), vec![submission], committed),
        }
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// [`Self::write`] for changes and guards that are at hand.
    pub async fn apply(&self, changes: Vec<Change>, guards: Vec<Guard>) -> Result<u64> {
        self.write(Write { changes, guards }).await
    }

    /// Reads on a thread that may block.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&dyn StoreRead) -> Result<T> + Send + 'static) -> Result<T> {
        self.blocking(move |store| read(store)).await
    }

    /// Sets generations aside; see [`Store::reserve_generations`].
    pub async fn reserve_generations(&self, count: u32) -> Result<GenerationBlock> {
        self.blocking(move |store| store.reserve_generations(count)).await
    }

    /// Raises the epoch; see [`Store::raise_epoch`].
    pub async fn raise_epoch(&self, above: u32) -> Result<u32> {
        self.blocking(move |store| store.raise_epoch(above)).await
    }

    async fn blocking<T: Send + 'static>(&self, act: impl FnOnce(&dyn Store) -> Result<T> + Send + 'static) -> Result<T> {
        if let Front::Inline(_) = self.front {
            return act(self.store.as_ref());
        }
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || act(store.as_ref())).await {
            Ok(result) => result,
            // The caller's own panic is the caller's; else the runtime is going down.
            Err(error) => error.try_into_panic().map_or(Err(StoreError::Closed), |panic| std::panic::resume_unwind(panic)),
        }
    }

    /// The store itself: for reads on a thread that may block, for reserving generations, and for a backup.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The newest store revision that this process made; changes with every group, so that a reader of new records need not poll.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.clone()
    }

    /// Waits until a write failed in a way that only opening the store anew can mend, and gives that failure. A process that learns of it
    /// should end, so that whoever starts it again finds out what is on disk.
    pub async fn failed(&self) -> StoreError {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|failed| failed.clone());
        match failed {
            Some(error) => error,
            // The writer ended without one.
            None => std::future::pending().await,
        }
    }

    /// Carries out what waits and takes no more. Returns when the last of it is answered.
    pub async fn close(&self) {
        let Front::Threads(queue) = &self.front else { return };
        let (closed, wait) = oneshot::channel();
        if queue.send(Message::Close(closed)).await.is_ok() {
            // An error means that the thread has ended already, which is what is wanted.
            let _ended = wait.await;
        }
    }
}

impl Committed {
    fn of(store: &dyn Store) -> (Self, watch::Receiver<u64>, watch::Receiver<Option<StoreError>>) {
        let (revisions, revisions_seen) = watch::channel(store.revision().unwrap_or_default());
        let (failure, failure_seen) = watch::channel(None);
        (Self { revisions, failure }, revisions_seen, failure_seen)
    }
}

/// Carries out writes in groups until the queue is closed and empty.
fn run(store: &dyn Store, mut queue: mpsc::Receiver<Message>, committed: &Committed) {
    let mut closers = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        let mut group = Vec::new();
        let mut changes = 0;
        let gather_until = Instant::now() + GROUP_GATHER;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Write(submission) => {
                    changes += submission.write.changes.len();
                    group.push(submission);
                }
                Message::Close(closed) => {
                    queue.close();
                    closers.push(closed);
                }
            }
            let full = changes >= GROUP_CHANGES || Instant::now() >= gather_until;
            next = if full { None } else { queue.try_recv().ok() };
        }
        commit(store, group, committed);
    }
    for closed in closers {
        let _nobody_waits = closed.send(());
    }
}

fn commit(store: &dyn Store, group: Vec<Submission>, committed: &Committed) {
    if group.is_empty() {
        return;
    }
    let (writes, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|submission| (submission.write, submission.answer)).unzip();
    for (answer, result) in answers.into_iter().zip(store.write_many(writes)) {
        match &result {
            Ok(revision) => drop(committed.revisions.send_replace(*revision)),
            Err(error) if error.needs_reopening() => drop(committed.failure.send_replace(Some(error.clone()))),
            Err(_) => {}
        }
        let _caller_gave_up = answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use futures::future::join_all;
    use futures::poll;

    use super::super::testing::{Gate, event, rollout_id};
    use super::*;

    /// Submits a write of `changes` events; it is in the queue when this returns.
    async fn submit(handle: &StoreHandle, changes: usize) -> std::pin::Pin<Box<impl Future<Output = Result<u64>> + use<>>> {
        let handle = handle.clone();
        let mut write = Box::pin(async move { handle.apply((0..changes).map(|_| event("e")).collect(), vec![]).await });
        assert!(poll!(&mut write).is_pending());
        write
    }

    #[tokio::test]
    async fn writes_that_come_in_during_a_commit_form_the_next_group() {
        let gate = Gate::shut();
        let handle = StoreHandle::start(gate.store()).unwrap();
        let first = submit(&handle, 1).await;
        gate.wait_for_a_commit();
        let mut later = Vec::new();
        for _ in 0..10 {
            later.push(submit(&handle, 1).await);
        }
        gate.open();
        assert_eq!(first.await.unwrap(), 1);
        let revisions: Vec<u64> = join_all(later).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(revisions, (2..=11).collect::<Vec<_>>(), "answered in the order of submission");
        assert_eq!(gate.events_by_commit(), [1, 10], "ten writes waited and one sync served them");
    }

    #[tokio::test]
    async fn a_group_stops_at_a_thousand_changes() {
        let gate = Gate::shut();
        let handle = StoreHandle::start(gate.store()).unwrap();
        let mut writes = vec![submit(&handle, 400).await];
        gate.wait_for_a_commit();
        for _ in 0..4 {
            writes.push(submit(&handle, 400).await);
        }
        gate.open();
        assert!(join_all(writes).await.iter().all(Result::is_ok));
        assert_eq!(gate.events_by_commit(), [400, 1200, 400], "the third of the waiting writes reached the bound of 1,000");
    }

    #[tokio::test]
    async fn a_failing_guard_fails_only_its_own_write() {
        let gate = Gate::shut();
        let handle = StoreHandle::start(gate.store()).unwrap();
        let first = submit(&handle, 1).await;
        gate.wait_for_a_commit();
        let good = submit(&handle, 1).await;
        let guard = Guard::RolloutRevision { rollout: rollout_id("r-1"), expected: 7 };
        let mut bad = Box::pin(handle.apply(vec![event("bad")], vec![guard]));
        assert!(poll!(&mut bad).is_pending());
        let other = submit(&handle, 1).await;
        gate.open();
        assert_eq!((first.await.unwrap(), good.await.unwrap(), other.await.unwrap()), (1, 2, 3), "a failed write takes no revision");
        assert!(bad.await.unwrap_err().is_conflict());
        assert_eq!(gate.events_by_commit(), [1, 2]);
        assert_eq!(handle.read(|store| store.events(0, 10)).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn closing_carries_out_what_waits_and_takes_no_more() {
        let gate = Gate::shut();
        let handle = StoreHandle::start(gate.store()).unwrap();
        let first = submit(&handle, 1).await;
        gate.wait_for_a_commit();
        let waiting = submit(&handle, 1).await;
        let mut closing = Box::pin(handle.close());
        assert!(poll!(&mut closing).is_pending());
        gate.open();
        closing.await;
        assert!(first.await.is_ok() && waiting.await.is_ok());
        assert!(matches!(handle.apply(vec![event("late")], vec![]).await, Err(StoreError::Closed)));
        handle.close().await;
    }
}

//! The embedded stores: one adapter from records to rows, over a tiny engine that keeps ordered rows.
//!
//! Terms: a *row* is a sealed value under a key (see [`keys`] and [`row`]); a *group* is the writes that one commit makes durable. The
//! adapter checks guards, numbers writes, interns and counts; the engine ([`engine::Engine`]) only keeps rows.

mod content;
pub(crate) mod engine;
mod findings;
mod guards;
mod import;
pub(crate) mod keys;
mod read;
mod records;
mod rollouts;
pub(crate) mod row;
mod transaction;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use patchwave_common::domain::Digest;
use patchwave_proto::store::v1;

use self::engine::{Engine, Rows};
use self::keys::Table;
use self::read::HasRows;
use self::transaction::{Group, Transaction};
use super::{Change, Entry, GenerationBlock, MAX_CHANGES, Result, Store, StoreError, StoreRead, Write};
use crate::records::AuditRecord;

/// A store over an engine.
pub(crate) struct Embedded<E> {
    engine: E,
    writer: Mutex<Writer>,
}

/// What only the holder of the writer lock may touch.
struct Writer {
    /// The counters as last committed.
    meta: v1::Meta,
    state: State,
}

enum State {
    Ready,
    /// The disk was full: what is stored stands, and the engine must be opened anew before the next commit.
    Reopen,
    /// A commit failed in a way that leaves its outcome open: nothing more is written.
    Failed(StoreError),
}

impl<E: Engine> Embedded<E> {
    /// A store over an engine's rows; where there are none yet, `new_id` becomes the store's id.
    pub(crate) fn open(engine: E, new_id: impl FnOnce() -> Digest) -> Result<Self> {
        let key = Table::Meta.only();
        let meta = match engine.get(&key)? {
            Some(value) => row::open(engine.path(), &key, &value)?,
            None => {
                let meta = first_meta(&engine, new_id())?;
                engine.commit(vec![(key.clone(), Some(row::seal(&key, &prost::Message::encode_to_vec(&meta))))])?;
                meta
            }
        };
        if E::VERIFY_ON_OPEN {
            verify::verify(&engine, engine.path(), &meta)?;
        }
        Ok(Self { engine, writer: Mutex::new(Writer { meta, state: State::Ready }) })
    }

    /// The counters as they are stored, for tests: with [`Store::verify`] they stand for all rows.
    #[cfg(test)]
    pub(crate) fn counters(&self) -> Result<v1::Meta> {
        read::meta(self)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while the lock was held left `meta` as last committed: it is replaced only after a commit.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` over a group and commits what it staged; the answer stands only if the commit does.
    fn commit<T>(&self, work: impl FnOnce(&mut Group<'_>) -> Result<T>) -> Result<T> {
        let mut writer = self.writer();
        self.make_ready(&mut writer)?;
        let mut group = Group::new(&self.engine, self.engine.path(), writer.meta.clone());
        let answer = work(&mut group)?;
        let Some((meta, batch)) = group.into_batch()? else { return Ok(answer) };
        match self.engine.commit(batch) {
            Ok(()) => writer.meta = meta,
            Err(error @ StoreError::Full { .. }) => {
                writer.state = State::Reopen;
                // At once, so that reads go on; where it fails, the next write tries again.
                let _tried = self.make_ready(&mut writer);
                return Err(error);
            }
            Err(error) => {
                writer.state = State::Failed(error.clone());
                return Err(error);
            }
        }
        Ok(answer)
    }

    /// Brings the engine back after a full disk. A commit that was answered as failed must not be found done.
    fn make_ready(&self, writer: &mut Writer) -> Result<()> {
        match &writer.state {
            State::Ready => return Ok(()),
            State::Failed(error) => return Err(error.clone()),
            State::Reopen => self.engine.reopen()?,
        }
        let found = read::meta(self)?;
        if found == writer.meta {
            writer.state = State::Ready;
            return Ok(());
        }
        let detail = "a write that failed for want of room took place all the same".to_owned();
        let error = StoreError::Io { path: self.engine.path().to_owned(), detail };
        writer.state = State::Failed(error.clone());
        Err(error)
    }
}

/// The counters of a new store. Rows without counters are what a damaged store looks like, never a new one.
fn first_meta(engine: &impl Engine, store_id: Digest) -> Result<v1::Meta> {
    let mut rows = 0_u64;
    engine.scan(&[], &[u8::MAX], &mut |_, _| {
        rows += 1;
        Ok(false)
    })?;
    if rows > 0 {
        return Err(StoreError::damaged(engine.path(), "the row of counters is missing"));
    }
    Ok(v1::Meta {
        store_id: store_id.0.to_vec(),
        epoch: 1,
        next_generation: 1,
        last_audit_digest: AuditRecord::START.0.to_vec(),
        ..v1::Meta::default()
    })
}

impl<E: Engine> HasRows for Embedded<E> {
    fn rows(&self) -> &dyn Rows {
        &self.engine
    }
    fn path(&self) -> &Path {
        self.engine.path()
    }
}

impl<E: Engine> Store for Embedded<E> {
    fn write_many(&self, writes: Vec<Write>) -> Vec<Result<u64>> {
        let count = writes.len();
        let group = self.commit(|group| Ok(writes.into_iter().map(|write| write_one(group, write)).collect::<Vec<_>>()));
        group.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone())).collect())
    }

    fn reserve_generations(&self, count: u32) -> Result<GenerationBlock> {
        self.commit(|group| {
            let first = group.meta.next_generation;
            group.meta.next_generation = first.saturating_add(u64::from(count));
            Ok(GenerationBlock { epoch: group.meta.epoch, counters: first..group.meta.next_generation })
        })
    }

    fn raise_epoch(&self, above: u32) -> Result<u32> {
        self.commit(|group| {
            let too_high = || StoreError::TooLarge { what: "the epoch", size: u32::MAX as usize, limit: u32::MAX as usize - 1 };
            group.meta.epoch = group.meta.epoch.max(above).checked_add(1).ok_or_else(too_high)?;
            group.meta.next_generation = 1;
            Ok(group.meta.epoch)
        })
    }

    fn import(&self, entries: Vec<Entry>) -> Result<()> {
        self.commit(|group| {
            let mut transaction = Transaction::new(group);
            entries.into_iter().try_for_each(|entry| import::import(&mut transaction, entry))?;
            let staged = transaction.into_staged();
            group.take(staged);
            Ok(())
        })
    }

    fn verify(&self) -> Result<()> {
        let snapshot = {
            let _writer = self.writer();
            self.engine.snapshot()?
        };
        let key = Table::Meta.only();
        let meta = snapshot.get(&key)?.ok_or_else(|| StoreError::damaged(self.engine.path(), "the row of counters is missing"))?;
        verify::verify(snapshot.as_ref(), self.engine.path(), &row::open(self.engine.path(), &key, &meta)?)
    }

    fn snapshot(&self) -> Result<Box<dyn StoreRead>> {
        // Under the writer lock, so that an engine without versions of its own can copy in peace.
        let _writer = self.writer();
        Ok(Box::new(Snapshot { rows: self.engine.snapshot()?, path: self.engine.path().to_owned() }))
    }
}

/// Carries out one write of a group; leaves the group untouched where it fails.
fn write_one(group: &mut Group<'_>, write: Write) -> Result<u64> {
    if write.changes.len() > MAX_CHANGES {
        return Err(StoreError::TooLarge { what: "a write's number of changes", size: write.changes.len(), limit: MAX_CHANGES });
    }
    let mut transaction = Transaction::new(group);
    for guard in write.guards {
        guards::check(&transaction, guard)?;
    }
    for change in write.changes {
        apply(&mut transaction, change)?;
    }
    transaction.meta.revision += 1;
    let revision = transaction.meta.revision;
    let staged = transaction.into_staged();
    group.take(staged);
    Ok(revision)
}

fn apply(transaction: &mut Transaction<'_>, change: Change) -> Result<()> {
    match change {
        Change::PutHost(host) => records::put_host(transaction, *host),
        Change::UpdateHost { host, update } => records::update_host(transaction, &host, update),
        Change::PutToken(token) => transaction.put(Table::Token.text(token.id.as_str()), &token),
        Change::UseToken(token) => records::use_token(transaction, token),
        Change::PutOperator(operator) => records::put_operator(transaction, operator),
        Change::PutPolicy(policy) => records::put_policy(transaction, policy),
        Change::AppendRollout { rollout, expected, records } => rollouts::append(transaction, rollout, expected, records),
        Change::PutRolloutSnapshot { rollout, revision, bytes } => rollouts::put_snapshot(transaction, &rollout, revision, bytes),
        Change::PutPlan { rollout, header, segments } => rollouts::put_plan(transaction, &rollout, header, segments),
        Change::PutRolloutHead(head) => rollouts::put_head(transaction, &head),
        Change::Claim { host, rollout, generation } => rollouts::claim(transaction, host, rollout, generation),
        Change::ReleaseClaim { host, rollout } => rollouts::release(transaction, &host, &rollout),
        Change::PutInventory(inventory) => content::put_inventory(transaction, &inventory),
        Change::PutCandidates(candidates) => content::put_candidates(transaction, &candidates),
        Change::SetHostInventory { host, inventory, candidates } => content::set_host(transaction, &host, inventory, candidates),
        Change::PutQuarantine(record) => records::put_quarantine(transaction, &record),
        Change::LiftQuarantine { key, lift } => records::lift_quarantine(transaction, &key, lift),
        Change::SetHalt(halt) => records::set_halt(transaction, &halt),
        Change::PutCertificate(record) => transaction.put(Table::Certificate.text(record.serial.as_str()), &record),
        Change::RevokeCertificate { serial, revocation } => records::revoke_certificate(transaction, &serial, revocation),
        Change::AppendAudit(entry) => records::append_audit(transaction, entry),
        Change::AppendEvent(event) => records::append_event(transaction, event),
        Change::PutFeed(feed) => transaction.put(Table::Feed.text(feed.name.as_str()), feed.as_ref()),
        Change::RemoveFeed(feed) => findings::remove_feed(transaction, &feed),
        Change::PutFeedSegment { feed, generation, index, records } => findings::put_segment(transaction, feed, generation, index, records),
        Change::DropFeedSegments { feed, keep } => findings::drop_segments(transaction, &feed, keep),
        Change::AppendFindings { host, number, at, transitions } => findings::append(transaction, &host, number, at, transitions),
        Change::NoteFix(fix) => findings::note_fix(transaction, &fix),
    }
}

/// A store's rows at one instant.
struct Snapshot {
    rows: Box<dyn Rows>,
    path: PathBuf,
}

impl HasRows for Snapshot {
    fn rows(&self) -> &dyn Rows {
        self.rows.as_ref()
    }
    fn path(&self) -> &Path {
        &self.path
    }
}

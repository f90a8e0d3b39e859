//! What the controller keeps on disk: one trait in domain terms, several implementations, one contract suite.
//!
//! Terms: a *write* is a list of changes under guards, atomic and durable when it is acknowledged. The *store revision* counts writes
//! without gaps. The *epoch* counts restores of a backup. A *page* is a bounded part of an ordered list: a reader asks for what follows a
//! key and stops when a page is shorter than its limit.
//!
//! The trait is synchronous: call it from `spawn_blocking`, or through [`StoreHandle`], which also gathers writes of many tasks into one
//! sync of the disk. Everything here can be said in relational tables: records by primary key, keyset pages, one transaction per group of
//! writes. Text keys order bytewise. A store decides nothing and reads no clock.

use bytes::Bytes;
use patchwave_common::domain::{
    CandidateSet, Digest, FeedName, Generation, HostId, InstalledPackage, Inventory, Manager, OperatorName, PolicyName, QuarantineKey,
    RolloutId, TokenId,
};
use roaring::RoaringBitmap;

use crate::records::{
    AuditRecord, CertificateRecord, ClaimRecord, EventRecord, FeedRecord, FindingEntry, FixKey, FixRecord, HaltRecord, HostRecord,
    OperatorRecord, PolicyRecord, QuarantineRecord, RolloutHead, Serial, TokenRecord,
};

pub mod backup;
mod change;
mod codec;
#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod dice;
mod embedded;
mod entry;
mod error;
pub(crate) mod fuzzing;
mod group;
mod kinds;
mod memory;
mod redb;
pub mod simulated;
mod sled;
#[cfg(test)]
pub(crate) mod testing;

pub use change::{Change, Guard, Write};
pub use entry::{Counters, Entry};
pub use error::StoreError;
pub use group::StoreHandle;
pub use kinds::{DEFAULT_KIND, KINDS, open, open_memory};

/// Most records of one page. A page of hosts is then a few MB at most; a reader of a large fleet asks a thousand times, not once.
pub const MAX_PAGE: usize = 1_000;
/// Most changes of one write. The rollout engine releases hosts in batches of 1,000 events, each with a claim and an event line.
pub const MAX_CHANGES: usize = 4_000;
/// Most bytes of one opaque value (an event, a plan segment, a snapshot). A segment holds 4,096 hosts of tens of bytes; a snapshot of a
/// million hosts is the largest.
pub const MAX_VALUE_BYTES: usize = 256 << 20;

/// The result of everything here.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Which store this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Random, made with the store and kept through backup and restore.
    pub store_id: Digest,
    /// Counts restores; part of every generation.
    pub epoch: u32,
}

/// Generations set aside for one caller; never given to another, also not after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationBlock {
    /// The store's epoch.
    pub epoch: u32,
    /// The counters, which the caller gives out in order.
    pub counters: std::ops::Range<u64>,
}

impl Iterator for GenerationBlock {
    type Item = Generation;
    fn next(&mut self) -> Option<Generation> {
        self.counters.next().map(|counter| Generation { epoch: self.epoch, counter })
    }
}

/// A row of the table of package versions: everything that an inventory says of one package, under the store's own durable id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRow {
    /// Durable within this store, also through backup and restore; never leaves the controller.
    pub id: u32,
    /// The package manager.
    pub manager: Manager,
    /// The package.
    pub package: InstalledPackage,
}

/// An inventory as ids of [`PackageRow`]s.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryRows {
    /// The package manager.
    pub manager: Manager,
    /// The ids.
    pub rows: RoaringBitmap,
}

/// Reads. Every list is a page: at most `limit` (and never more than [`MAX_PAGE`]) records in ascending order of their key, after `after`.
pub trait StoreRead: Send + Sync {
    /// Which store this is.
    fn identity(&self) -> Result<StoreIdentity>;
    /// Number of writes ever acknowledged.
    fn revision(&self) -> Result<u64>;
    /// Revision of halt and quarantine.
    fn fleet_revision(&self) -> Result<u64>;

    /// One host.
    fn host(&self, id: &HostId) -> Result<Option<HostRecord>>;
    /// Hosts in every state, by id.
    fn hosts(&self, after: Option<&HostId>, limit: usize) -> Result<Vec<HostRecord>>;
    /// One token.
    fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>>;
    /// Tokens, by id.
    fn tokens(&self, after: Option<&TokenId>, limit: usize) -> Result<Vec<TokenRecord>>;
    /// One operator.
    fn operator(&self, name: &OperatorName) -> Result<Option<OperatorRecord>>;
    /// Operators, by name.
    fn operators(&self, after: Option<&OperatorName>, limit: usize) -> Result<Vec<OperatorRecord>>;
    /// A policy's newest revision.
    fn policy(&self, name: &PolicyName) -> Result<Option<PolicyRecord>>;
    /// Any revision of a policy.
    fn policy_revision(&self, name: &PolicyName, revision: u64) -> Result<Option<PolicyRecord>>;
    /// The newest revision of each policy, by name.
    fn policies(&self, after: Option<&PolicyName>, limit: usize) -> Result<Vec<PolicyRecord>>;
    /// One certificate.
    fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>>;
    /// Certificates, by serial.
    fn certificates(&self, after: Option<&Serial>, limit: usize) -> Result<Vec<CertificateRecord>>;

    /// One summary.
    fn rollout(&self, id: &RolloutId) -> Result<Option<RolloutHead>>;
    /// Summaries, by id.
    fn rollouts(&self, after: Option<&RolloutId>, limit: usize) -> Result<Vec<RolloutHead>>;
    /// Every rollout of which a log, a plan, a snapshot or a summary is kept, by id.
    fn rollout_ids(&self, after: Option<&RolloutId>, limit: usize) -> Result<Vec<RolloutId>>;
    /// Number of records in a rollout's log; 0 where there is none.
    fn rollout_revision(&self, id: &RolloutId) -> Result<u64>;
    /// Records of a rollout's log, in order, the first being number `from` (counted from 0).
    fn rollout_log(&self, id: &RolloutId, from: u64, limit: usize) -> Result<Vec<Bytes>>;
    /// The kept snapshot and the number of log records that it stands for.
    fn rollout_snapshot(&self, id: &RolloutId) -> Result<Option<(u64, Bytes)>>;
    /// The header of a rollout's plan.
    fn plan_header(&self, id: &RolloutId) -> Result<Option<Bytes>>;
    /// One segment of a rollout's plan, counted from 0.
    fn plan_segment(&self, id: &RolloutId, index: u32) -> Result<Option<Bytes>>;
    /// Who holds a host.
    fn claim(&self, host: &HostId) -> Result<Option<ClaimRecord>>;
    /// Held hosts, by host.
    fn claims(&self, after: Option<&HostId>, limit: usize) -> Result<Vec<ClaimRecord>>;

    /// An inventory.
    fn inventory(&self, digest: &Digest) -> Result<Option<Inventory>>;
    /// An inventory as ids of rows in the table of package versions, for read models that index by id.
    fn inventory_rows(&self, digest: &Digest) -> Result<Option<InventoryRows>>;
    /// The table of package versions, by id. Ids start at 1 and rows never change.
    fn package_rows(&self, after: u32, limit: usize) -> Result<Vec<PackageRow>>;
    /// Candidates.
    fn candidates(&self, digest: &Digest) -> Result<Option<CandidateSet>>;

    /// One quarantine, lifted or not.
    fn quarantined(&self, key: &QuarantineKey) -> Result<Option<QuarantineRecord>>;
    /// Quarantines, lifted ones included, by key.
    fn quarantine(&self, after: Option<&QuarantineKey>, limit: usize) -> Result<Vec<QuarantineRecord>>;
    /// The halt as last set.
    fn halt(&self) -> Result<Option<HaltRecord>>;

    /// One feed.
    fn feed(&self, name: &FeedName) -> Result<Option<FeedRecord>>;
    /// Feeds, by name.
    fn feeds(&self, after: Option<&FeedName>, limit: usize) -> Result<Vec<FeedRecord>>;
    /// A segment of a feed's content.
    fn feed_segment(&self, feed: &FeedName, generation: u64, index: u32) -> Result<Option<Bytes>>;
    /// The log of a host's findings, from number `from` on.
    fn finding_log(&self, host: &HostId, from: u64, limit: usize) -> Result<Vec<FindingEntry>>;
    /// The transitions that entries of such logs name.
    fn finding_batch(&self, digest: &Digest) -> Result<Option<Bytes>>;
    /// When fixes were first seen, by key.
    fn fixes(&self, after: Option<&FixKey>, limit: usize) -> Result<Vec<FixRecord>>;

    /// Events numbered above `after`.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRecord>>;
    /// Number of the newest event; 0 where there is none.
    fn last_event(&self) -> Result<u64>;
    /// Audit records numbered above `after`.
    fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>>;
    /// Number and digest of the newest audit record; (0, [`AuditRecord::START`]) where there is none.
    fn audit_end(&self) -> Result<(u64, Digest)>;
}

/// A store. One process has it open at a time, unless the kind says otherwise.
pub trait Store: StoreRead {
    /// Carries out several writes with one sync of the disk, each atomic by itself, in order: a later one sees what an earlier one did,
    /// and one that fails leaves nothing behind and hinders none of the others. Everything that is answered with a store revision is on
    /// disk when this returns.
    fn write_many(&self, writes: Vec<Write>) -> Vec<Result<u64>>;

    /// Carries out one write; gives the store revision that it made.
    fn write(&self, write: Write) -> Result<u64> {
        self.write_many(vec![write]).pop().unwrap_or(Err(StoreError::Closed))
    }

    /// Sets aside `count` generations, durably.
    fn reserve_generations(&self, count: u32) -> Result<GenerationBlock>;

    /// Raises the epoch above what it is and above `above`, so that every generation given out from now on is newer than any before; gives
    /// the new epoch. `above` is the epoch of a generation that an agent has seen, where one knows of it (one backup restored twice gives
    /// one epoch twice), else 0.
    fn raise_epoch(&self, above: u32) -> Result<u32>;

    /// Keeps records exactly as they are, numbers, revisions and digests included: for restoring a backup into a new store that nobody uses
    /// yet. Content comes before the hosts that have it; [`Entry::Counters`] may come at any place.
    fn import(&self, entries: Vec<Entry>) -> Result<()>;

    /// Reads everything and checks it against its checksums, and that nothing is missing.
    fn verify(&self) -> Result<()>;

    /// A consistent view of one instant, which later writes do not touch.
    fn snapshot(&self) -> Result<Box<dyn StoreRead>>;
}

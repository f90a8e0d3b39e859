//! One record of any kind, as a backup carries it from store to store.

use std::sync::Arc;

use bytes::Bytes;
use patchwave_common::domain::{CandidateSet, Digest, FeedName, HostId, RolloutId};

use super::{InventoryRows, PackageRow, StoreIdentity};
use crate::records::{
    AuditRecord, CertificateRecord, ClaimRecord, EventRecord, FeedRecord, FindingEntry, FixRecord, HaltRecord, HostRecord, OperatorRecord,
    PolicyRecord, QuarantineRecord, RolloutHead, TokenRecord,
};

/// What a store counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// Which store it is.
    pub identity: StoreIdentity,
    /// Number of writes.
    pub revision: u64,
    /// Revision of halt and quarantine.
    pub fleet_revision: u64,
    /// Number of the newest event.
    pub last_event: u64,
    /// Number and digest of the newest audit record.
    pub audit_end: (u64, Digest),
}

/// A record with its numbers, revisions and digests.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The store's counters.
    Counters(Counters),
    /// A host.
    Host(Box<HostRecord>),
    /// A join token.
    Token(TokenRecord),
    /// An operator.
    Operator(OperatorRecord),
    /// One revision of a policy.
    Policy(PolicyRecord),
    /// A rollout's summary.
    RolloutHead(Box<RolloutHead>),
    /// Some records of a rollout's log.
    RolloutRecords {
        /// The rollout.
        rollout: RolloutId,
        /// Number of the first, counted from 0.
        first: u64,
        /// In order.
        records: Vec<Bytes>,
    },
    /// A snapshot of a rollout's state.
    RolloutSnapshot {
        /// The rollout.
        rollout: RolloutId,
        /// Records of the log that it stands for.
        revision: u64,
        /// Encoded state.
        bytes: Bytes,
    },
    /// A plan's header.
    PlanHeader {
        /// The rollout.
        rollout: RolloutId,
        /// Encoded header.
        bytes: Bytes,
    },
    /// A plan's segment.
    PlanSegment {
        /// The rollout.
        rollout: RolloutId,
        /// Counted from 0.
        index: u32,
        /// Encoded segment.
        bytes: Bytes,
    },
    /// Who holds a host.
    Claim(ClaimRecord),
    /// A row of the table of package versions.
    PackageRow(PackageRow),
    /// An inventory over that table.
    Inventory {
        /// Its digest.
        digest: Digest,
        /// Its rows.
        rows: InventoryRows,
    },
    /// Candidates.
    Candidates(Arc<CandidateSet>),
    /// A quarantine.
    Quarantine(Box<QuarantineRecord>),
    /// The halt.
    Halt(HaltRecord),
    /// A certificate.
    Certificate(CertificateRecord),
    /// An audit record.
    Audit(Box<AuditRecord>),
    /// An event.
    Event(EventRecord),
    /// A feed.
    Feed(Box<FeedRecord>),
    /// A segment of the content that is in use.
    FeedSegment {
        /// The feed.
        feed: FeedName,
        /// The generation.
        generation: u64,
        /// Counted from 0.
        index: u32,
        /// Packed records.
        records: Bytes,
    },
    /// Transitions of findings, which entries name by their digest.
    FindingBatch(Bytes),
    /// An entry of the log of a host's findings.
    FindingEntry {
        /// The host.
        host: HostId,
        /// The entry.
        entry: FindingEntry,
    },
    /// When a fix was first seen.
    Fix(FixRecord),
}

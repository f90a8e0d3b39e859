//! Keys of rows: one byte for the table, then the record's key, such that bytes order as the records do.

use patchwave_common::domain::{Digest, FeedName, QuarantineKey};

use crate::records::FixKey;

/// Tables. The numbers stand on disk: never renumber or reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// One row: the store's counters.
    Meta = 0,
    Host = 1,
    Token = 2,
    Operator = 3,
    /// Newest revision by name.
    Policy = 4,
    /// Every revision by (name, revision).
    PolicyRevision = 5,
    Certificate = 6,
    RolloutHead = 7,
    /// Number of log records by rollout.
    RolloutPosition = 8,
    /// Log records of one append by (rollout, number of the last), so that a scan from a number starts in the right row.
    RolloutRecords = 9,
    RolloutSnapshot = 10,
    PlanHeader = 11,
    /// By (rollout, index).
    PlanSegment = 12,
    Claim = 13,
    /// By digest.
    Inventory = 14,
    /// By digest.
    Candidates = 15,
    /// By id.
    PackageVersion = 16,
    /// Id by digest of the row.
    PackageVersionId = 17,
    /// How many hosts have it, by digest of an inventory.
    InventoryHosts = 18,
    /// How many hosts have them, by digest of candidates.
    CandidatesHosts = 19,
    Quarantine = 20,
    /// One row.
    Halt = 21,
    /// By sequence.
    Audit = 22,
    /// By sequence.
    Event = 23,
    /// By name.
    Feed = 24,
    /// By (feed, generation, index).
    FeedSegment = 25,
    /// Transitions of findings, by their digest.
    FindingBatch = 26,
    /// By (host, number).
    FindingEntry = 27,
    /// By origin, source package and version.
    Fix = 28,
}

impl Table {
    /// A row's key.
    pub(crate) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.push(self as u8);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    /// The only row of a table that has one.
    pub(crate) fn only(self) -> Vec<u8> {
        vec![self as u8]
    }

    /// A row by text, or by text and a number. The texts that become keys are checked tokens of printable characters, so a zero byte
    /// ends them and orders below all of them.
    pub(crate) fn text(self, text: &str) -> Vec<u8> {
        self.key(&[text.as_bytes()])
    }

    /// See [`Self::text`].
    pub(crate) fn text_number(self, text: &str, number: u64) -> Vec<u8> {
        self.key(&[text.as_bytes(), &[0], &number.to_be_bytes()])
    }

    /// A row by number.
    pub(crate) fn number(self, number: u64) -> Vec<u8> {
        self.key(&[&number.to_be_bytes()])
    }

    /// A row by digest.
    pub(crate) fn digest(self, digest: &Digest) -> Vec<u8> {
        self.key(&[&digest.0])
    }

    /// The first key behind the table.
    pub(crate) fn end(self) -> Vec<u8> {
        vec![self as u8 + 1]
    }
}

/// The first key behind `key`.
pub(crate) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// A quarantine's row.
pub(crate) fn quarantine_key(key: &QuarantineKey) -> Vec<u8> {
    escaped(Table::Quarantine, &[key.manager.as_str(), &key.origin, key.source.as_str(), key.version.as_str(), key.architecture.as_str()])
}

/// A fix's row.
pub(crate) fn fix_key(key: &FixKey) -> Vec<u8> {
    escaped(Table::Fix, &[&key.origin, key.source.as_str(), key.version.as_str()])
}

/// The row of a segment of a feed.
pub(crate) fn segment_key(feed: &FeedName, generation: u64, index: u32) -> Vec<u8> {
    Table::FeedSegment.key(&[feed.as_str().as_bytes(), &[0], &generation.to_be_bytes(), &index.to_be_bytes()])
}

/// The rows of all segments of a feed: from here, up to here.
pub(crate) fn segments_of(feed: &FeedName) -> (Vec<u8>, Vec<u8>) {
    (Table::FeedSegment.key(&[feed.as_str().as_bytes(), &[0]]), Table::FeedSegment.key(&[feed.as_str().as_bytes(), &[1]]))
}

/// A row by free texts. Every part is escaped: a zero byte becomes 0 255, and 0 1 ends a part.
fn escaped(table: Table, parts: &[&str]) -> Vec<u8> {
    let mut bytes = table.only();
    for part in parts {
        for &byte in part.as_bytes() {
            bytes.push(byte);
            if byte == 0 {
                bytes.push(255);
            }
        }
        bytes.extend_from_slice(&[0, 1]);
    }
    bytes
}

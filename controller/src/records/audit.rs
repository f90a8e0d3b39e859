//! The audit log: append-only, each record chained to the one before it by its digest, so that a change or a gap shows.
//!
//! The digest is over the fields themselves, not over a stored encoding, so it holds for every store and in a backup.

use patchwave_common::domain::{Digest, DigestBuilder, Timestamp};

use super::Actor;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// The caller may not do this.
    Refused,
    /// It was tried and failed.
    Failed,
}

impl AuditOutcome {
    /// The name in JSON and under the digest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was called, e.g. `rollout.start`.
    pub action: String,
    /// On what, e.g. a rollout id; empty where there is no one thing.
    pub subject: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// More in plain words; never a secret.
    pub detail: String,
}

/// One record of the log. Made by the store when it appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Counts up from 1 without gaps.
    pub sequence: u64,
    /// Digest of the record before; all zero for the first.
    pub previous: Digest,
    /// Digest of this record, over `sequence`, `previous` and every field of the entry.
    pub digest: Digest,
    /// What happened.
    pub entry: AuditEntry,
}

impl AuditRecord {
    /// The `previous` of the first record.
    pub const START: Digest = Digest([0; 32]);

    /// Chains an entry to the record before it: (`sequence` 0, [`Self::START`]) where there is none.
    #[must_use]
    pub fn chain(last_sequence: u64, last_digest: Digest, entry: AuditEntry) -> Self {
        let sequence = last_sequence.saturating_add(1);
        let digest = Self::compute(sequence, last_digest, &entry);
        Self { sequence, previous: last_digest, digest, entry }
    }

    fn compute(sequence: u64, previous: Digest, entry: &AuditEntry) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.field(b"patchwave audit record 1").field(&sequence.to_be_bytes()).field(&previous.0);
        builder.field(&entry.at.0.to_be_bytes()).field(entry.actor.to_string().as_bytes()).field(entry.action.as_bytes());
        builder.field(entry.subject.as_bytes()).field(entry.outcome.as_str().as_bytes()).field(entry.detail.as_bytes());
        builder.finish()
    }
}

/// Where a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// A record is missing or out of order.
    #[error("audit record {expected} is missing: record {found} stands in its place")]
    Gap {
        /// The sequence that should follow.
        expected: u64,
        /// The sequence that does.
        found: u64,
    },
    /// A record does not name the digest of the one before it.
    #[error("audit record {sequence} is not chained to the record before it: one of the two was changed")]
    Unchained {
        /// That record.
        sequence: u64,
    },
    /// A record's own digest does not fit its fields.
    #[error("audit record {sequence} was changed after it was written: its digest does not fit")]
    Changed {
        /// That record.
        sequence: u64,
    },
}

/// Checks that `records` continue the chain that ended in (`sequence`, `digest`); start with (0, [`AuditRecord::START`]).
/// Gives the new end, with which the next page is checked. A cut-off tail can only be seen by comparing the end with one kept elsewhere.
pub fn verify_audit_chain<'a>(
    mut end: (u64, Digest),
    records: impl IntoIterator<Item = &'a AuditRecord>,
) -> Result<(u64, Digest), AuditBreak> {
    for record in records {
        let expected = end.0.saturating_add(1);
        if record.sequence != expected {
            return Err(AuditBreak::Gap { expected, found: record.sequence });
        }
        if record.digest != AuditRecord::compute(record.sequence, record.previous, &record.entry) {
            return Err(AuditBreak::Changed { sequence: record.sequence });
        }
        if record.previous != end.1 {
            return Err(AuditBreak::Unchained { sequence: record.sequence });
        }
        end = (record.sequence, record.digest);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chain() -> Vec<AuditRecord> {
        let mut records: Vec<AuditRecord> = Vec::new();
        for number in 0..5 {
            let (sequence, digest) = records.last().map_or((0, AuditRecord::START), |last| (last.sequence, last.digest));
            let entry = AuditEntry {
                at: Timestamp(number),
                actor: Actor::Local,
                action: "init".into(),
                subject: format!("{number}"),
                outcome: AuditOutcome::Done,
                detail: String::new(),
            };
            records.push(AuditRecord::chain(sequence, digest, entry));
        }
        records
    }

    #[test]
    fn an_untouched_chain_holds_also_page_by_page() {
        let records = chain();
        let whole = verify_audit_chain((0, AuditRecord::START), &records).unwrap();
        let first = verify_audit_chain((0, AuditRecord::START), &records[..2]).unwrap();
        assert_eq!(verify_audit_chain(first, &records[2..]).unwrap(), whole);
    }

    #[test]
    fn a_changed_a_missing_and_a_rechained_record_are_each_found() {
        let mut changed = chain();
        changed[2].entry.outcome = AuditOutcome::Refused;
        assert_eq!(verify_audit_chain((0, AuditRecord::START), &changed), Err(AuditBreak::Changed { sequence: 3 }));

        let mut missing = chain();
        missing.remove(2);
        assert_eq!(verify_audit_chain((0, AuditRecord::START), &missing), Err(AuditBreak::Gap { expected: 3, found: 4 }));

        let mut forged = chain();
        let mut entry = forged[2].entry.clone();
        entry.detail = "forged".into();
        forged[2] = AuditRecord::chain(2, forged[1].digest, entry);
        assert_eq!(verify_audit_chain((0, AuditRecord::START), &forged), Err(AuditBreak::Unchained { sequence: 4 }));
    }
}

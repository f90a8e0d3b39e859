//! Entries of a backup.

use std::sync::Arc;

use bytes::Bytes;
use patchwave_common::domain::{CandidateSet, FeedName, HostId, RolloutId};
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::backup_entry::Entry as Message;

use super::{CodecError, PackageVersion, Stored, digest, required};
use crate::records::{
    AuditRecord, CertificateRecord, ClaimRecord, EventRecord, FeedRecord, FindingEntry, FixRecord, HaltRecord, HostRecord, OperatorRecord,
    PolicyRecord, QuarantineRecord, RolloutHead, TokenRecord,
};
use crate::store::{Counters, Entry, InventoryRows, PackageRow, StoreIdentity};

impl Stored for Entry {
    type Message = v1::BackupEntry;
    const WHAT: &'static str = "backup entry";

    fn to_message(&self) -> v1::BackupEntry {
        let entry = match self {
            Self::Counters(counters) => Message::Counters(counters.to_message()),
            Self::Host(record) => Message::Host(record.to_message()),
            Self::Token(record) => Message::Token(record.to_message()),
            Self::Operator(record) => Message::Operator(record.to_message()),
            Self::Policy(record) => Message::Policy(record.to_message()),
            Self::RolloutHead(record) => Message::RolloutHead(record.to_message()),
            Self::Claim(record) => Message::Claim(record.to_message()),
            Self::Candidates(set) => Message::Candidates(set.to_message()),
            Self::Quarantine(record) => Message::Quarantine(record.to_message()),
            Self::Halt(record) => Message::Halt(record.to_message()),
            Self::Certificate(record) => Message::Certificate(record.to_message()),
            Self::Audit(record) => Message::Audit(record.to_message()),
            Self::Event(record) => Message::Event(record.to_message()),
            Self::Feed(record) => Message::Feed(record.to_message()),
            Self::FeedSegment { feed, generation, index, records } => Message::FeedSegment(v1::FeedSegment {
                feed: feed.to_string(),
                generation: *generation,
                index: *index,
                records: records.to_vec(),
            }),
            Self::FindingBatch(transitions) => Message::FindingBatch(v1::FindingBatch { transitions: transitions.to_vec() }),
            Self::FindingEntry { host, entry } => Message::FindingEntry(v1::FindingEntry { host: host.to_string(), ..entry.to_message() }),
            Self::Fix(record) => Message::Fix(record.to_message()),
            Self::RolloutRecords { rollout, first, records } => Message::RolloutRecords(v1::RolloutRecords {
                rollout: rollout.to_string(),
                first: *first,
                records: records.iter().map(|record| record.to_vec()).collect(),
            }),
            Self::RolloutSnapshot { rollout, revision, bytes } => {
                Message::RolloutSnapshot(v1::RolloutSnapshot { rollout: rollout.to_string(), revision: *revision, state: bytes.to_vec() })
            }
            Self::PlanHeader { rollout, bytes } => {
                Message::PlanHeader(v1::PlanHeader { rollout: rollout.to_string(), header: bytes.to_vec() })
            }
            Self::PlanSegment { rollout, index, bytes } => {
                Message::PlanSegment(v1::PlanSegment { rollout: rollout.to_string(), index: *index, segment: bytes.to_vec() })
            }
            Self::PackageRow(row) => {
                let package = PackageVersion { manager: row.manager, package: row.package.clone() };
                Message::PackageRow(v1::BackupPackageRow { id: row.id, package: Some(package.to_message()) })
            }
            Self::Inventory { digest, rows } => {
                Message::Inventory(v1::BackupInventory { digest: digest.0.to_vec(), set: Some(rows.to_message()) })
            }
        };
        v1::BackupEntry { entry: Some(entry) }
    }

    fn from_message(message: v1::BackupEntry) -> Result<Self, CodecError> {
        let rollout = |id: String| -> Result<RolloutId, CodecError> { Ok(RolloutId::parse(id)?) };
        Ok(match required(message.entry, "backup entry")? {
            Message::Attachment(_) => return Err(CodecError::new(Self::WHAT, "a file stands among the records")),
            Message::Counters(counters) => Self::Counters(Counters::from_message(counters)?),
            Message::Host(record) => Self::Host(Box::new(HostRecord::from_message(record)?)),
            Message::Token(record) => Self::Token(TokenRecord::from_message(record)?),
            Message::Operator(record) => Self::Operator(OperatorRecord::from_message(record)?),
            Message::Policy(record) => Self::Policy(PolicyRecord::from_message(record)?),
            Message::RolloutHead(record) => Self::RolloutHead(Box::new(RolloutHead::from_message(record)?)),
            Message::Claim(record) => Self::Claim(ClaimRecord::from_message(record)?),
            Message::Candidates(set) => Self::Candidates(Arc::new(CandidateSet::from_message(set)?)),
            Message::Quarantine(record) => Self::Quarantine(Box::new(QuarantineRecord::from_message(record)?)),
            Message::Halt(record) => Self::Halt(HaltRecord::from_message(record)?),
            Message::Certificate(record) => Self::Certificate(CertificateRecord::from_message(record)?),
            Message::Audit(record) => Self::Audit(Box::new(AuditRecord::from_message(record)?)),
            Message::Event(record) => Self::Event(EventRecord::from_message(record)?),
            Message::Feed(record) => Self::Feed(Box::new(FeedRecord::from_message(record)?)),
            Message::FeedSegment(row) => Self::FeedSegment {
                feed: FeedName::parse(row.feed)?,
                generation: row.generation,
                index: row.index,
                records: row.records.into(),
            },
            Message::FindingBatch(row) => Self::FindingBatch(row.transitions.into()),
            Message::FindingEntry(row) => {
                Self::FindingEntry { host: HostId::parse(row.host.clone())?, entry: FindingEntry::from_message(row)? }
            }
            Message::Fix(record) => Self::Fix(FixRecord::from_message(record)?),
            Message::RolloutRecords(rows) => Self::RolloutRecords {
                rollout: rollout(rows.rollout)?,
                first: rows.first,
                records: rows.records.into_iter().map(Bytes::from).collect(),
            },
            Message::RolloutSnapshot(row) => {
                Self::RolloutSnapshot { rollout: rollout(row.rollout)?, revision: row.revision, bytes: row.state.into() }
            }
            Message::PlanHeader(row) => Self::PlanHeader { rollout: rollout(row.rollout)?, bytes: row.header.into() },
            Message::PlanSegment(row) => Self::PlanSegment { rollout: rollout(row.rollout)?, index: row.index, bytes: row.segment.into() },
            Message::PackageRow(row) => {
                let package = PackageVersion::from_message(required(row.package, "package version")?)?;
                Self::PackageRow(PackageRow { id: row.id, manager: package.manager, package: package.package })
            }
            Message::Inventory(row) => {
                Self::Inventory { digest: digest(&row.digest)?, rows: InventoryRows::from_message(required(row.set, "inventory")?)? }
            }
        })
    }
}

impl Stored for Counters {
    type Message = v1::Meta;
    const WHAT: &'static str = "counters";

    fn to_message(&self) -> v1::Meta {
        v1::Meta {
            store_id: self.identity.store_id.0.to_vec(),
            epoch: self.identity.epoch,
            revision: self.revision,
            fleet_revision: self.fleet_revision,
            last_event: self.last_event,
            last_audit: self.audit_end.0,
            last_audit_digest: self.audit_end.1.0.to_vec(),
            ..v1::Meta::default()
        }
    }

    fn from_message(message: v1::Meta) -> Result<Self, CodecError> {
        Ok(Self {
            identity: StoreIdentity { store_id: digest(&message.store_id)?, epoch: message.epoch },
            revision: message.revision,
            fleet_revision: message.fleet_revision,
            last_event: message.last_event,
            audit_end: (message.last_audit, digest(&message.last_audit_digest)?),
        })
    }
}

//! Changes of rollouts' logs, plans, snapshots and claims.

use bytes::Bytes;
use patchwave_common::domain::{Generation, HostId, RolloutId};
use patchwave_proto::store::v1;

use super::guards;
use super::keys::Table;
use super::transaction::Transaction;
use crate::records::{ClaimRecord, RolloutHead};
use crate::store::{Guard, Result, StoreError};

pub(super) fn append(transaction: &mut Transaction<'_>, rollout: RolloutId, expected: u64, records: Vec<Bytes>) -> Result<()> {
    guards::check(transaction, Guard::RolloutRevision { rollout: rollout.clone(), expected })?;
    if records.is_empty() {
        return Ok(());
    }
    let revision = expected + records.len() as u64;
    let message =
        v1::RolloutRecords { rollout: rollout.to_string(), first: expected, records: records.into_iter().map(Into::into).collect() };
    transaction.put(Table::RolloutRecords.text_number(rollout.as_str(), revision - 1), &message)?;
    transaction.put(Table::RolloutPosition.text(rollout.as_str()), &v1::Counter { value: revision })
}

/// Makes the rollout one of those that the store lists, also before its log has a record.
fn note(transaction: &mut Transaction<'_>, rollout: &RolloutId) -> Result<()> {
    let key = Table::RolloutPosition.text(rollout.as_str());
    if transaction.has(&key)? { Ok(()) } else { transaction.put(key, &v1::Counter { value: 0 }) }
}

pub(super) fn put_head(transaction: &mut Transaction<'_>, head: &RolloutHead) -> Result<()> {
    note(transaction, &head.id)?;
    transaction.put(Table::RolloutHead.text(head.id.as_str()), head)
}

pub(super) fn put_snapshot(transaction: &mut Transaction<'_>, rollout: &RolloutId, revision: u64, bytes: Bytes) -> Result<()> {
    note(transaction, rollout)?;
    let message = v1::RolloutSnapshot { rollout: rollout.to_string(), revision, state: bytes.into() };
    transaction.put(Table::RolloutSnapshot.text(rollout.as_str()), &message)
}

pub(super) fn put_plan(transaction: &mut Transaction<'_>, rollout: &RolloutId, header: Bytes, segments: Vec<Bytes>) -> Result<()> {
    let key = Table::PlanHeader.text(rollout.as_str());
    if transaction.has(&key)? {
        return Err(StoreError::AlreadyThere { what: "plan of rollout", id: rollout.to_string() });
    }
    note(transaction, rollout)?;
    transaction.put(key, &v1::PlanHeader { rollout: rollout.to_string(), header: header.into() })?;
    (0_u32..).zip(segments).try_for_each(|(index, segment)| put_segment(transaction, rollout, index, segment))
}

pub(super) fn put_segment(transaction: &mut Transaction<'_>, rollout: &RolloutId, index: u32, segment: Bytes) -> Result<()> {
    let message = v1::PlanSegment { rollout: rollout.to_string(), index, segment: segment.into() };
    transaction.put(Table::PlanSegment.text_number(rollout.as_str(), u64::from(index)), &message)
}

pub(super) fn claim(transaction: &mut Transaction<'_>, host: HostId, rollout: RolloutId, generation: Generation) -> Result<()> {
    guards::check(transaction, Guard::Claimable { host: host.clone(), rollout: rollout.clone() })?;
    let key = Table::Claim.text(host.as_str());
    transaction.put(key, &ClaimRecord { host, rollout, generation })
}

pub(super) fn release(transaction: &mut Transaction<'_>, host: &HostId, rollout: &RolloutId) -> Result<()> {
    let key = Table::Claim.text(host.as_str());
    if transaction.get::<ClaimRecord>(&key)?.is_some_and(|claim| claim.rollout == *rollout) {
        transaction.remove(key);
    }
    Ok(())
}

//! Reads of the embedded stores, over whatever holds rows: an engine or a snapshot of one.

use std::path::Path;

use bytes::Bytes;
use patchwave_common::domain::{
    CandidateSet, Digest, FeedName, HostId, Inventory, OperatorName, PolicyName, QuarantineKey, RolloutId, TokenId,
};
use patchwave_proto::store::v1;

use super::engine::Rows;
use super::keys::{Table, behind, fix_key, quarantine_key, segment_key};
use super::row;
use crate::records::{
    AuditRecord, CertificateRecord, ClaimRecord, EventRecord, FeedRecord, FindingEntry, FixKey, FixRecord, HaltRecord, HostRecord,
    OperatorRecord, PolicyRecord, QuarantineRecord, RolloutHead, Serial, TokenRecord,
};
use crate::store::codec::{PackageVersion, Stored, inventory_from_packages};
use crate::store::{InventoryRows, MAX_PAGE, PackageRow, Result, StoreError, StoreIdentity, StoreRead};

/// Something with rows to read; has [`StoreRead`] by that.
pub(crate) trait HasRows: Send + Sync {
    fn rows(&self) -> &dyn Rows;
    fn path(&self) -> &Path;
}

/// Reads and decodes one row.
pub(crate) fn get<T: Stored>(source: &(impl HasRows + ?Sized), key: &[u8]) -> Result<Option<T>> {
    source.rows().get(key)?.map(|value| row::open(source.path(), key, &value)).transpose()
}

/// Reads and decodes up to `limit` rows in `from..to`.
fn page<T: Stored>(source: &(impl HasRows + ?Sized), from: &[u8], to: &[u8], limit: usize) -> Result<Vec<T>> {
    let mut found = Vec::new();
    visit(source, (from, to), limit, &mut |_, record| found.push(record))?;
    Ok(found)
}

/// Shows up to `limit` decoded rows in a range, with their keys.
fn visit<T: Stored>(
    source: &(impl HasRows + ?Sized),
    (from, to): (&[u8], &[u8]),
    limit: usize,
    show: &mut dyn FnMut(&[u8], T),
) -> Result<()> {
    let mut left = limit.min(MAX_PAGE);
    if left == 0 {
        return Ok(());
    }
    source.rows().scan(from, to, &mut |key, value| {
        show(key, row::open(source.path(), key, value)?);
        left -= 1;
        Ok(left > 0)
    })
}

/// A page of a table whose key is a text.
fn page_by_text<T: Stored>(source: &(impl HasRows + ?Sized), table: Table, after: Option<&str>, limit: usize) -> Result<Vec<T>> {
    let from = after.map_or_else(|| table.only(), |after| behind(table.text(after)));
    page(source, &from, &table.end(), limit)
}

/// A page of a table whose key is a number.
fn page_by_number<T: Stored>(source: &(impl HasRows + ?Sized), table: Table, after: u64, limit: usize) -> Result<Vec<T>> {
    page(source, &behind(table.number(after)), &table.end(), limit)
}

/// The store's counters.
pub(crate) fn meta(source: &(impl HasRows + ?Sized)) -> Result<v1::Meta> {
    get(source, &Table::Meta.only())?.ok_or_else(|| StoreError::damaged(source.path(), "the row of counters is missing"))
}

impl<T: HasRows> StoreRead for T {
    fn identity(&self) -> Result<StoreIdentity> {
        let meta = meta(self)?;
        let store_id = Digest::from_bytes(&meta.store_id).map_err(|error| StoreError::damaged(self.path(), error.to_string()))?;
        Ok(StoreIdentity { store_id, epoch: meta.epoch })
    }
    fn revision(&self) -> Result<u64> {
        Ok(meta(self)?.revision)
    }
    fn fleet_revision(&self) -> Result<u64> {
        Ok(meta(self)?.fleet_revision)
    }

    fn host(&self, id: &HostId) -> Result<Option<HostRecord>> {
        get(self, &Table::Host.text(id.as_str()))
    }
    fn hosts(&self, after: Option<&HostId>, limit: usize) -> Result<Vec<HostRecord>> {
        page_by_text(self, Table::Host, after.map(HostId::as_str), limit)
    }
    fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>> {
        get(self, &Table::Token.text(id.as_str()))
    }
    fn tokens(&self, after: Option<&TokenId>, limit: usize) -> Result<Vec<TokenRecord>> {
        page_by_text(self, Table::Token, after.map(TokenId::as_str), limit)
    }
    fn operator(&self, name: &OperatorName) -> Result<Option<OperatorRecord>> {
        get(self, &Table::Operator.text(name.as_str()))
    }
    fn operators(&self, after: Option<&OperatorName>, limit: usize) -> Result<Vec<OperatorRecord>> {
        page_by_text(self, Table::Operator, after.map(OperatorName::as_str), limit)
    }
    fn policy(&self, name: &PolicyName) -> Result<Option<PolicyRecord>> {
        get(self, &Table::Policy.text(name.as_str()))
    }
    fn policy_revision(&self, name: &PolicyName, revision: u64) -> Result<Option<PolicyRecord>> {
        get(self, &Table::PolicyRevision.text_number(name.as_str(), revision))
    }
    fn policies(&self, after: Option<&PolicyName>, limit: usize) -> Result<Vec<PolicyRecord>> {
        page_by_text(self, Table::Policy, after.map(PolicyName::as_str), limit)
    }
    fn certificate(&self, serial: &Serial) -> Result<Option<CertificateRecord>> {
        get(self, &Table::Certificate.text(serial.as_str()))
    }
    fn certificates(&self, after: Option<&Serial>, limit: usize) -> Result<Vec<CertificateRecord>> {
        page_by_text(self, Table::Certificate, after.map(Serial::as_str), limit)
    }

    fn rollout(&self, id: &RolloutId) -> Result<Option<RolloutHead>> {
        get(self, &Table::RolloutHead.text(id.as_str()))
    }
    fn rollouts(&self, after: Option<&RolloutId>, limit: usize) -> Result<Vec<RolloutHead>> {
        page_by_text(self, Table::RolloutHead, after.map(RolloutId::as_str), limit)
    }
    fn rollout_ids(&self, after: Option<&RolloutId>, limit: usize) -> Result<Vec<RolloutId>> {
        rollout_ids(self, after, limit)
    }
    fn rollout_revision(&self, id: &RolloutId) -> Result<u64> {
        Ok(get::<v1::Counter>(self, &Table::RolloutPosition.text(id.as_str()))?.map_or(0, |position| position.value))
    }
    fn rollout_log(&self, id: &RolloutId, from: u64, limit: usize) -> Result<Vec<Bytes>> {
        rollout_log(self, id, from, limit.min(MAX_PAGE))
    }
    fn rollout_snapshot(&self, id: &RolloutId) -> Result<Option<(u64, Bytes)>> {
        let snapshot: Option<v1::RolloutSnapshot> = get(self, &Table::RolloutSnapshot.text(id.as_str()))?;
        Ok(snapshot.map(|snapshot| (snapshot.revision, snapshot.state.into())))
    }
    fn plan_header(&self, id: &RolloutId) -> Result<Option<Bytes>> {
        Ok(get::<v1::PlanHeader>(self, &Table::PlanHeader.text(id.as_str()))?.map(|plan| plan.header.into()))
    }
    fn plan_segment(&self, id: &RolloutId, index: u32) -> Result<Option<Bytes>> {
        let key = Table::PlanSegment.text_number(id.as_str(), u64::from(index));
        Ok(get::<v1::PlanSegment>(self, &key)?.map(|plan| plan.segment.into()))
    }
    fn claim(&self, host: &HostId) -> Result<Option<ClaimRecord>> {
        get(self, &Table::Claim.text(host.as_str()))
    }
    fn claims(&self, after: Option<&HostId>, limit: usize) -> Result<Vec<ClaimRecord>> {
        page_by_text(self, Table::Claim, after.map(HostId::as_str), limit)
    }

    fn inventory(&self, digest: &Digest) -> Result<Option<Inventory>> {
        inventory(self, digest)
    }
    fn inventory_rows(&self, digest: &Digest) -> Result<Option<InventoryRows>> {
        get(self, &Table::Inventory.digest(digest))
    }
    fn package_rows(&self, after: u32, limit: usize) -> Result<Vec<PackageRow>> {
        package_rows(self, after, limit)
    }
    fn candidates(&self, digest: &Digest) -> Result<Option<CandidateSet>> {
        get(self, &Table::Candidates.digest(digest))
    }

    fn quarantined(&self, key: &QuarantineKey) -> Result<Option<QuarantineRecord>> {
        get(self, &quarantine_key(key))
    }
    fn quarantine(&self, after: Option<&QuarantineKey>, limit: usize) -> Result<Vec<QuarantineRecord>> {
        let from = after.map_or_else(|| Table::Quarantine.only(), |after| behind(quarantine_key(after)));
        page(self, &from, &Table::Quarantine.end(), limit)
    }
    fn halt(&self) -> Result<Option<HaltRecord>> {
        get(self, &Table::Halt.only())
    }

    fn feed(&self, name: &FeedName) -> Result<Option<FeedRecord>> {
        get(self, &Table::Feed.text(name.as_str()))
    }
    fn feeds(&self, after: Option<&FeedName>, limit: usize) -> Result<Vec<FeedRecord>> {
        page_by_text(self, Table::Feed, after.map(FeedName::as_str), limit)
    }
    fn feed_segment(&self, feed: &FeedName, generation: u64, index: u32) -> Result<Option<Bytes>> {
        Ok(get::<v1::FeedSegment>(self, &segment_key(feed, generation, index))?.map(|segment| segment.records.into()))
    }
    fn finding_log(&self, host: &HostId, from: u64, limit: usize) -> Result<Vec<FindingEntry>> {
        let (from, end) = (Table::FindingEntry.text_number(host.as_str(), from), Table::FindingEntry.text_number(host.as_str(), u64::MAX));
        page(self, &from, &end, limit)
    }
    fn finding_batch(&self, digest: &Digest) -> Result<Option<Bytes>> {
        Ok(get::<v1::FindingBatch>(self, &Table::FindingBatch.digest(digest))?.map(|batch| batch.transitions.into()))
    }
    fn fixes(&self, after: Option<&FixKey>, limit: usize) -> Result<Vec<FixRecord>> {
        let from = after.map_or_else(|| Table::Fix.only(), |after| behind(fix_key(after)));
        page(self, &from, &Table::Fix.end(), limit)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRecord>> {
        page_by_number(self, Table::Event, after, limit)
    }
    fn last_event(&self) -> Result<u64> {
        Ok(meta(self)?.last_event)
    }
    fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>> {
        page_by_number(self, Table::Audit, after, limit)
    }
    fn audit_end(&self) -> Result<(u64, Digest)> {
        let meta = meta(self)?;
        let digest = Digest::from_bytes(&meta.last_audit_digest).map_err(|error| StoreError::damaged(self.path(), error.to_string()))?;
        Ok((meta.last_audit, digest))
    }
}

fn rollout_ids(source: &impl HasRows, after: Option<&RolloutId>, limit: usize) -> Result<Vec<RolloutId>> {
    let table = Table::RolloutPosition;
    let from = after.map_or_else(|| table.only(), |after| behind(table.text(after.as_str())));
    let mut names = Vec::new();
    visit(source, (&from, &table.end()), limit, &mut |key, _: v1::Counter| {
        names.push(String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned());
    })?;
    names.into_iter().map(|name| RolloutId::parse(name).map_err(|error| StoreError::damaged(source.path(), error.to_string()))).collect()
}

/// Rows hold the records of one append each, so the first may begin before `from`. A gap between rows is damage.
fn rollout_log(source: &impl HasRows, id: &RolloutId, from: u64, limit: usize) -> Result<Vec<Bytes>> {
    let (start, end) = (Table::RolloutRecords.text_number(id.as_str(), from), Table::RolloutRecords.text_number(id.as_str(), u64::MAX));
    let mut found: Vec<Bytes> = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    // Read before the records, so that an append in between cannot look like a gap.
    let have = source.rollout_revision(id)?.saturating_sub(from);
    source.rows().scan(&start, &end, &mut |key, value| {
        let rows: v1::RolloutRecords = row::open(source.path(), key, value)?;
        let wanted = from + found.len() as u64;
        let skip = wanted.checked_sub(rows.first).and_then(|skip| usize::try_from(skip).ok());
        let skip = skip.filter(|&skip| skip < rows.records.len() && (skip == 0 || found.is_empty()));
        let skip = skip.ok_or_else(|| StoreError::damaged(source.path(), format!("record {wanted} of rollout {id} is missing")))?;
        found.extend(rows.records.into_iter().skip(skip).take(limit - found.len()).map(Bytes::from));
        Ok(found.len() < limit)
    })?;
    if (found.len() as u64) < have.min(limit as u64) {
        return Err(StoreError::damaged(source.path(), format!("record {} of rollout {id} is missing", from + found.len() as u64)));
    }
    Ok(found)
}

fn inventory(source: &impl HasRows, digest: &Digest) -> Result<Option<Inventory>> {
    let Some(set) = get::<InventoryRows>(source, &Table::Inventory.digest(digest))? else { return Ok(None) };
    let mut packages = Vec::with_capacity(usize::try_from(set.rows.len()).unwrap_or_default());
    for id in &set.rows {
        let row: Option<PackageVersion> = get(source, &Table::PackageVersion.number(u64::from(id)))?;
        packages
            .push(row.ok_or_else(|| StoreError::damaged(source.path(), format!("package version {id} of inventory {digest} is missing")))?);
    }
    let inventory =
        inventory_from_packages(set.manager, packages).map_err(|error| StoreError::damaged(source.path(), error.to_string()))?;
    Ok(Some(inventory))
}

fn package_rows(source: &impl HasRows, after: u32, limit: usize) -> Result<Vec<PackageRow>> {
    let from = behind(Table::PackageVersion.number(u64::from(after)));
    let mut found = Vec::new();
    visit(source, (&from, &Table::PackageVersion.end()), limit, &mut |key, row: PackageVersion| {
        let id = key.last_chunk().map_or(0, |id| u32::from_be_bytes(*id));
        found.push(PackageRow { id, manager: row.manager, package: row.package });
    })?;
    Ok(found)
}

//! Every record of a store, in an order in which another store can take them: content before the hosts that have it.

use std::collections::BTreeSet;
use std::sync::Arc;

use patchwave_common::domain::{Digest, RolloutId};

use super::BackupError;
use crate::records::{FeedRecord, FindingEntry, FixRecord, HostRecord};
use crate::store::{Counters, Entry, MAX_PAGE, Result, StoreError, StoreRead};

/// Records of a rollout's log are handed on in parts of at most this many bytes (or one record).
const RECORDS_BYTES: usize = 4 << 20;

/// Takes one entry.
pub(super) type Take<'a> = dyn FnMut(Entry) -> Result<(), BackupError> + 'a;

pub(super) fn export(store: &dyn StoreRead, take: &mut Take<'_>) -> Result<(), BackupError> {
    take(Entry::Counters(Counters {
        identity: store.identity()?,
        revision: store.revision()?,
        fleet_revision: store.fleet_revision()?,
        last_event: store.last_event()?,
        audit_end: store.audit_end()?,
    }))?;
    export_content(store, take)?;
    each(|after: Option<&HostRecord>| store.hosts(after.map(|host| &host.id), MAX_PAGE), |host| take(Entry::Host(Box::new(host.clone()))))?;
    export_access(store, take)?;
    each(|after: Option<&RolloutId>| store.rollout_ids(after, MAX_PAGE), |rollout| export_rollout(store, rollout, take))?;
    export_findings(store, take)?;
    export_logs(store, take)
}

/// Asks for page after page and hands on each record.
fn each<T>(
    mut page: impl FnMut(Option<&T>) -> Result<Vec<T>>,
    mut take: impl FnMut(&T) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut records = page(None)?;
    loop {
        records.iter().try_for_each(&mut take)?;
        match records.last() {
            Some(last) if records.len() >= MAX_PAGE => records = page(Some(last))?,
            _ => return Ok(()),
        }
    }
}

/// Package versions, and the inventories and candidates that hosts have.
fn export_content(store: &dyn StoreRead, take: &mut Take<'_>) -> Result<(), BackupError> {
    let (mut inventories, mut candidates): (BTreeSet<Digest>, BTreeSet<Digest>) = Default::default();
    each(
        |after: Option<&HostRecord>| store.hosts(after.map(|host| &host.id), MAX_PAGE),
        |host| {
            inventories.extend(host.inventory);
            candidates.extend(host.candidates);
            Ok(())
        },
    )?;
    let missing = |what, digest: &Digest| StoreError::Missing { what, id: digest.to_string() };
    each(
        |after| store.package_rows(after.map_or(0, |row: &crate::store::PackageRow| row.id), MAX_PAGE),
        |row| take(Entry::PackageRow(row.clone())),
    )?;
    for digest in inventories {
        let rows = store.inventory_rows(&digest)?.ok_or_else(|| missing("inventory", &digest))?;
        take(Entry::Inventory { digest, rows })?;
    }
    for digest in candidates {
        let set = store.candidates(&digest)?.ok_or_else(|| missing("set of candidates", &digest))?;
        take(Entry::Candidates(Arc::new(set)))?;
    }
    Ok(())
}

/// Who may do what, and what nobody may.
fn export_access(store: &dyn StoreRead, take: &mut Take<'_>) -> Result<(), BackupError> {
    each(
        |after| store.tokens(after.map(|token: &crate::records::TokenRecord| &token.id), MAX_PAGE),
        |token| take(Entry::Token(token.clone())),
    )?;
    each(
        |after| store.operators(after.map(|operator: &crate::records::OperatorRecord| &operator.name), MAX_PAGE),
        |operator| take(Entry::Operator(operator.clone())),
    )?;
    each(
        |after| store.certificates(after.map(|record: &crate::records::CertificateRecord| &record.serial), MAX_PAGE),
        |record| take(Entry::Certificate(record.clone())),
    )?;
    each(
        |after| store.policies(after.map(|policy: &crate::records::PolicyRecord| &policy.name), MAX_PAGE),
        |newest| {
            for revision in 1..newest.revision {
                if let Some(older) = store.policy_revision(&newest.name, revision)? {
                    take(Entry::Policy(older))?;
                }
            }
            take(Entry::Policy(newest.clone()))
        },
    )?;
    each(
        |after| store.quarantine(after.map(|record: &crate::records::QuarantineRecord| &record.key), MAX_PAGE),
        |record| take(Entry::Quarantine(Box::new(record.clone()))),
    )?;
    store.halt()?.map_or(Ok(()), |halt| take(Entry::Halt(halt)))
}

fn export_rollout(store: &dyn StoreRead, id: &RolloutId, take: &mut Take<'_>) -> Result<(), BackupError> {
    let rollout = id.clone();
    if let Some(head) = store.rollout(id)? {
        take(Entry::RolloutHead(Box::new(head)))?;
    }
    if let Some(bytes) = store.plan_header(id)? {
        take(Entry::PlanHeader { rollout: rollout.clone(), bytes })?;
    }
    for index in 0.. {
        let Some(bytes) = store.plan_segment(id, index)? else { break };
        take(Entry::PlanSegment { rollout: rollout.clone(), index, bytes })?;
    }
    let mut first = 0;
    loop {
        let page = store.rollout_log(id, first, MAX_PAGE)?;
        if page.is_empty() {
            break;
        }
        let mut size = 0;
        // The first record goes along in any case.
        let fitting = page.iter().take_while(|record| {
            let fits = size == 0 || size + record.len() <= RECORDS_BYTES;
            size += record.len().max(1);
            fits
        });
        let records: Vec<_> = fitting.cloned().collect();
        let next = first + records.len() as u64;
        take(Entry::RolloutRecords { rollout: rollout.clone(), first, records })?;
        first = next;
    }
    match store.rollout_snapshot(id)? {
        Some((revision, bytes)) => take(Entry::RolloutSnapshot { rollout, revision, bytes }),
        None => Ok(()),
    }
}

/// Claims, audit log and events.
fn export_logs(store: &dyn StoreRead, take: &mut Take<'_>) -> Result<(), BackupError> {
    each(
        |after| store.claims(after.map(|claim: &crate::records::ClaimRecord| &claim.host), MAX_PAGE),
        |claim| take(Entry::Claim(claim.clone())),
    )?;
    each(
        |after| store.audit(after.map_or(0, |record: &crate::records::AuditRecord| record.sequence), MAX_PAGE),
        |record| take(Entry::Audit(Box::new(record.clone()))),
    )?;
    each(
        |after| store.events(after.map_or(0, |record: &crate::records::EventRecord| record.sequence), MAX_PAGE),
        |record| take(Entry::Event(record.clone())),
    )
}

/// Feeds with the content in use, findings and fixes.
fn export_findings(store: &dyn StoreRead, take: &mut Take<'_>) -> Result<(), BackupError> {
    each(
        |after: Option<&FeedRecord>| store.feeds(after.map(|feed| &feed.name), MAX_PAGE),
        |feed| {
            take(Entry::Feed(Box::new(feed.clone())))?;
            let Some(content) = &feed.content else { return Ok(()) };
            for index in 0..content.segments {
                let missing = || StoreError::Missing { what: "segment of feed", id: format!("{} {index}", feed.name) };
                let records = store.feed_segment(&feed.name, content.generation, index)?.ok_or_else(missing)?;
                take(Entry::FeedSegment { feed: feed.name.clone(), generation: content.generation, index, records })?;
            }
            Ok(())
        },
    )?;
    let mut batches: BTreeSet<Digest> = BTreeSet::new();
    each(
        |after: Option<&HostRecord>| store.hosts(after.map(|host| &host.id), MAX_PAGE),
        |host| {
            each(
                |after: Option<&FindingEntry>| store.finding_log(&host.id, after.map_or(0, |entry| entry.number + 1), MAX_PAGE),
                |entry| {
                    if batches.insert(entry.batch) {
                        let missing = || StoreError::Missing { what: "transitions of findings", id: entry.batch.to_string() };
                        take(Entry::FindingBatch(store.finding_batch(&entry.batch)?.ok_or_else(missing)?))?;
                    }
                    take(Entry::FindingEntry { host: host.id.clone(), entry: entry.clone() })
                },
            )
        },
    )?;
    each(|after: Option<&FixRecord>| store.fixes(after.map(|fix| &fix.key), MAX_PAGE), |fix| take(Entry::Fix(fix.clone())))
}

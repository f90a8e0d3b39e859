//! Keeping records of a backup exactly as they are.

use patchwave_proto::store::v1;

use super::keys::{Table, quarantine_key};
use super::transaction::Transaction;
use super::{content, findings, rollouts};
use crate::records::PolicyRecord;
use crate::store::{Counters, Entry, Result};

pub(super) fn import(transaction: &mut Transaction<'_>, entry: Entry) -> Result<()> {
    match entry {
        Entry::Counters(counters) => {
            import_counters(&mut transaction.meta, &counters);
            Ok(())
        }
        Entry::Host(host) => {
            content::move_host(transaction, None, &host)?;
            transaction.put(Table::Host.text(host.id.as_str()), host.as_ref())
        }
        Entry::Token(token) => transaction.put(Table::Token.text(token.id.as_str()), &token),
        Entry::Operator(operator) => transaction.put(Table::Operator.text(operator.name.as_str()), &operator),
        Entry::Policy(policy) => import_policy(transaction, &policy),
        Entry::RolloutHead(head) => rollouts::put_head(transaction, &head),
        Entry::RolloutRecords { rollout, first, records } => rollouts::append(transaction, rollout, first, records),
        Entry::RolloutSnapshot { rollout, revision, bytes } => rollouts::put_snapshot(transaction, &rollout, revision, bytes),
        Entry::PlanHeader { rollout, bytes } => rollouts::put_plan(transaction, &rollout, bytes, Vec::new()),
        Entry::PlanSegment { rollout, index, bytes } => rollouts::put_segment(transaction, &rollout, index, bytes),
        Entry::Claim(claim) => transaction.put(Table::Claim.text(claim.host.as_str()), &claim),
        Entry::PackageRow(row) => content::import_package(transaction, row),
        Entry::Inventory { digest, rows } => transaction.put(Table::Inventory.digest(&digest), &rows),
        Entry::Candidates(set) => content::put_candidates(transaction, &set),
        Entry::Quarantine(record) => transaction.put(quarantine_key(&record.key), record.as_ref()),
        Entry::Halt(halt) => transaction.put(Table::Halt.only(), &halt),
        Entry::Certificate(record) => transaction.put(Table::Certificate.text(record.serial.as_str()), &record),
        Entry::Audit(record) => transaction.put(Table::Audit.number(record.sequence), record.as_ref()),
        Entry::Event(record) => transaction.put(Table::Event.number(record.sequence), &record),
        Entry::Feed(feed) => transaction.put(Table::Feed.text(feed.name.as_str()), feed.as_ref()),
        Entry::FeedSegment { feed, generation, index, records } => findings::put_segment(transaction, feed, generation, index, records),
        Entry::FindingBatch(transitions) => findings::put_batch(transaction, transitions),
        Entry::FindingEntry { host, entry } => findings::put_entry(transaction, &host, &entry),
        Entry::Fix(fix) => findings::note_fix(transaction, &fix),
    }
}

/// Those that a backup carries; the others follow from the rows.
fn import_counters(meta: &mut v1::Meta, counters: &Counters) {
    meta.store_id = counters.identity.store_id.0.to_vec();
    meta.epoch = counters.identity.epoch;
    meta.revision = counters.revision;
    meta.fleet_revision = counters.fleet_revision;
    meta.last_event = counters.last_event;
    meta.last_audit = counters.audit_end.0;
    meta.last_audit_digest = counters.audit_end.1.0.to_vec();
}

fn import_policy(transaction: &mut Transaction<'_>, policy: &PolicyRecord) -> Result<()> {
    let key = Table::Policy.text(policy.name.as_str());
    transaction.put(Table::PolicyRevision.text_number(policy.name.as_str(), policy.revision), policy)?;
    let newest: Option<PolicyRecord> = transaction.get(&key)?;
    if newest.is_some_and(|newest| newest.revision > policy.revision) { Ok(()) } else { transaction.put(key, policy) }
}

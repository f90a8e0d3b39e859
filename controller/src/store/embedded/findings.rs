//! Changes of feeds, and of the logs of findings and fixes.

use bytes::Bytes;
use patchwave_common::domain::{Digest, FeedName, HostId, Timestamp};
use patchwave_proto::store::v1;

use super::keys::{Table, fix_key, segment_key, segments_of};
use super::transaction::Transaction;
use crate::records::{FindingEntry, FixRecord};
use crate::store::codec::Stored;
use crate::store::{Result, StoreError};

pub(super) fn remove_feed(transaction: &mut Transaction<'_>, feed: &FeedName) -> Result<()> {
    transaction.remove(Table::Feed.text(feed.as_str()));
    drop_segments(transaction, feed, None)
}

pub(super) fn put_segment(transaction: &mut Transaction<'_>, feed: FeedName, generation: u64, index: u32, records: Bytes) -> Result<()> {
    let key = segment_key(&feed, generation, index);
    transaction.put(key, &v1::FeedSegment { feed: feed.into(), generation, index, records: records.into() })
}

/// Removes the segments of every generation but one.
pub(super) fn drop_segments(transaction: &mut Transaction<'_>, feed: &FeedName, keep: Option<u64>) -> Result<()> {
    let kept = keep.map(|generation| (segment_key(feed, generation, 0), segment_key(feed, generation, u32::MAX)));
    let (from, to) = segments_of(feed);
    for key in transaction.keys(&from, &to)? {
        if !kept.as_ref().is_some_and(|(first, last)| (first..=last).contains(&&key)) {
            transaction.remove(key);
        }
    }
    Ok(())
}

pub(super) fn append(transaction: &mut Transaction<'_>, host: &HostId, number: u64, at: Timestamp, transitions: Bytes) -> Result<()> {
    let name = |number: u64| format!("{number} of host {host}");
    if transaction.has(&Table::FindingEntry.text_number(host.as_str(), number))? {
        return Err(StoreError::AlreadyThere { what: "entry of findings", id: name(number) });
    }
    if let Some(before) = number.checked_sub(1)
        && !transaction.has(&Table::FindingEntry.text_number(host.as_str(), before))?
    {
        return Err(StoreError::Missing { what: "entry of findings", id: name(before) });
    }
    let batch = Digest::of(&transitions);
    put_batch(transaction, transitions)?;
    put_entry(transaction, host, &FindingEntry { number, at, batch })
}

pub(super) fn put_batch(transaction: &mut Transaction<'_>, transitions: Bytes) -> Result<()> {
    let key = Table::FindingBatch.digest(&Digest::of(&transitions));
    if transaction.has(&key)? { Ok(()) } else { transaction.put(key, &v1::FindingBatch { transitions: transitions.into() }) }
}

pub(super) fn put_entry(transaction: &mut Transaction<'_>, host: &HostId, entry: &FindingEntry) -> Result<()> {
    let message = v1::FindingEntry { host: host.to_string(), ..entry.to_message() };
    transaction.put(Table::FindingEntry.text_number(host.as_str(), entry.number), &message)
}

pub(super) fn note_fix(transaction: &mut Transaction<'_>, fix: &FixRecord) -> Result<()> {
    let key = fix_key(&fix.key);
    let known: Option<FixRecord> = transaction.get(&key)?;
    if known.is_some_and(|known| known.first_seen <= fix.first_seen) { Ok(()) } else { transaction.put(key, fix) }
}

//! Reads feeds, fixes and the logs of findings from the store.

use std::collections::HashMap;
use std::sync::Arc;

use patchwave_common::domain::{Digest, HostId};

use super::{Assessed, Assessor, Coverage};
use crate::feeds::{Content, FeedFormat, unpack};
use crate::finding::FindingSet;
use crate::finding_log;
use crate::records::{FeedRecord, FindingEntry, FixRecord, HostRecord};
use crate::store::{MAX_PAGE, Result, StoreError, StoreRead};

impl Assessor {
    /// Reads everything anew.
    pub(super) fn load(&mut self) -> Result<()> {
        let store = self.store.store().clone();
        let store: &dyn StoreRead = store.as_ref();
        for feed in pages(|after: Option<&FeedRecord>| store.feeds(after.map(|feed| &feed.name), MAX_PAGE))? {
            if let Some(content) = content_of(store, &feed)? {
                self.set_content(feed.name, Some(Arc::new(content)));
            }
        }
        let fixes = pages(|after: Option<&FixRecord>| store.fixes(after.map(|fix| &fix.key), MAX_PAGE))?;
        self.fixes = fixes.into_iter().map(|fix| (fix.key, fix.first_seen)).collect();
        let mut logs = Logs::new(store);
        let mut after: Option<HostId> = None;
        loop {
            let page: Vec<HostRecord> = store.hosts(after.as_ref(), MAX_PAGE)?;
            for host in &page {
                let (next, findings) = logs.findings(&host.id)?;
                self.hosts.insert(host.id.clone(), Assessed { next, findings, coverage: Coverage::NoInventory });
                self.waiting.insert(host.id.clone());
            }
            if page.len() < MAX_PAGE {
                break;
            }
            after = page.last().map(|host| host.id.clone());
        }
        let advisories = self.matcher.advisories().len();
        tracing::info!(feeds = self.contents.len(), advisories, hosts = self.hosts.len(), "feeds and findings loaded");
        Ok(())
    }
}

/// The content of a feed that is in use, from its segments; nothing where it has none yet.
pub(super) fn content_of(store: &dyn StoreRead, feed: &FeedRecord) -> Result<Option<Content>> {
    let Some(in_use) = &feed.content else { return Ok(None) };
    let format = FeedFormat::of(feed.kind);
    let damaged = |detail: String| StoreError::Damaged { path: format!("feed {}", feed.name).into(), detail };
    let mut reader = format.reader();
    for index in 0..in_use.segments {
        let segment = store.feed_segment(&feed.name, in_use.generation, index)?;
        let segment = segment.ok_or_else(|| damaged(format!("segment {index} of {} is missing", in_use.segments)))?;
        // What this release cannot read any more of what an older one took is left out, as a bad record of a refresh would be.
        unpack(&segment, format.record_bytes, &mut |name, record| drop(reader.take(name, record)))
            .map_err(|error| damaged(format!("segment {index}: {error}")))?;
    }
    Ok(Some(reader.finish()))
}

/// Puts logs together. Hosts that are alike have equal logs, entry by entry, and share what these give.
struct Logs<'a> {
    store: &'a dyn StoreRead,
    empty: Arc<FindingSet>,
    /// By the set before (its address, which stands as long as the set is held in here) and the entry's batch.
    known: HashMap<(usize, Digest), (Arc<FindingSet>, Arc<FindingSet>)>,
}

impl<'a> Logs<'a> {
    fn new(store: &'a dyn StoreRead) -> Self {
        Self { store, empty: Arc::default(), known: HashMap::new() }
    }

    /// The number of the next entry, and the findings after all.
    fn findings(&mut self, host: &HostId) -> Result<(u64, Arc<FindingSet>)> {
        let (mut next, mut findings) = (0, self.empty.clone());
        loop {
            let page: Vec<FindingEntry> = self.store.finding_log(host, next, MAX_PAGE)?;
            for entry in &page {
                findings = self.after(findings, &entry.batch, host)?;
                next = entry.number + 1;
            }
            if page.len() < MAX_PAGE {
                return Ok((next, findings));
            }
        }
    }

    fn after(&mut self, before: Arc<FindingSet>, batch: &Digest, host: &HostId) -> Result<Arc<FindingSet>> {
        let key = (Arc::as_ptr(&before) as usize, *batch);
        if let Some((_, after)) = self.known.get(&key) {
            return Ok(after.clone());
        }
        let damaged = |detail: String| StoreError::Damaged { path: format!("findings of host {host}").into(), detail };
        let bytes = self.store.finding_batch(batch)?.ok_or_else(|| damaged(format!("transitions {batch} are missing")))?;
        let after = Arc::new(finding_log::apply(&before, finding_log::read(&bytes).map_err(damaged)?));
        self.known.insert(key, (before, after.clone()));
        Ok(after)
    }
}

/// Reads every page of a list.
fn pages<T>(page: impl Fn(Option<&T>) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let next = page(all.last())?;
        let is_last = next.len() < MAX_PAGE;
        all.extend(next);
        if is_last {
            return Ok(all);
        }
    }
}

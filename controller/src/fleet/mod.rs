//! The fleet as it is now, in memory: hosts with what they have and whether they are here. Rebuilt from the store on start.
//!
//! Terms: *presence* is whether a host's stream is open; after the controller started, absence means *unknown* for a grace period, not
//! offline. The model is written by the session service after the store has acknowledged, and read by operators, planning and the
//! conductor. It decides nothing.

mod alarms;
mod host;
mod index;
mod load;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use patchwave_common::domain::{CandidateSet, Digest, HostFacts, HostId, InstalledPackage, Inventory, Timestamp};

use tokio::sync::Notify;

pub use alarms::{CLOCK_TOLERANCE, STALE_AFTER, alarms, clock_is_off};
pub use host::{FleetHost, Presence};
pub use index::{PackageUse, UpdateRow, package_uses, updates};

use crate::records::HostRecord;
use crate::store::StoreError;

/// A change of a host's clock offset that is kept, in milliseconds: less is the way's jitter, and is nothing against [`CLOCK_TOLERANCE`].
const CLOCK_NOTED_MS: u64 = 250;

/// After so many reported packages, what nobody has any more is looked for: it takes 300 bytes a package at most, so 80 MB, and a look
/// at a fleet of 20,000 hosts takes some milliseconds for 300 reports.
const LOOK_AFTER_PACKAGES: usize = 256_000;

/// The fleet.
#[derive(Debug)]
pub struct Fleet {
    /// By id without order: every look at a large rollout finds each of its hosts here.
    hosts: RwLock<HashMap<HostId, Arc<FleetHost>>>,
    inventories: RwLock<HashMap<Digest, Arc<Inventory>>>,
    /// Every package of them, once.
    packages: Mutex<HashSet<Arc<InstalledPackage>>>,
    candidates: RwLock<HashMap<Digest, Arc<CandidateSet>>>,
    /// Packages of all that came since unused values were last looked for.
    came: AtomicUsize,
    /// Hosts of which something changed that decides about their findings, since they were last taken; each once, so no more than hosts.
    changed: Mutex<HashSet<HostId>>,
    wake: Notify,
    started_at: Timestamp,
    grace: Duration,
}

impl Fleet {
    /// An empty fleet; hosts that are not heard of within `grace` after `started_at` count as offline from then on.
    #[must_use]
    pub fn new(started_at: Timestamp, grace: Duration) -> Self {
        Self {
            hosts: RwLock::default(),
            inventories: RwLock::default(),
            packages: Mutex::default(),
            candidates: RwLock::default(),
            came: AtomicUsize::new(0),
            changed: Mutex::default(),
            wake: Notify::new(),
            started_at,
            grace,
        }
    }

    /// One host.
    #[must_use]
    pub fn get(&self, id: &HostId) -> Option<Arc<FleetHost>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Every host, in every state, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<FleetHost>> {
        let mut hosts: Vec<_> = self.hosts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        hosts.sort_unstable_by(|left, right| left.record.id.cmp(&right.record.id));
        hosts
    }

    /// A host by its id, or by a name that exactly one active host has; where none has it, exactly one of those that left the fleet.
    pub fn find(&self, text: &str) -> Result<Arc<FleetHost>, FindError> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = HostId::parse(text).ok().and_then(|id| hosts.get(&id)) {
            return Ok(host.clone());
        }
        let named = |active: bool| {
            let mut named: Vec<_> =
                hosts.values().filter(|host| host.is_active() == active && host.record.facts.hostname == text).collect();
            named.sort_unstable_by(|left, right| left.record.id.cmp(&right.record.id));
            named.into_iter()
        };
        for active in [true, false] {
            let mut named = named(active);
            match (named.next(), named.next()) {
                (Some(host), None) => return Ok(host.clone()),
                (Some(first), Some(second)) => {
                    let (first, second) = (first.record.id.clone(), second.record.id.clone());
                    return Err(FindError::Several { name: text.to_owned(), first, second });
                }
                (None, _) => {}
            }
        }
        Err(FindError::None { name: patchwave_common::domain::clean_text(text, 80) })
    }

    /// Takes over a record as the store has it now.
    pub fn put_record(&self, record: HostRecord) {
        let inventory = record.inventory.and_then(|digest| self.known_inventory(&digest));
        let candidates = record.candidates.and_then(|digest| self.known_candidates(&digest));
        self.note_changed(&record.id);
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        let online_since = hosts.get(&record.id).and_then(|host| host.online_since);
        hosts.insert(record.id.clone(), Arc::new(FleetHost { record, online_since, inventory, candidates }));
    }

    /// Changes a host's record; nothing happens where there is no such host.
    pub fn update_record(&self, id: &HostId, change: impl FnOnce(&mut HostRecord)) {
        self.change(id, |host| change(&mut host.record));
        self.note_changed(id);
    }

    /// The hosts of which something changed that decides about their findings: what they have, could get or run, their labels, whether they
    /// take part. Whoever takes them looks at each.
    pub fn take_changed(&self) -> HashSet<HostId> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when there are such hosts, or may be.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    fn note_changed(&self, id: &HostId) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        self.wake.notify_one();
    }

    /// The host's stream opened or closed.
    pub fn set_online(&self, id: &HostId, online: bool, at: Timestamp) {
        self.change(id, |host| {
            host.online_since = online.then_some(at);
            host.record.last_seen = Some(at);
        });
    }

    /// A host's clock is so far from the controller's, in milliseconds; true where that crosses the tolerance, either way. Every heartbeat
    /// tells it: an offset that is about as it was changes nothing.
    pub fn note_clock(&self, id: &HostId, offset_ms: i64) -> bool {
        let before = self.get(id).map_or(0, |host| host.record.clock_offset_ms);
        let crosses = clock_is_off(before) != clock_is_off(offset_ms);
        if crosses || before.abs_diff(offset_ms) >= CLOCK_NOTED_MS {
            self.change(id, |host| host.record.clock_offset_ms = offset_ms);
        }
        crosses
    }

    /// The inventory with this digest, where some host has it.
    #[must_use]
    pub fn known_inventory(&self, digest: &Digest) -> Option<Arc<Inventory>> {
        self.inventories.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// The same inventory, with its packages shared with those of other hosts.
    #[must_use]
    pub fn shared_inventory(&self, mut inventory: Inventory) -> Arc<Inventory> {
        let mut packages = self.packages.lock().unwrap_or_else(PoisonError::into_inner);
        inventory.share(|package| match packages.get(package) {
            // It came with the inventory that this one was made from.
            _ if Arc::strong_count(package) > 1 => package.clone(),
            Some(known) => known.clone(),
            None => {
                packages.insert(package.clone());
                package.clone()
            }
        });
        Arc::new(inventory)
    }

    /// A host's inventory is this one now.
    pub fn set_inventory(&self, id: &HostId, inventory: Arc<Inventory>) -> Arc<Inventory> {
        let (digest, packages) = (inventory.digest(), inventory.len());
        let shared = self.inventories.write().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert(inventory).clone();
        self.change(id, |host| {
            host.record.inventory = Some(digest);
            host.inventory = Some(shared.clone());
        });
        self.note_changed(id);
        self.forget_unused(packages);
        shared
    }

    /// A host's candidates are these now.
    pub fn set_candidates(&self, id: &HostId, candidates: Arc<CandidateSet>) -> Arc<CandidateSet> {
        let (digest, packages) = (candidates.digest(), candidates.candidates.len());
        let shared = self.candidates.write().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert(candidates).clone();
        self.change(id, |host| {
            host.record.candidates = Some(digest);
            host.candidates = Some(shared.clone());
        });
        self.note_changed(id);
        self.forget_unused(packages);
        shared
    }

    /// A host said something new about its machine.
    pub fn set_facts(&self, id: &HostId, facts: HostFacts) {
        self.update_record(id, |record| record.facts = facts);
    }

    /// Whether a host is here, by the clock's `now`.
    #[must_use]
    pub fn presence(&self, host: &FleetHost, now: Timestamp) -> Presence {
        match host.online_since {
            Some(since) => Presence::Online { since },
            None if now.since(self.started_at) < self.grace => Presence::Unknown,
            None => Presence::Offline { since: host.record.last_seen.unwrap_or(host.record.enrolled_at).max(self.started_at) },
        }
    }

    /// The end of the grace period after the start, before which absence says nothing.
    #[must_use]
    pub fn grace_ends_at(&self) -> Timestamp {
        self.started_at.plus(self.grace)
    }

    fn known_candidates(&self, digest: &Digest) -> Option<Arc<CandidateSet>> {
        self.candidates.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Changes a host where it stands; who looks at it meanwhile keeps what it was.
    fn change(&self, id: &HostId, change: impl FnOnce(&mut FleetHost)) {
        if let Some(host) = self.hosts.write().unwrap_or_else(PoisonError::into_inner).get_mut(id) {
            change(Arc::make_mut(host));
        }
    }

    /// Drops shared values that no host has any more. Looks when there are clearly more of them than hosts, and whenever so many packages
    /// came (in `packages` just now, and before) that what lies about could be large: one host that reports the largest inventory again
    /// and again must not fill the memory with those that it no longer has.
    fn forget_unused(&self, packages: usize) {
        const SLACK: usize = 64;
        let many = self.came.fetch_add(packages, Ordering::Relaxed).saturating_add(packages) >= LOOK_AFTER_PACKAGES;
        if many {
            self.came.store(0, Ordering::Relaxed);
        }
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner).len();
        let mut inventories = self.inventories.write().unwrap_or_else(PoisonError::into_inner);
        if many || inventories.len() > hosts + SLACK {
            inventories.retain(|_, shared| Arc::strong_count(shared) > 1);
            self.packages.lock().unwrap_or_else(PoisonError::into_inner).retain(|shared| Arc::strong_count(shared) > 1);
        }
        let mut candidates = self.candidates.write().unwrap_or_else(PoisonError::into_inner);
        if many || candidates.len() > hosts + SLACK {
            candidates.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
    }

    /// Reads every host and what it has from the store.
    pub fn load(&self, store: &dyn crate::store::StoreRead) -> Result<(), StoreError> {
        load::load(self, store)
    }
}

/// Why a name does not give a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No host has this id or name.
    #[error("no host has the id or name \"{name}\" (hint: `patchwave host list` shows every host)")]
    None {
        /// What was asked for.
        name: String,
    },
    /// Several hosts have the name.
    #[error("several hosts are named \"{name}\", among them {first} and {second} (hint: use the id)")]
    Several {
        /// What was asked for.
        name: String,
        /// One of them.
        first: HostId,
        /// Another.
        second: HostId,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::Manager;

    use super::*;
    use crate::records::HostState;
    use crate::store::testing;

    #[test]
    fn a_name_means_the_active_host_that_has_it_and_else_the_only_one_that_left() {
        let fleet = Fleet::new(Timestamp(0), Duration::ZERO);
        let put = |id: &str, active: bool| {
            let mut record = testing::host(id);
            "web-1".clone_into(&mut record.facts.hostname);
            if !active {
                record.state = HostState::Cloned { at: Timestamp(0), detail: String::new() };
            }
            fleet.put_record(record);
        };
        let (old, new, third) = ("h-aaaaaaaaaaaaaaaa", "h-bbbbbbbbbbbbbbbb", "h-cccccccccccccccc");
        put(old, false);
        assert_eq!(fleet.find("web-1").unwrap().record.id.as_str(), old);
        put(new, true);
        assert_eq!(fleet.find("web-1").unwrap().record.id.as_str(), new);
        put(third, true);
        assert!(matches!(fleet.find("web-1"), Err(FindError::Several { .. })));
        assert!(matches!(fleet.find("web-2"), Err(FindError::None { .. })));
    }

    #[test]
    fn a_host_that_reports_something_else_again_and_again_leaves_little_behind() {
        const PACKAGES: usize = 10_000;
        let fleet = Fleet::new(Timestamp(0), Duration::ZERO);
        let host = HostId::parse("h-aaaaaaaaaaaaaaaa").unwrap();
        fleet.put_record(testing::host(host.as_str()));
        for round in 0..60 {
            let version = format!("1.{round}");
            let named = |number| testing::package(&format!("shop-{number}"), &version);
            let inventory = Inventory::new(Manager::Dpkg, (0..PACKAGES).map(named));
            fleet.set_inventory(&host, fleet.shared_inventory(inventory));
        }
        let kept = fleet.packages.lock().unwrap().len();
        assert!((PACKAGES..=LOOK_AFTER_PACKAGES + PACKAGES).contains(&kept), "{kept} packages are kept");
    }
}

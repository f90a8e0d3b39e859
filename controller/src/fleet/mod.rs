//! The fleet as it is now, in memory: hosts with what they have and whether they are here. Rebuilt from the store on start.
//!
//! Terms: *presence* is whether a host's stream is open; after the controller started, absence means *unknown* for a grace period, not
//! offline. The model is written by the session service after the store has acknowledged, and read by operators, planning and the
//! conductor. It decides nothing.

mod alarms;
mod host;
mod index;
mod load;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use patchwave_common::domain::{CandidateSet, Digest, HostFacts, HostId, Inventory, Timestamp};

pub use alarms::{CLOCK_TOLERANCE, STALE_AFTER, alarms, clock_is_off};
pub use host::{FleetHost, Presence};
pub use index::{PackageUse, UpdateRow, package_uses, updates};

use crate::records::HostRecord;
use crate::store::StoreError;

/// The fleet.
#[derive(Debug)]
pub struct Fleet {
    hosts: RwLock<BTreeMap<HostId, Arc<FleetHost>>>,
    inventories: RwLock<HashMap<Digest, Arc<Inventory>>>,
    candidates: RwLock<HashMap<Digest, Arc<CandidateSet>>>,
    started_at: Timestamp,
    grace: Duration,
}

impl Fleet {
    /// An empty fleet; hosts that are not heard of within `grace` after `started_at` count as offline from then on.
    #[must_use]
    pub fn new(started_at: Timestamp, grace: Duration) -> Self {
        Self { hosts: RwLock::default(), inventories: RwLock::default(), candidates: RwLock::default(), started_at, grace }
    }

    /// One host.
    #[must_use]
    pub fn get(&self, id: &HostId) -> Option<Arc<FleetHost>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Every host, in every state, by id.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<FleetHost>> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A host by its id, or by a name that exactly one active host has; where none has it, exactly one of those that left the fleet.
    pub fn find(&self, text: &str) -> Result<Arc<FleetHost>, FindError> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = HostId::parse(text).ok().and_then(|id| hosts.get(&id)) {
            return Ok(host.clone());
        }
        let named = |active: bool| hosts.values().filter(move |host| host.is_active() == active && host.record.facts.hostname == text);
        for mut named in [named(true), named(false)] {
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
        self.change(&record.id.clone(), |host| {
            let (inventory, candidates) = (record.inventory, record.candidates);
            let mut host = host.map_or_else(|| FleetHost::new(record.clone()), |host| FleetHost { record: record.clone(), ..host.clone() });
            host.inventory = inventory.and_then(|digest| self.known_inventory(&digest));
            host.candidates = candidates.and_then(|digest| self.known_candidates(&digest));
            Some(host)
        });
    }

    /// Changes a host's record; nothing happens where there is no such host.
    pub fn update_record(&self, id: &HostId, change: impl FnOnce(&mut HostRecord)) {
        self.change(id, |host| {
            let mut host = host?.clone();
            change(&mut host.record);
            Some(host)
        });
    }

    /// The host's stream opened or closed.
    pub fn set_online(&self, id: &HostId, online: bool, at: Timestamp) {
        self.change(id, |host| {
            let mut host = host?.clone();
            host.online_since = online.then_some(at);
            host.record.last_seen = Some(at);
            Some(host)
        });
    }

    /// A host's inventory is this one now.
    pub fn set_inventory(&self, id: &HostId, inventory: Inventory) -> Arc<Inventory> {
        let digest = inventory.digest();
        let shared =
            self.inventories.write().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert_with(|| Arc::new(inventory)).clone();
        self.change(id, |host| {
            let mut host = host?.clone();
            host.record.inventory = Some(digest);
            host.inventory = Some(shared.clone());
            Some(host)
        });
        self.forget_unused();
        shared
    }

    /// A host's candidates are these now.
    pub fn set_candidates(&self, id: &HostId, candidates: CandidateSet) -> Arc<CandidateSet> {
        let digest = candidates.digest();
        let shared =
            self.candidates.write().unwrap_or_else(PoisonError::into_inner).entry(digest).or_insert_with(|| Arc::new(candidates)).clone();
        self.change(id, |host| {
            let mut host = host?.clone();
            host.record.candidates = Some(digest);
            host.candidates = Some(shared.clone());
            Some(host)
        });
        self.forget_unused();
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

    fn known_inventory(&self, digest: &Digest) -> Option<Arc<Inventory>> {
        self.inventories.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn known_candidates(&self, digest: &Digest) -> Option<Arc<CandidateSet>> {
        self.candidates.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn change(&self, id: &HostId, change: impl FnOnce(Option<&FleetHost>) -> Option<FleetHost>) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = change(hosts.get(id).map(Arc::as_ref)) {
            hosts.insert(id.clone(), Arc::new(host));
        }
    }

    /// Drops shared values that no host has any more; only looks when there are clearly more of them than hosts.
    fn forget_unused(&self) {
        const SLACK: usize = 64;
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner).len();
        let mut inventories = self.inventories.write().unwrap_or_else(PoisonError::into_inner);
        if inventories.len() > hosts + SLACK {
            inventories.retain(|_, shared| Arc::strong_count(shared) > 1);
        }
        let mut candidates = self.candidates.write().unwrap_or_else(PoisonError::into_inner);
        if candidates.len() > hosts + SLACK {
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
}

//! Counted places by key: so many handshakes of one address, so many connections of one identity.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts places in use by key. Holds an entry only for keys in use, so it is bounded by what it counts.
#[derive(Debug)]
pub(super) struct Slots<K: Eq + Hash>(Arc<Mutex<HashMap<K, usize>>>);

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot<K: Eq + Hash> {
    key: K,
    of: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash + Clone> Slots<K> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Takes a place unless `key` has `limit` already.
    pub(super) fn take(&self, key: K, limit: usize) -> Option<Slot<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = counts.get(&key).copied().unwrap_or(0);
        if used >= limit {
            return None;
        }
        counts.insert(key.clone(), used + 1);
        drop(counts);
        Some(Slot { key, of: Arc::clone(&self.0) })
    }
}

impl<K: Eq + Hash> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut counts = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = counts.get_mut(&self.key) {
            *used = used.saturating_sub(1);
            if *used == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// What counts as one address: IPv4 as it is (mapped into IPv6 or not), IPv6 by its /64, of which one machine can have every address.
pub(super) fn address_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_limited_by_key_and_come_back_when_dropped() {
        let slots = Slots::new();
        let first = slots.take("a", 2).unwrap();
        let _second = slots.take("a", 2).unwrap();
        assert!(slots.take("a", 2).is_none());
        assert!(slots.take("b", 2).is_some());
        drop(first);
        assert!(slots.take("a", 2).is_some());
        assert_eq!(slots.0.lock().unwrap().len(), 1, "keys that are not in use are forgotten");
    }

    #[test]
    fn an_address_counts_once_however_it_is_written() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}

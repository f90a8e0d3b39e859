//! Fills the fleet from the store, page by page.

use std::collections::HashSet;
use std::sync::Arc;

use patchwave_common::domain::{CandidateSet, Digest, Inventory};

use crate::records::HostRecord;
use crate::store::{MAX_PAGE, StoreError, StoreRead};

use super::Fleet;

/// Where inventories and candidates are read, one digest at a time.
trait Contents {
    fn inventory(&self, digest: &Digest) -> Result<Option<Inventory>, StoreError>;
    fn candidates(&self, digest: &Digest) -> Result<Option<CandidateSet>, StoreError>;
}

impl Contents for &dyn StoreRead {
    fn inventory(&self, digest: &Digest) -> Result<Option<Inventory>, StoreError> {
        StoreRead::inventory(*self, digest)
    }

    fn candidates(&self, digest: &Digest) -> Result<Option<CandidateSet>, StoreError> {
        StoreRead::candidates(*self, digest)
    }
}

pub(super) fn load(fleet: &Fleet, store: &dyn StoreRead) -> Result<(), StoreError> {
    let (mut after, mut asked) = (None, HashSet::new());
    loop {
        let page = store.hosts(after.as_ref(), MAX_PAGE)?;
        let last = page.len() < MAX_PAGE;
        after = page.last().map(|record| record.id.clone());
        for record in page {
            take(fleet, &store, record, &mut asked)?;
        }
        if last {
            return Ok(());
        }
    }
}

/// Takes a host in. Hosts share what they have: each distinct digest is asked for once, also one that the store does not have. Hosts that
/// come later find it in the fleet ([`Fleet::put_record`]).
fn take(fleet: &Fleet, contents: &impl Contents, record: HostRecord, asked: &mut HashSet<Digest>) -> Result<(), StoreError> {
    let (id, inventory, candidates) = (record.id.clone(), record.inventory, record.candidates);
    fleet.put_record(record);
    if let Some(digest) = inventory.filter(|digest| asked.insert(*digest))
        && let Some(inventory) = contents.inventory(&digest)?
    {
        fleet.set_inventory(&id, fleet.shared_inventory(inventory));
    }
    if let Some(digest) = candidates.filter(|digest| asked.insert(*digest))
        && let Some(candidates) = contents.candidates(&digest)?
    {
        fleet.set_candidates(&id, Arc::new(candidates));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::time::Duration;

    use patchwave_common::domain::{HostFacts, HostId, HostMode, Labels, Manager, Timestamp, TokenId};

    use super::*;
    use crate::records::{HostState, Serial};

    /// One inventory, and a count of reads.
    struct Counting {
        inventory: Inventory,
        reads: Cell<u32>,
    }

    impl Contents for Counting {
        fn inventory(&self, digest: &Digest) -> Result<Option<Inventory>, StoreError> {
            self.reads.set(self.reads.get() + 1);
            Ok((*digest == self.inventory.digest()).then(|| self.inventory.clone()))
        }

        fn candidates(&self, _: &Digest) -> Result<Option<CandidateSet>, StoreError> {
            Ok(None)
        }
    }

    fn host(number: u32, inventory: Digest) -> HostRecord {
        HostRecord {
            id: HostId::parse(format!("h-{number}")).unwrap(),
            revision: 1,
            mode: HostMode::Managed,
            labels: Labels::default(),
            state: HostState::Active,
            enrolled_at: Timestamp(0),
            token: TokenId::parse("t-1").unwrap(),
            certificate: Serial::from_bytes(&[1]).unwrap(),
            replaces: None,
            facts: HostFacts::default(),
            last_seen: None,
            instance: None,
            clock_offset_ms: 0,
            inventory: Some(inventory),
            candidates: None,
        }
    }

    #[test]
    fn a_shared_inventory_is_read_once_and_shared_by_every_host_that_has_it() {
        let inventory = Inventory::new(Manager::Dpkg, Vec::new());
        let digest = inventory.digest();
        let missing = Digest::of(b"nowhere");
        let contents = Counting { inventory, reads: Cell::new(0) };
        let (fleet, mut asked) = (Fleet::new(Timestamp(0), Duration::ZERO), HashSet::new());
        for number in 0..100 {
            take(&fleet, &contents, host(number, if number < 50 { digest } else { missing }), &mut asked).unwrap();
        }
        assert_eq!(contents.reads.get(), 2, "one that is there, one that is not");
        let shared: Vec<_> = fleet.all().iter().filter_map(|host| host.inventory.clone()).collect();
        assert_eq!(shared.len(), 50);
        assert!(shared.iter().all(|inventory| std::sync::Arc::ptr_eq(inventory, &shared[0])));
    }
}

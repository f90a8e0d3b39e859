//! Fills the fleet from the store, page by page.

use crate::store::{MAX_PAGE, StoreError, StoreRead};

use super::Fleet;

pub(super) fn load(fleet: &Fleet, store: &dyn StoreRead) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = store.hosts(after.as_ref(), MAX_PAGE)?;
        let last = page.len() < MAX_PAGE;
        after = page.last().map(|record| record.id.clone());
        for record in page {
            // Hosts share inventories: each distinct one is read once.
            let id = record.id.clone();
            let (inventory, candidates) = (record.inventory, record.candidates);
            fleet.put_record(record);
            let host = fleet.get(&id);
            if let Some(digest) = inventory
                && host.as_ref().is_some_and(|host| host.inventory.is_none())
                && let Some(inventory) = store.inventory(&digest)?
            {
                fleet.set_inventory(&id, inventory);
            }
            if let Some(digest) = candidates
                && host.as_ref().is_some_and(|host| host.candidates.is_none())
                && let Some(candidates) = store.candidates(&digest)?
            {
                fleet.set_candidates(&id, candidates);
            }
        }
        if last {
            return Ok(());
        }
    }
}

//! Inventories and candidates.

use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, StoreError};

const WEB: &[(&str, &str)] = &[("libc6", "2.36-9"), ("nginx", "1.22-1"), ("zlib1g", "1:1.2")];
const WEB_PATCHED: &[(&str, &str)] = &[("libc6", "2.36-9"), ("nginx", "1.22-2"), ("zlib1g", "1:1.2")];

fn has(id: &str, packages: &[(&str, &str)]) -> Vec<Change> {
    let inventory = inventory(packages);
    let digest = inventory.digest();
    vec![Change::PutInventory(inventory), Change::SetHostInventory { host: host_id(id), inventory: Some(digest), candidates: None }]
}

pub(super) fn an_inventory_is_read_back_whole_and_stored_once(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutHost(Box::new(host("h-1"))), Change::PutHost(Box::new(host("h-2")))]).unwrap();
    write(&store, has("h-1", WEB)).unwrap();
    write(&store, has("h-2", WEB)).unwrap();
    let web = inventory(WEB);
    assert_eq!(store.inventory(&web.digest()).unwrap().as_ref(), Some(web.as_ref()));
    assert_eq!(store.inventory(&inventory(WEB_PATCHED).digest()).unwrap(), None);
    assert_eq!(store.package_rows(0, 100).unwrap().len(), 3);
    let stored = store.host(&host_id("h-2")).unwrap().unwrap();
    assert_eq!((stored.inventory, stored.candidates, stored.revision), (Some(web.digest()), None, 2));
    write(&store, has("h-2", WEB)).unwrap();
    assert_eq!(store.host(&host_id("h-2")).unwrap().unwrap().revision, 2, "nothing changed, nothing written");
    let empty = inventory(&[]);
    write(&store, has("h-1", &[])).unwrap();
    assert_eq!(store.inventory(&empty.digest()).unwrap().as_ref(), Some(empty.as_ref()));
}

pub(super) fn package_versions_have_durable_ids_that_inventories_share(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutInventory(inventory(WEB))]).unwrap();
    write(&store, vec![Change::PutInventory(inventory(WEB_PATCHED))]).unwrap();
    let rows = store.package_rows(0, 100).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(store.package_rows(3, 100).unwrap(), rows[3..]);
    let ids = |packages| store.inventory_rows(&inventory(packages).digest()).unwrap().unwrap();
    let common = ids(WEB).rows & ids(WEB_PATCHED).rows;
    let names: Vec<&str> = rows.iter().filter(|row| common.contains(row.id)).map(|row| row.package.id.name.as_str()).collect();
    assert_eq!(names, ["libc6", "zlib1g"]);
}

pub(super) fn candidates_are_read_back(bed: Bed) {
    let store = bed.store();
    let set = candidates(&["nginx", "zlib1g", "jq", "vim"]);
    write(&store, vec![Change::PutHost(Box::new(host("h-1"))), Change::PutCandidates(set.clone())]).unwrap();
    let change = Change::SetHostInventory { host: host_id("h-1"), inventory: None, candidates: Some(set.digest()) };
    write(&store, vec![change]).unwrap();
    let found = store.candidates(&set.digest()).unwrap().unwrap();
    assert_eq!((&found, found.digest()), (set.as_ref(), set.digest()));
    assert_eq!(store.host(&host_id("h-1")).unwrap().unwrap().candidates, Some(set.digest()));
}

pub(super) fn content_goes_when_the_last_host_leaves_it(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutHost(Box::new(host("h-1"))), Change::PutHost(Box::new(host("h-2")))]).unwrap();
    write(&store, has("h-1", WEB)).unwrap();
    write(&store, has("h-2", WEB)).unwrap();
    let is_there = || store.inventory(&inventory(WEB).digest()).unwrap().is_some();
    write(&store, has("h-1", WEB_PATCHED)).unwrap();
    assert!(is_there(), "h-2 still has it");
    write(&store, has("h-2", WEB_PATCHED)).unwrap();
    assert!(!is_there());
    write(&store, has("h-1", WEB)).unwrap();
    assert!(is_there(), "it comes back under the same digest");
    write(&store, vec![Change::PutHost(Box::new(host("h-1")))]).unwrap();
    assert!(!is_there(), "a replaced record without the digest leaves it too");
    assert_eq!(store.package_rows(0, 100).unwrap().len(), 4, "package versions stay");
    store.verify().unwrap();
}

pub(super) fn a_host_cannot_have_content_that_is_not_there(bed: Bed) {
    let store = bed.store();
    write(&store, vec![Change::PutHost(Box::new(host("h-1")))]).unwrap();
    let digest = inventory(WEB).digest();
    let change = Change::SetHostInventory { host: host_id("h-1"), inventory: Some(digest), candidates: None };
    assert!(matches!(write(&store, vec![change]), Err(StoreError::Missing { what: "inventory", .. })));
    let mut record = host("h-1");
    record.candidates = Some(digest);
    assert!(matches!(write(&store, vec![Change::PutHost(Box::new(record))]), Err(StoreError::Missing { .. })));
}

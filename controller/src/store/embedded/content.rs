//! Inventories and candidates, kept once per digest for as long as a host has them.
//!
//! An inventory is a set of ids of the table of package versions, whose rows are found by their digest, are never removed and are the
//! store's own durable ids.

use patchwave_common::domain::{CandidateSet, Digest, HostId, Inventory};
use patchwave_proto::store::v1;
use roaring::RoaringBitmap;

use super::keys::Table;
use super::records::existing;
use super::transaction::Transaction;
use crate::records::HostRecord;
use crate::store::codec::{PackageVersion, Stored};
use crate::store::{InventoryRows, PackageRow, Result, StoreError};

/// A kind of content, with the table of how many hosts have it.
#[derive(Clone, Copy)]
struct Kind {
    table: Table,
    hosts: Table,
    what: &'static str,
}

const INVENTORY: Kind = Kind { table: Table::Inventory, hosts: Table::InventoryHosts, what: "inventory" };
const CANDIDATES: Kind = Kind { table: Table::Candidates, hosts: Table::CandidatesHosts, what: "set of candidates" };

pub(super) fn put_inventory(transaction: &mut Transaction<'_>, inventory: &Inventory) -> Result<()> {
    let key = Table::Inventory.digest(&inventory.digest());
    if transaction.has(&key)? {
        return Ok(());
    }
    let manager = inventory.manager();
    let mut rows = RoaringBitmap::new();
    for package in inventory.iter() {
        rows.insert(intern(transaction, &PackageVersion { manager, package: package.clone() })?);
    }
    transaction.put(key, &InventoryRows { manager, rows })
}

/// The id of a package version; a new one where it was never seen.
fn intern(transaction: &mut Transaction<'_>, row: &PackageVersion) -> Result<u32> {
    let key = Table::PackageVersionId.digest(&Digest::of(&row.encode()));
    if let Some(id) = transaction.get::<v1::Counter>(&key)? {
        return u32::try_from(id.value).map_err(|error| StoreError::damaged(transaction.path(), error.to_string()));
    }
    let full = || StoreError::TooLarge { what: "the table of package versions", size: u32::MAX as usize, limit: u32::MAX as usize - 1 };
    let id = transaction.meta.last_package_version.checked_add(1).ok_or_else(full)?;
    transaction.meta.last_package_version = id;
    transaction.put(Table::PackageVersion.number(u64::from(id)), row)?;
    transaction.put(key, &v1::Counter { value: u64::from(id) })?;
    Ok(id)
}

/// Keeps a package version under an id given by a backup.
pub(super) fn import_package(transaction: &mut Transaction<'_>, row: PackageRow) -> Result<()> {
    let version = PackageVersion { manager: row.manager, package: row.package };
    transaction.meta.last_package_version = transaction.meta.last_package_version.max(row.id);
    transaction.put(Table::PackageVersionId.digest(&Digest::of(&version.encode())), &v1::Counter { value: u64::from(row.id) })?;
    transaction.put(Table::PackageVersion.number(u64::from(row.id)), &version)
}

pub(super) fn put_candidates(transaction: &mut Transaction<'_>, candidates: &CandidateSet) -> Result<()> {
    let key = Table::Candidates.digest(&candidates.digest());
    if transaction.has(&key)? { Ok(()) } else { transaction.put(key, candidates) }
}

pub(super) fn set_host(
    transaction: &mut Transaction<'_>,
    id: &HostId,
    inventory: Option<Digest>,
    candidates: Option<Digest>,
) -> Result<()> {
    let key = Table::Host.text(id.as_str());
    let old: HostRecord = existing(transaction, &key, id.as_str())?;
    let mut new = old.clone();
    new.inventory = inventory.or(old.inventory);
    new.candidates = candidates.or(old.candidates);
    if new == old {
        return Ok(());
    }
    new.revision += 1;
    move_host(transaction, Some(&old), &new)?;
    transaction.put(key, &new)
}

/// Counts a host out of what it had and into what it has.
pub(super) fn move_host(transaction: &mut Transaction<'_>, old: Option<&HostRecord>, new: &HostRecord) -> Result<()> {
    move_content(transaction, INVENTORY, old.and_then(|old| old.inventory), new.inventory)?;
    move_content(transaction, CANDIDATES, old.and_then(|old| old.candidates), new.candidates)
}

fn move_content(transaction: &mut Transaction<'_>, kind: Kind, old: Option<Digest>, new: Option<Digest>) -> Result<()> {
    if old == new {
        return Ok(());
    }
    if let Some(digest) = new {
        if !transaction.has(&kind.table.digest(&digest))? {
            return Err(StoreError::Missing { what: kind.what, id: digest.to_string() });
        }
        let key = kind.hosts.digest(&digest);
        let hosts = transaction.get::<v1::Counter>(&key)?.map_or(0, |hosts| hosts.value);
        transaction.put(key, &v1::Counter { value: hosts + 1 })?;
    }
    if let Some(digest) = old {
        let key = kind.hosts.digest(&digest);
        let hosts = transaction.get::<v1::Counter>(&key)?.map_or(0, |hosts| hosts.value);
        if hosts > 1 {
            transaction.put(key, &v1::Counter { value: hosts - 1 })?;
        } else {
            transaction.remove(key);
            transaction.remove(kind.table.digest(&digest));
        }
    }
    Ok(())
}

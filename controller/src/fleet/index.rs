//! Who has what, and what could be had: counts over distinct inventories, each looked at once however many hosts share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use patchwave_common::domain::policy::PatchKind;
use patchwave_common::domain::{InstalledPackage, Origin, PackageId, PackageName, PackageVersion};

use super::FleetHost;

/// One version of a package and how many hosts have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUse {
    /// Source package.
    pub source: PackageName,
    /// Hosts that have it.
    pub hosts: u32,
}

/// Every (package, version) that the hosts have, with counts.
#[must_use]
pub fn package_uses<'a>(hosts: impl Iterator<Item = &'a Arc<FleetHost>>) -> BTreeMap<(PackageId, PackageVersion), PackageUse> {
    let mut uses = BTreeMap::new();
    for (inventory, count) in group(hosts.filter_map(|host| host.inventory.as_ref())) {
        for package in inventory.iter().filter(|package| InstalledPackage::is_installed(package)) {
            uses.entry((package.id.clone(), package.version.clone()))
                .or_insert_with(|| PackageUse { source: package.source.clone(), hosts: 0 })
                .hosts += count;
        }
    }
    uses
}

/// One upgrade that hosts could get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRow {
    /// Source package.
    pub source: PackageName,
    /// Where it comes from.
    pub origin: Origin,
    /// What it is.
    pub kind: PatchKind,
    /// Hosts that could get it.
    pub hosts: u32,
    /// Hosts on which a hold or a pin forbids it.
    pub blocked_hosts: u32,
}

/// Every (package, from, to) that the hosts could get, with counts.
#[must_use]
pub fn updates<'a>(hosts: impl Iterator<Item = &'a Arc<FleetHost>>) -> BTreeMap<(PackageId, PackageVersion, PackageVersion), UpdateRow> {
    let mut rows = BTreeMap::new();
    for (set, count) in group(hosts.filter_map(|host| host.candidates.as_ref())) {
        for candidate in &set.candidates {
            let row = rows.entry((candidate.id.clone(), candidate.from.clone(), candidate.to.clone())).or_insert_with(|| UpdateRow {
                source: candidate.source.clone(),
                origin: candidate.origin.clone(),
                kind: PatchKind::of(candidate),
                hosts: 0,
                blocked_hosts: 0,
            });
            row.hosts += count;
            row.blocked_hosts += if candidate.blocked.is_some() { count } else { 0 };
        }
    }
    rows
}

/// Each distinct shared value with the number of its users.
fn group<'a, T: 'a>(values: impl Iterator<Item = &'a Arc<T>>) -> impl Iterator<Item = (&'a Arc<T>, u32)> {
    let mut counts: HashMap<*const T, (&'a Arc<T>, u32)> = HashMap::new();
    for value in values {
        counts.entry(Arc::as_ptr(value)).or_insert((value, 0)).1 += 1;
    }
    counts.into_values()
}

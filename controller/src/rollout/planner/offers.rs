//! What the fleet is offered as a whole: whether what was asked for exists at all, and the newest version of each package.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{Candidate, InstalledPackage, Inventory, PackageName, PackageVersion};

use super::{FleetView, PlanError, PlanningHost, UpdateRequest};

/// More suggestions than this are noise.
const MAX_NEAR: usize = 3;
/// Names further away than this many edits are other names.
const MAX_EDITS: usize = 2;

/// The newest version of each package that any host is offered, by operating system release.
pub(super) struct Offers<'a> {
    newest: BTreeMap<(&'a str, &'a str, &'a PackageName), &'a PackageVersion>,
}

impl<'a> Offers<'a> {
    pub(super) fn new(fleet: &FleetView<'a>, requests: &[UpdateRequest]) -> Self {
        let mut newest: BTreeMap<_, &PackageVersion> = BTreeMap::new();
        for host in fleet.hosts {
            let (Some(inventory), Some(candidates)) = (host.inventory, host.candidates) else {
                continue;
            };
            for candidate in candidates.candidates.iter().filter(|candidate| is_asked_for(requests, candidate)) {
                let key = (host.facts.os.as_str(), host.facts.release.as_str(), &candidate.id.name);
                let entry = newest.entry(key).or_insert(&candidate.to);
                if candidate.to.compare(entry, inventory.manager()).is_gt() {
                    *entry = &candidate.to;
                }
            }
        }
        Self { newest }
    }

    /// Whether a host has the newest of everything that other hosts of its release are offered, as far as it has the package at all;
    /// `None` where it has none of it.
    pub(super) fn is_current(&self, host: &PlanningHost<'_>, inventory: &Inventory, requests: &[UpdateRequest]) -> Option<bool> {
        let mut has_any = false;
        for package in inventory.iter().filter(|package| package.is_installed() && is_request_for(requests, package)) {
            has_any = true;
            let key = (host.facts.os.as_str(), host.facts.release.as_str(), &package.id.name);
            if self.newest.get(&key).is_some_and(|newest| package.version.compare(newest, inventory.manager()).is_lt()) {
                return Some(false);
            }
        }
        has_any.then_some(true)
    }
}

/// Whether a candidate's name was asked for, in whatever version; with no request, everything is.
pub(super) fn is_asked_for(requests: &[UpdateRequest], candidate: &Candidate) -> bool {
    requests.is_empty()
        || requests.iter().any(|request| request.name == if request.source { candidate.source.clone() } else { candidate.id.name.clone() })
}

/// Whether an installed package's name was asked for; with no request, everything is.
pub(super) fn is_request_for(requests: &[UpdateRequest], package: &InstalledPackage) -> bool {
    requests.is_empty() || requests.iter().any(|request| is_name_of(request, package))
}

fn is_name_of(request: &UpdateRequest, package: &InstalledPackage) -> bool {
    request.name == *if request.source { &package.source } else { &package.id.name }
}

/// Proves that everything asked for exists somewhere in the fleet.
pub(super) fn check_requests(fleet: &FleetView<'_>, requests: &[UpdateRequest]) -> Result<(), PlanError> {
    requests.iter().try_for_each(|request| check_request(fleet, request))
}

fn check_request(fleet: &FleetView<'_>, request: &UpdateRequest) -> Result<(), PlanError> {
    let one = std::slice::from_ref(request);
    let installed =
        || fleet.hosts.iter().filter_map(|host| host.inventory).flat_map(Inventory::iter).filter(|package| is_name_of(request, package));
    let offered = || {
        let candidates = fleet.hosts.iter().filter_map(|host| host.candidates).flat_map(|set| &set.candidates);
        candidates.filter(|candidate| is_asked_for(one, candidate))
    };
    if installed().next().is_none() && offered().next().is_none() {
        let name = request.to_string();
        let name = name.split('=').next().unwrap_or_default().to_owned();
        return Err(PlanError::NoSuchPackage { name, near: near(fleet, request) });
    }
    let Some(version) = &request.version else {
        return Ok(());
    };
    let of_installed =
        |package: &&InstalledPackage| *version == if request.source { package.source_version.clone() } else { package.version.clone() };
    let of_offered = |candidate: &Candidate| if request.source { candidate.source_version.clone() } else { candidate.to.clone() };
    if installed().any(|package| of_installed(&package)) || offered().any(|candidate| of_offered(candidate) == *version) {
        return Ok(());
    }
    let offered: BTreeSet<PackageVersion> = offered().map(of_offered).collect();
    Err(PlanError::NoSuchVersion { name: request.name.clone(), version: version.clone(), offered: offered.into_iter().collect() })
}

/// Names that are close to one that nobody has.
fn near(fleet: &FleetView<'_>, request: &UpdateRequest) -> Vec<String> {
    let wanted = request.name.as_str();
    let packages = fleet.hosts.iter().filter_map(|host| host.inventory).flat_map(Inventory::iter);
    let names: BTreeSet<&str> =
        packages.map(|package| if request.source { package.source.as_str() } else { package.id.name.as_str() }).collect();
    let mut close: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let edits = edits(wanted, name);
            let within = wanted.len() >= 3 && name.contains(wanted);
            (edits <= MAX_EDITS || within).then_some((if within { edits.min(MAX_EDITS) } else { edits }, name))
        })
        .collect();
    close.sort_unstable();
    close.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein distance over bytes; names are ASCII and at most 256 long.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (done, from) in left.bytes().enumerate() {
        let mut diagonal = done;
        let mut before = done + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(right.bytes()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            before = replaced.min(*cell + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = done + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::edits;

    #[test]
    fn the_distance_of_names_counts_edits() {
        for (left, right, distance) in
            [("", "", 0), ("openssl", "openssl", 0), ("opensl", "openssl", 1), ("opnessl", "openssl", 2), ("", "abc", 3), ("abc", "", 3)]
        {
            assert_eq!(edits(left, right), distance, "{left} {right}");
        }
    }
}

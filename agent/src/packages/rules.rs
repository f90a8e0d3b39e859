//! The rules that every package manager shares, as pure functions: what may be carried out (rules 14 and 15), and what counts as there.

use std::collections::BTreeMap;

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{InstallState, InstalledPackage, Inventory, Mark, PackageId, PackageTarget, RefusalReason, TargetSet};

use super::{Change, ChangeKind, Difference, PackagedFile, Receipt, Refused, Simulation};

/// Names at most this many packages in one detail; the rest is counted.
const NAMED_MAX: usize = 12;

/// A list as people read it, bounded.
pub(crate) fn names<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let shown = items[..items.len().min(NAMED_MAX)].join(", ");
    if items.len() > NAMED_MAX { format!("{shown} and {} more", items.len() - NAMED_MAX) } else { shown }
}

pub(crate) fn refuse(reason: RefusalReason, detail: String) -> Refused {
    Refused { reason, detail }
}

/// Whether two identities are one package to the package manager: none stands beside a package for all architectures, so an update may
/// turn `all` into a concrete architecture or back.
pub(crate) fn same_package(left: &PackageId, right: &PackageId) -> bool {
    let either_all = [left, right].iter().any(|id| id.architecture.as_str() == "all");
    left.name == right.name && (left.architecture == right.architecture || either_all)
}

/// What stands for this identity, in whichever state.
pub(crate) fn installed<'a>(inventory: &'a Inventory, id: &PackageId) -> Option<&'a InstalledPackage> {
    inventory.get(id).or_else(|| inventory.iter().find(|package| same_package(&package.id, id)))
}

/// Refuses a transaction that touches any held package, be it in the plan or not.
pub(crate) fn refuse_held(inventory: &Inventory, simulation: &Simulation) -> Result<(), Refused> {
    let held = simulation.changes.iter().filter(|change| installed(inventory, &change.id).is_some_and(|package| package.held));
    let held: Vec<_> = held.map(|change| &change.id).collect();
    if held.is_empty() {
        return Ok(());
    }
    let detail = format!("the transaction would change held packages: {} (hint: `apt-mark unhold`)", names(held));
    Err(refuse(RefusalReason::PackageHeld, detail))
}

/// The targets that are not reached yet, if each stands where the plan saw it and none is held.
pub(crate) fn pending<'a>(inventory: &Inventory, targets: &'a TargetSet) -> Result<Vec<&'a PackageTarget>, Refused> {
    let mut pending = Vec::new();
    let mut drifted = Vec::new();
    let mut held = Vec::new();
    for target in &targets.targets {
        let installed = installed(inventory, &target.id).filter(|package| package.state != InstallState::ConfigFiles);
        match installed {
            Some(package) if package.version == target.to && package.is_installed() => continue,
            // Incomplete at its target: an interrupted transaction, which this one completes.
            Some(package) if package.version == target.from || package.version == target.to => {
                if package.held {
                    held.push(target.id.to_string());
                }
                pending.push(target);
            }
            Some(package) => drifted.push(format!("{} is at {}, the plan saw {}", target.id, package.version, target.from)),
            None => drifted.push(format!("{} is not installed, the plan saw {}", target.id, target.from)),
        }
    }
    if !drifted.is_empty() {
        return Err(refuse(RefusalReason::Drifted, format!("{} (hint: plan again)", names(drifted))));
    }
    if !held.is_empty() {
        let detail = format!("held on this host: {} (hint: `apt-mark unhold` if the hold is no longer wanted)", names(held));
        return Err(refuse(RefusalReason::PackageHeld, detail));
    }
    if pending.is_empty() {
        return Err(refuse(RefusalReason::AlreadyAtTarget, "every package is already at its target".to_owned()));
    }
    Ok(pending)
}

/// Whether the resolved changes are the plan's, plus what the rules allow.
pub(crate) fn judge(mut changes: Vec<Change>, targets: &TargetSet, rules: &TransactionRules) -> Result<Simulation, Refused> {
    changes.sort();
    let planned = |change: &&Change| {
        let target = targets.targets.iter().find(|target| same_package(&target.id, &change.id));
        target.is_some_and(|target| change.kind == ChangeKind::Configure || change.to.as_ref() == Some(&target.to))
    };
    let of = |kinds: &[ChangeKind]| {
        let unplanned = changes.iter().filter(|change| kinds.contains(&change.kind) && !planned(change));
        unplanned.map(|change| change.id.to_string()).collect::<Vec<_>>()
    };
    let removals = of(&[ChangeKind::Remove]);
    if !removals.is_empty() && !rules.allow_removals {
        let detail = format!("the transaction would remove {} (hint: the policy's transaction.allow_removals)", names(removals));
        return Err(refuse(RefusalReason::WouldRemove, detail));
    }
    let others = of(&[ChangeKind::Upgrade, ChangeKind::Downgrade, ChangeKind::Configure]);
    if !others.is_empty() {
        let detail = format!("the transaction would change packages outside the plan: {} (hint: plan them together)", names(others));
        return Err(refuse(RefusalReason::WouldChangeOthers, detail));
    }
    let new = of(&[ChangeKind::Install]);
    if !new.is_empty() && !rules.allow_new_packages {
        let detail =
            format!("the transaction would install new packages: {} (hint: the policy's transaction.allow_new_packages)", names(new));
        return Err(refuse(RefusalReason::WouldChangeOthers, detail));
    }
    Ok(Simulation { changes })
}

fn difference(subject: String, expected: impl ToString, found: impl ToString) -> Difference {
    Difference { subject, expected: expected.to_string(), found: found.to_string() }
}

/// How the inventory differs from the receipt's targets.
pub(crate) fn unlike_targets(inventory: &Inventory, receipt: &Receipt) -> Vec<Difference> {
    let mut differences = Vec::new();
    let wanted = receipt.targets.targets.iter().map(|target| (&target.id, &target.to));
    let wanted = wanted.chain(receipt.additions.iter().map(|addition| (&addition.id, &addition.version)));
    for (id, version) in wanted {
        match installed(inventory, id) {
            Some(package) if !package.is_installed() => {
                differences.push(difference(format!("{id} state"), "installed", format!("{:?}", package.state)));
            }
            Some(package) if package.version != *version => {
                differences.push(difference(format!("{id} version"), version, &package.version))
            }
            Some(_) => {}
            None => differences.push(difference(format!("{id} version"), version, "not installed")),
        }
    }
    let mark = |mark: Mark| if mark == Mark::Auto { "auto" } else { "manual" };
    let before = receipt.packages.iter().map(|record| (&record.package.id, record.package.mark));
    for (id, was) in before.chain(receipt.additions.iter().map(|addition| (&addition.id, Mark::Auto))) {
        if let Some(package) = installed(inventory, id).filter(|package| package.mark != was && package.state != InstallState::ConfigFiles)
        {
            differences.push(difference(format!("{id} mark"), mark(was), mark(package.mark)));
        }
    }
    let known =
        |id: &PackageId| receipt.packages.iter().any(|record| record.package.id == *id) || receipt.additions.iter().any(|it| it.id == *id);
    for package in inventory.iter().filter(|package| package.state == InstallState::Incomplete && !known(&package.id)) {
        differences.push(difference(format!("{} state", package.id), "installed", "incomplete"));
    }
    differences
}

/// How the inventory differs from the packages that the receipt recorded.
pub(crate) fn unlike_receipt(inventory: &Inventory, receipt: &Receipt) -> Vec<Difference> {
    let mut differences = Vec::new();
    for was in receipt.packages.iter().map(|record| &record.package) {
        let id = &was.id;
        let Some(now) = inventory.get(id) else {
            differences.push(difference(id.to_string(), &was.version, "not installed"));
            continue;
        };
        if now.version != was.version {
            differences.push(difference(format!("{id} version"), &was.version, &now.version));
        }
        for (property, was, now) in [
            ("state", format!("{:?}", was.state), format!("{:?}", now.state)),
            ("mark", format!("{:?}", was.mark), format!("{:?}", now.mark)),
            ("hold", was.held.to_string(), now.held.to_string()),
        ] {
            if was != now {
                differences.push(difference(format!("{id} {property}"), was.to_lowercase(), now.to_lowercase()));
            }
        }
    }
    for addition in &receipt.additions {
        let gone = if addition.residual { "removed, its configuration kept" } else { "not installed" };
        match inventory.get(&addition.id) {
            Some(package) if addition.residual && package.state == InstallState::ConfigFiles => {}
            Some(package) => {
                differences.push(difference(addition.id.to_string(), gone, format!("{} ({:?})", package.version, package.state)))
            }
            None if addition.residual => differences.push(difference(addition.id.to_string(), gone, "purged")),
            None => {}
        }
    }
    differences
}

/// How packaged files differ from what they were.
pub(crate) fn unlike_files(was: &[PackagedFile], now: &[PackagedFile]) -> Vec<Difference> {
    let now: BTreeMap<&str, &str> = now.iter().map(|file| (file.path.as_str(), file.content.as_str())).collect();
    let changed = was.iter().filter_map(|file| {
        let found = now.get(file.path.as_str()).copied().unwrap_or("not in the package");
        (found != file.content).then(|| difference(file.path.clone(), &file.content, found))
    });
    changed.collect()
}

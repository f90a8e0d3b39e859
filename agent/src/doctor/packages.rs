//! The package manager: able to work, alone, and with sources that can be read.

use patchwave_common::domain::{HostMode, InstallState, Manager};

use super::{Finding, Subject};
use crate::packages::{LockState, PackageError};

/// Packages named in one finding; the rest is counted.
const NAMED: usize = 10;

pub(super) fn database(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "package-database";
    let manager = match &subject.packages {
        Ok(manager) => manager,
        Err(error) => return vec![Finding::error(CHECK, error, "without its packages this host can be neither reported nor patched")],
    };
    let inventory = match manager.inventory() {
        Ok(inventory) => inventory,
        Err(error) => return vec![Finding::error(CHECK, error, "repair the package database from a backup (/var/backups/dpkg.status.*)")],
    };
    let mut findings = Vec::new();
    let held_lock = matches!(manager.lock_state(), Ok(LockState::Held { .. }));
    let incomplete: Vec<_> = inventory.iter().filter(|package| package.state == InstallState::Incomplete).collect();
    if held_lock {
        findings.push(Finding::note(CHECK, "another program works on the packages now", "orders wait for it, within the policy's bound"));
    } else if !incomplete.is_empty() {
        let names = names(incomplete.iter().map(|package| package.id.to_string()));
        let what = format!("a transaction was interrupted; half-way are {names}");
        let hint = match manager.manager() {
            Manager::Dpkg => "dpkg --configure -a, then apt-get --fix-broken install",
            Manager::Simulated => "finish the transaction",
        };
        findings.push(Finding::error(CHECK, what, hint));
    }
    if inventory.is_empty() {
        findings.push(Finding::error(CHECK, "no package is installed at all", "is packages.root the right directory?"));
    }
    findings
}

pub(super) fn other_hands(subject: &Subject) -> Vec<Finding> {
    let Ok(manager) = &subject.packages else {
        return Vec::new();
    };
    let finding = |hand: String| {
        let what = format!("{hand} is active and changes packages on its own; rollouts leave this host out unless their policy observes");
        Finding::warning("other-hands", what, format!("systemctl mask --now {hand}"))
    };
    manager.other_hands().into_iter().map(finding).collect()
}

pub(super) fn held(subject: &Subject) -> Vec<Finding> {
    let Some(inventory) = subject.packages.as_ref().ok().and_then(|manager| manager.inventory().ok()) else {
        return Vec::new();
    };
    let held: Vec<_> = inventory.iter().filter(|package| package.held).map(|package| package.id.to_string()).collect();
    if held.is_empty() {
        return Vec::new();
    }
    let what = format!("held back by the host's owner, so never updated: {}", names(held.into_iter()));
    vec![Finding::warning("held-packages", what, "apt-mark unhold NAME, where the reason is gone")]
}

pub(super) fn sources(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "package-sources";
    let Ok(manager) = &subject.packages else {
        return Vec::new();
    };
    if subject.offline {
        return Vec::new();
    }
    // A report-only agent looks at what others fetched, and so does its doctor.
    let asked = if subject.mode() == Some(HostMode::Managed) { manager.refresh() } else { manager.candidates().map(drop) };
    match asked {
        Ok(()) => Vec::new(),
        Err(error @ PackageError::LockHeld { .. }) => vec![Finding::note(CHECK, error, "try again when it is done")],
        Err(error) => vec![Finding::error(CHECK, error, "apt-get update shows it; see /etc/apt/sources.list and sources.list.d")],
    }
}

fn names(all: impl ExactSizeIterator<Item = String>) -> String {
    let count = all.len();
    let named = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if count > NAMED { format!("{named} and {} more", count - NAMED) } else { named }
}

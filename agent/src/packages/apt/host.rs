//! What else on the host changes packages by itself (rule 16), and whether the host asks for a reboot.

use patchwave_common::domain::{Inventory, RebootRequired, clean_text};

use super::layout::Layout;
use super::status::read_text;
use crate::packages::process;

/// How long systemctl or apt-config may take; both answer from memory or small files.
const ASK_LIMIT_SECS: u64 = 20;
/// Bound on the lists of packages that ask for a reboot, and on one line of them.
const REBOOT_LIST_MAX_BYTES: u64 = 256 * 1024;
const REBOOT_PACKAGES_MAX: usize = 1000;

/// Units that change packages on their own.
const UNITS: [&str; 3] = ["apt-daily-upgrade.timer", "dnf-automatic.timer", "dnf-automatic-install.timer"];

/// Active tools that change packages, ordered. A host without systemd may still run apt's daily script from cron, so there its
/// configuration alone decides.
pub(crate) fn other_hands(layout: &Layout, inventory: Option<&Inventory>) -> Vec<String> {
    let mut hands = Vec::new();
    let installed = |name: &str| {
        let mut all = inventory.into_iter().flat_map(Inventory::iter);
        all.any(|package| package.is_installed() && package.id.name.as_str() == name)
    };
    let unattended = installed("unattended-upgrades") && is_on(layout, "APT::Periodic::Unattended-Upgrade");
    let active = if layout.is_machine() { active_units() } else { None };
    match active {
        Some(active) => {
            let acts = |unit: &&String| unit.as_str() != "apt-daily-upgrade.timer" || unattended;
            hands.extend(active.iter().filter(acts).cloned());
        }
        None if unattended => hands.push("unattended-upgrades".to_owned()),
        None => {}
    }
    for name in ["cron-apt", "yum-cron"] {
        if installed(name) {
            hands.push(name.to_owned());
        }
    }
    hands.sort();
    hands
}

/// Which of [`UNITS`] are active or will be at the next boot; `None` where systemd does not run.
fn active_units() -> Option<Vec<String>> {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    Some(UNITS.iter().filter(|unit| answers("is-active", unit) || answers("is-enabled", unit)).map(|unit| (*unit).to_owned()).collect())
}

fn answers(question: &str, unit: &str) -> bool {
    let mut spec = crate::packages::CommandSpec {
        program: "systemctl".to_owned(),
        arguments: vec![question.to_owned(), "--quiet".to_owned(), unit.to_owned()],
        environment: std::collections::BTreeMap::new(),
        time_limit_secs: ASK_LIMIT_SECS,
        purpose: "look for other tools that change packages".to_owned(),
        may_fail: true,
    };
    spec.environment.insert("LC_ALL".to_owned(), "C".to_owned());
    process::run(&spec).is_ok_and(|output| output.status.success())
}

/// Whether one of apt's periodic settings is on: a number of days (or `always`), where `0` and nothing are off.
fn is_on(layout: &Layout, setting: &str) -> bool {
    let arguments = vec!["shell".to_owned(), "VALUE".to_owned(), setting.to_owned()];
    let output = process::run(&layout.apt("apt-config", "read apt's configuration", ASK_LIMIT_SECS, arguments));
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let value = text.trim().strip_prefix("VALUE=").unwrap_or_default().trim_matches('\'');
    !matches!(value, "" | "0" | "false" | "no" | "off")
}

pub(crate) fn reboot_required(layout: &Layout) -> RebootRequired {
    let required = layout.inside("run/reboot-required").exists();
    let text = if required { read_text(&layout.inside("run/reboot-required.pkgs"), REBOOT_LIST_MAX_BYTES) } else { Ok(String::new()) };
    let mut packages: Vec<String> = text
        .unwrap_or_default()
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(REBOOT_PACKAGES_MAX)
        .map(|line| clean_text(line, 256))
        .collect();
    packages.sort();
    packages.dedup();
    RebootRequired { required, packages }
}

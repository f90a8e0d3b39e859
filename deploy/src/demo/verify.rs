//! Whether it went as it should: asked of the hosts themselves, not only of the controller.

use anyhow::{Context as _, ensure};
use patchwave_proto::operator::v1 as wire;

use super::controller::Controller;
use super::hosts::{Fleet, SandboxHost};
use super::packages::{BAD, CLUSTER_CONFIGURATION, CONFIGURATION_PATH, FIRST, GOOD, SHIPPED_CONFIGURATION, Shop};
use super::summary::RolloutSummary;

/// Every host has the first version and nothing else.
pub(super) fn first(fleet: &Fleet, shop: &Shop) -> anyhow::Result<()> {
    fleet.hosts.iter().try_for_each(|host| is(host, shop, FIRST, None))
}

/// Every host has the good version, and every administrator's edit.
pub(super) fn good(fleet: &Fleet, shop: &Shop, summary: &RolloutSummary) -> anyhow::Result<()> {
    counts(summary, "completed", fleet.managed(), 0, 0)?;
    fleet.hosts.iter().try_for_each(|host| is(host, shop, GOOD, None))
}

/// The bad version stays only where it works (the test ring); the canaries are as before; nobody else was ordered anything.
pub(super) async fn bad(controller: &Controller, fleet: &Fleet, shop: &Shop, summary: &RolloutSummary) -> anyhow::Result<()> {
    counts(summary, "stopped", 4, 2, 8)?;
    for host in &fleet.hosts {
        match host.name.starts_with("test") {
            true => is(host, shop, BAD, Some("1.0-1"))?,
            false => is(host, shop, GOOD, None)?,
        }
    }
    let quarantine = controller.client().list_quarantine(wire::ListQuarantineRequest { all: false }).await?.into_inner();
    let quarantined = quarantine.entries.iter().any(|entry| entry.source == "shop" && entry.version == BAD);
    ensure!(quarantined, "shop {BAD} is not in quarantine");
    Ok(())
}

fn counts(summary: &RolloutSummary, state: &str, changed: usize, restored: usize, untouched: usize) -> anyhow::Result<()> {
    let name = &summary.name;
    ensure!(summary.state == state, "the {name} update ended as {}, not as {state}", summary.state);
    for (found, wanted, what) in [
        (summary.hosts_changed, changed, "were changed"),
        (summary.hosts_restored, restored, "were taken back"),
        (summary.hosts_untouched, untouched, "were never ordered to apply"),
    ] {
        ensure!(found == wanted, "{found} hosts {what} by the {name} update, not {wanted}");
    }
    Ok(())
}

/// The host has exactly these versions and its administrator's configuration, and nothing lies beside it.
fn is(host: &SandboxHost, shop: &Shop, version: &str, cache: Option<&str>) -> anyhow::Result<()> {
    for (package, wanted) in [("shop", Some(version)), ("shop-cache", cache)] {
        let installed = shop.installed(&host.root, package)?;
        ensure!(installed.as_deref() == wanted, "{} has {package} {installed:?} and should have {wanted:?}", host.name);
    }
    let wanted = if host.cluster { CLUSTER_CONFIGURATION } else { SHIPPED_CONFIGURATION };
    let path = host.root.join(CONFIGURATION_PATH);
    let found = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(found == wanted, "{}: the configuration is not as the administrator left it", host.name);
    let folder = path.parent().context("the configuration is in no folder")?;
    let files = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?.count();
    ensure!(files == 1, "{}: {files} files in {}, not the configuration alone", host.name, folder.display());
    Ok(())
}

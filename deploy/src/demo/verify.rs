//! Whether it went as it should: asked of the hosts themselves, not only of the controller.

use anyhow::{Context as _, ensure};
use patchwave_proto::operator::v1 as wire;

use super::controller::Controller;
use super::hosts::{Fleet, SandboxHost};
use super::packages::{BAD, CLUSTER_CONFIGURATION, GOOD, SHIPPED_CONFIGURATION};
use super::summary::RolloutSummary;

/// Every host has the good version, and every administrator's edit.
pub(super) fn good(fleet: &Fleet, detail: &wire::RolloutDetail) -> anyhow::Result<()> {
    let rollout = detail.rollout.as_ref().context("a rollout without itself")?;
    ensure!(rollout.state == "completed", "the good update ended as {}: {}", rollout.state, rollout.reason);
    ensure!(rollout.updated == rollout.hosts, "{} of {} hosts were updated", rollout.updated, rollout.hosts);
    for host in fleet.hosts.iter().filter(|_| fleet.real) {
        has(host, "shop", Some(GOOD))?;
        configuration(host)?;
    }
    Ok(())
}

/// The bad version stays only where it works (the test ring); the canaries are as before; nobody else was ordered anything.
pub(super) async fn bad(
    controller: &Controller,
    fleet: &Fleet,
    detail: &wire::RolloutDetail,
    summary: Option<&RolloutSummary>,
) -> anyhow::Result<()> {
    let rollout = detail.rollout.as_ref().context("a rollout without itself")?;
    ensure!(rollout.state == "stopped", "the bad update ended as {}: {}", rollout.state, rollout.reason);
    let summary = summary.context("no summary")?;
    ensure!(summary.hosts_restored == 2, "{} canaries were taken back, not 2", summary.hosts_restored);
    ensure!(summary.hosts_changed == 4, "{} hosts were changed, not 4", summary.hosts_changed);
    ensure!(summary.hosts_untouched == 8, "{} hosts were never touched, not 8", summary.hosts_untouched);
    for host in fleet.hosts.iter().filter(|_| fleet.real) {
        let test_ring = host.name.starts_with("test");
        has(host, "shop", Some(if test_ring { BAD } else { GOOD }))?;
        has(host, "shop-cache", test_ring.then_some("1.0-1"))?;
        configuration(host)?;
    }
    let quarantine = controller.client().list_quarantine(wire::ListQuarantineRequest { all: false }).await?.into_inner();
    let quarantined = quarantine.entries.iter().any(|entry| entry.source == "shop" && entry.version == BAD);
    ensure!(quarantined, "shop {BAD} is not in quarantine");
    Ok(())
}

fn has(host: &SandboxHost, package: &str, wanted: Option<&str>) -> anyhow::Result<()> {
    let installed = Fleet::installed(host, package)?;
    ensure!(installed.as_deref() == wanted, "{} has {package} {installed:?} and should have {wanted:?}", host.name);
    Ok(())
}

fn configuration(host: &SandboxHost) -> anyhow::Result<()> {
    let wanted = if host.cluster { CLUSTER_CONFIGURATION } else { SHIPPED_CONFIGURATION };
    let path = host.root.join("etc/shop/shop.conf");
    let found = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(found == wanted, "{}: the configuration is not as the administrator left it", host.name);
    Ok(())
}

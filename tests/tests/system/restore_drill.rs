//! The drill: a backup is taken while agents are at work, the controller's machine is lost, a new one gets the backup. Agents come back by
//! themselves, what was going on comes to its end, and orders of the lost controller are refused should it ever return.

use std::time::Instant;

use anyhow::{Result, ensure};
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{ControllerSetup, Fleet, wait_for};

use super::support::{GATE, Patched, REPORT, THREE_WAVES, is_updated, policy_with, stop_at_the_gate, wait_at_the_gate};

const HOSTS: [(&str, &str); 4] = [("test-1", "test"), ("early-1", "early"), ("broad-1", "broad"), ("broad-2", "broad")];
const LIMITS: &str = "\n[limits]\nfailures = 9\nmax_unavailable = \"100%\"\n";
const OLDER: &str = "1.0-1";
const NEWER: &str = "2.0-1";

fn package(version: &str) -> Package {
    let package = Package::new("tool", version).file("/usr/share/tool/version", 0o644, format!("{version}\n"));
    if version == NEWER { stop_at_the_gate(package) } else { package }
}

#[test]
fn a_backup_taken_under_load_stands_up_a_controller_that_goes_on_and_the_old_ones_orders_are_refused() -> Result<()> {
    Fleet::test("restore drill", |fleet| {
        let (mut repository, server) = fleet.repository("tool", ReleaseFields::named("tool"))?;
        for version in [OLDER, NEWER] {
            repository.add(&package(version))?;
        }
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let mut patched = Patched::start(fleet, &HOSTS, |host| {
            host.write("/etc/patchwave/agent.toml", "[controller]\nretry_within = \"2s\"\n", "0600")?;
            host.add_source("tool", &source)?;
            host.apt_get(&["install", &format!("tool={OLDER}")]).map(|_| ())
        })?;
        patched.wait_until_offered("tool", NEWER, HOSTS.len() as u64)?;
        patched.apply_policy(&policy_with("120s", LIMITS, &THREE_WAVES))?;
        let (early, broad) = (patched.host("early-1")?, patched.host("broad-1")?);
        for host in [&early, &broad] {
            host.write(GATE, "", "0644")?;
        }
        let rollout = patched.start_rollout(&["tool"])?;

        // dpkg is at work on one host, the others report: the backup is of one instant nevertheless.
        wait_at_the_gate(&early)?;
        let backup = patched.controller.directory().join("fleet.backup").display().to_string();
        patched.controller.run(&["backup", &backup])?;
        // Orders that the backup knows nothing of.
        early.run("rm", &[GATE])?;
        wait_at_the_gate(&broad)?;
        patched.controller.kill()?;

        let lost = patched.controller.setup().clone();
        let state = patched.controller.directory().join("restored").display().to_string();
        let address = patched.controller.address();
        let name = address.ip().to_string();
        let listen = address.to_string();
        patched.controller.run(&["restore", &backup, "--state-dir", &state, "--name", &name, "--listen", &listen])?;
        let restored = ControllerSetup { serve: ["serve", "--state-dir", &state].map(str::to_owned).into(), ..lost.clone() };
        let began = Instant::now();
        patched.controller.serve_as(restored.clone())?;
        patched.wait_until_reported(HOSTS.len())?;
        eprintln!("all {} hosts were back {:.1?} after the restored controller's start", HOSTS.len(), began.elapsed());
        broad.run("rm", &[GATE])?;
        let detail = patched.wait_for_state(&rollout, "completed")?;
        for host in &patched.hosts {
            ensure!(host.installed_version("tool")?.as_deref() == Some(NEWER), "{} has not got it: {detail:#}", host.name());
            let upgrades = host
                .apt_history()?
                .iter()
                .flat_map(|transaction| transaction.actions.clone())
                .filter(|(action, _)| action == "Upgrade")
                .count();
            ensure!(upgrades == 1, "{}: brought {upgrades} times", host.name());
            patched.agrees_with_dpkg(host)?;
        }
        ensure!(is_updated(&detail, "test-1")?, "{detail:#}");
        let told = patched.controller.run(&["events", "--after", "0", "--all"])?;
        ensure!(told.contains("no log here knows"), "what was ordered after the backup is told: {told}");

        // The lost controller is found again and started by mistake.
        patched.controller.stop()?;
        patched.controller.serve_as(lost)?;
        wait_for("the old controller's order to be refused", REPORT, || {
            Ok(broad.agent_journal()?.contains("is older than").then_some(()))
        })?;
        ensure!(broad.installed_version("tool")?.as_deref() == Some(NEWER));
        Ok(())
    })
}

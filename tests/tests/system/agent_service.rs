//! The agent under its own hardened unit on a real host: it can do all that it must, and what it must not is out of reach.

use std::time::Duration;

use anyhow::Result;
use patchwave_tests::{AgentInstallation, Binaries, Controller, Fleet, Host, wait_for};

use super::support::{agent_status, enroll, token};

const LIMIT: Duration = Duration::from_secs(60);

fn connected(host: &Host) -> Result<serde_json::Value> {
    wait_for("a connected agent", LIMIT, || {
        let status = agent_status(host)?;
        Ok((status["running"] == true && status["agent"]["session"]["link"]["state"] == "connected").then_some(status))
    })
}

#[test]
fn the_hardened_service_reports_survives_a_kill_and_ends_quickly() -> Result<()> {
    Fleet::test("agent service", |fleet| {
        let binaries = Binaries::find()?;
        let controller = Controller::start(fleet, &binaries)?;
        let host = fleet.host("one")?;
        host.install_agent(&AgentInstallation::usual(&binaries))?;
        host.run("systemctl", &["start", "patchwave-agent.service"])?;
        assert_eq!(host.run("systemctl", &["show", "--property=ActiveState", "--value", "patchwave-agent.service"])?, "inactive\n");
        let (secret, fingerprint) = token(&controller, "managed", "broad", &[])?;
        enroll(&controller, &host, &secret, &fingerprint)?.into_stdout("enroll")?;
        // Type=notify: this returns when the agent says that it is ready.
        host.start_agent()?;
        let first = connected(&host)?;
        wait_for("both contents with the controller", LIMIT, || {
            let noted = &agent_status(&host)?["agent"]["session"]["acknowledged"];
            Ok((noted["inventory"].is_string() && noted["candidates"].is_string()).then_some(()))
        })?;
        let journal = host.agent_journal()?;
        assert!(!journal.contains("WARN") && !journal.contains("ERROR"), "{journal}");

        a_change_of_packages_is_reported(&host)?;
        host.kill_agent()?;
        let second = wait_for("another run of the agent", LIMIT, || {
            let now = connected(&host)?;
            Ok((now["agent"]["instance"] != first["agent"]["instance"]).then_some(now))
        })?;
        assert_eq!(second["host"], first["host"]);

        let findings = host.agent(&["doctor", "-o", "json"])?;
        eprintln!("doctor: {}", findings.stdout);
        let memory =
            host.run("sh", &["-c", "grep -E 'VmRSS|RssAnon' /proc/$(systemctl show --property=MainPID --value patchwave-agent)/status"])?;
        eprintln!("memory of the idle agent: {memory}");
        let exposure = host.run("systemd-analyze", &["security", "--no-pager", "patchwave-agent.service"])?;
        eprintln!("{}", exposure.lines().last().unwrap_or_default());

        let started = std::time::Instant::now();
        host.stop_agent()?;
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert_eq!(host.failed_units()?, Vec::<String>::new());
        Ok(())
    })
}

/// What apt's hands do beside us is with the controller within seconds.
fn a_change_of_packages_is_reported(host: &Host) -> Result<()> {
    let noted =
        |host: &Host| -> Result<serde_json::Value> { Ok(agent_status(host)?["agent"]["session"]["acknowledged"]["inventory"].clone()) };
    let before = noted(host)?;
    host.run("apt-mark", &["auto", "perl-base"])?;
    wait_for("the changed mark with the controller", Duration::from_secs(15), || Ok((noted(host)? != before).then_some(())))
}

//! Scenario 3: an agent killed in the middle of dpkg, a host rebooted there, another one's plug pulled there, and the controller killed
//! meanwhile. All end on exactly the new or the old set, and apt's history is the witness that nothing was applied twice.

use anyhow::Result;
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{Fleet, Host, wait_for};

use super::support::{GATE, Patched, REPORT, THREE_WAVES, is_updated, policy_with, row, stop_at_the_gate, wait_at_the_gate};

const HOSTS: [(&str, &str); 5] =
    [("test-1", "test"), ("killed-1", "early"), ("rebooted-1", "early"), ("unplugged-1", "early"), ("broad-1", "broad")];

const LIMITS: &str = "\n[limits]\nfailures = 5\nmax_unavailable = \"100%\"\n";

const OLDER: &str = "1.0-1";
const NEWER: &str = "2.0-1";

/// Two packages that move together; the first is unpacked and not configured while the gate is closed, the second not even that.
fn packages(version: &str) -> [Package; 2] {
    let slow = Package::new("slow", version).conffile("/etc/slow.conf", 0o644, format!("# {version}\n"));
    let slow = slow.file("/usr/share/slow/version", 0o644, format!("{version}\n"));
    let slow = if version == NEWER { stop_at_the_gate(slow) } else { slow };
    let user = Package::new("slow-user", version).source("slow").depends(&format!("slow (= {version})"));
    [slow, user.file("/usr/share/slow-user/version", 0o644, format!("{version}\n"))]
}

fn both(host: &Host) -> Result<[Option<String>; 2]> {
    Ok([host.installed_version("slow")?, host.installed_version("slow-user")?])
}

/// How often apt recorded that it brought `slow` to the newer version.
fn applied(host: &Host) -> Result<usize> {
    let change = format!("slow:amd64 ({OLDER}, {NEWER})");
    let other = format!("slow:all ({OLDER}, {NEWER})");
    let history = host.apt_history()?;
    let actions = history.iter().flat_map(|transaction| &transaction.actions);
    Ok(actions.filter(|(action, packages)| action == "Upgrade" && (packages.contains(&change) || packages.contains(&other))).count())
}

#[test]
fn deaths_in_the_middle_of_dpkg_leave_the_new_or_the_old_set_and_nothing_twice() -> Result<()> {
    Fleet::test("crashes", |fleet| {
        let (mut repository, server) = fleet.repository("slow", ReleaseFields::named("slow"))?;
        for version in [OLDER, NEWER] {
            for package in &packages(version) {
                repository.add(package)?;
            }
        }
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let mut patched = Patched::start(fleet, &HOSTS, |host| {
            host.add_source("slow", &source)?;
            host.apt_get(&["install", &format!("slow={OLDER}"), &format!("slow-user={OLDER}")]).map(|_| ())
        })?;
        patched.wait_until_offered("slow", NEWER, 5)?;
        patched.apply_policy(&policy_with("60s", LIMITS, &THREE_WAVES))?;
        let (killed, rebooted, unplugged) = (patched.host("killed-1")?, patched.host("rebooted-1")?, patched.host("unplugged-1")?);
        let gated = [&killed, &rebooted, &unplugged];
        for host in gated {
            host.write(GATE, "", "0644")?;
        }
        let rollout = patched.start_rollout(&["src:slow"])?;
        for host in gated {
            wait_at_the_gate(host)?;
        }

        patched.controller.kill()?;
        killed.kill_agent()?;
        let boots = rebooted.boots();
        rebooted.run("systemctl", &["--no-block", "reboot"])?;
        // An orderly shutdown lets dpkg finish the package at hand; a plug does not.
        wait_for("the shutdown to begin", REPORT, || Ok((rebooted.system_state()? == "stopping").then_some(())))?;
        rebooted.run("rm", &[GATE])?;
        unplugged.pull_the_plug()?;
        unplugged.start()?;
        patched.controller.serve()?;
        killed.run("rm", &[GATE])?;
        rebooted.wait_until_booted_again(boots)?;

        let detail = patched.wait_for_state(&rollout, "completed")?;
        eprintln!("{detail:#}");
        for host in &patched.hosts {
            let (name, both) = (host.name(), both(host)?);
            let new = [NEWER, NEWER].map(|version| Some(version.to_owned()));
            let old = [OLDER, OLDER].map(|version| Some(version.to_owned()));
            assert!(both == new || both == old, "{name}: {both:?}");
            eprintln!("{name}: {}, apt: {:#?}", if both == new { "new" } else { "old" }, host.apt_history()?);
            assert_eq!(applied(host)?, 1, "{name}");
            assert_eq!(host.run("dpkg", &["--audit"])?, "", "{name}: nothing is half done");
            assert_eq!(host.run("dpkg", &["--verify", "slow", "slow-user"])?, "", "{name}");
            let told = row(&detail, name)?;
            assert!(if both == new { is_updated(&detail, name)? } else { told["state"] == "taken-back" }, "{told:#}");
            patched.agrees_with_dpkg(host)?;
            each_thing_is_said_once(host)?;
        }
        // Neither the kill nor the reboot is a reason to lose an update that would have gone well.
        for host in [&killed, &rebooted] {
            assert_eq!(both(host)?[0].as_deref(), Some(NEWER), "{}: dpkg went on in its own unit", host.name());
        }
        Ok(())
    })
}

/// Agent and controller tell each other news, and do not answer answers: a report comes at most once per session of the agent.
fn each_thing_is_said_once(host: &Host) -> Result<()> {
    let journal = host.agent_journal()?;
    let sessions = journal.matches("connected host=").count();
    let healthy = journal.matches("progress=Healthy").count();
    assert!(healthy <= sessions + 1, "{}: {healthy} times in {sessions} sessions\n{journal}", host.name());
    Ok(())
}

//! Scenario 4: hosts cut off before, during and after their wave. The rollout does not stall, silence after applying counts as harm,
//! absence before it does not, and each host catches up on return.

use anyhow::Result;
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{Fleet, Host, wait_for};
use serde_json::Value;

use super::support::{GATE, Patched, ROLLOUT, is_updated, policy_with, row, stop_at_the_gate, wait_at_the_gate};

const HOSTS: [(&str, &str); 5] =
    [("test-1", "test"), ("before-1", "early"), ("during-1", "early"), ("early-1", "early"), ("broad-1", "broad")];

const WAVES: [(&str, &str, &str, &str); 3] = [
    ("test ring", "test", "ring=test", "\"all\""),
    ("canaries", "canary", "ring=early", "\"all\"\nfailure_limit = 3"),
    ("rest", "production", "", "\"all\""),
];

/// One harmed host is below the limit: the rollout goes on without it.
const LIMITS: &str =
    "\n[limits]\nfailures = 3\nmax_unavailable = \"100%\"\n\n[offline]\nbudget = \"50%\"\ngrace = \"2s\"\ndeadline = \"1h\"\n";

const OLDER: &str = "1.0-1";
const NEWER: &str = "2.0-1";

fn package(version: &str) -> Package {
    let package = Package::new("far", version).file("/usr/share/far/version", 0o644, format!("{version}\n"));
    if version == NEWER { stop_at_the_gate(package) } else { package }
}

fn wait_for_host(patched: &Patched, rollout: &str, host: &str, states: &[&str]) -> Result<Value> {
    wait_for(&format!("{host} to be {}", states.join(" or ")), ROLLOUT, || {
        let detail = patched.rollout(rollout)?;
        let row = row(&detail, host)?;
        Ok(row["state"].as_str().is_some_and(|state| states.contains(&state)).then(|| row.clone()))
    })
}

fn has(host: &Host, version: &str) -> Result<bool> {
    Ok(host.installed_version("far")?.as_deref() == Some(version))
}

#[test]
fn hosts_cut_off_before_during_and_after_their_wave_do_not_stall_it_and_catch_up() -> Result<()> {
    Fleet::test("absences", |fleet| {
        let (mut repository, server) = fleet.repository("far", ReleaseFields::named("far"))?;
        repository.add(&package(OLDER))?;
        repository.add(&package(NEWER))?;
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let patched = Patched::start(fleet, &HOSTS, |host| {
            host.add_source("far", &source)?;
            host.apt_get(&["install", &format!("far={OLDER}")]).map(|_| ())
        })?;
        patched.wait_until_offered("far", NEWER, 5)?;
        patched.apply_policy(&policy_with("8s", LIMITS, &WAVES))?;
        let (before, during, after) = (patched.host("before-1")?, patched.host("during-1")?, patched.host("test-1")?);

        before.cut_off()?;
        during.write(GATE, "", "0644")?;
        let rollout = patched.start_rollout(&["far"])?;
        wait_at_the_gate(&during)?;
        during.cut_off()?;
        // Its dpkg comes to its end while nobody hears of it.
        during.run("rm", &[GATE])?;
        wait_for_host(&patched, &rollout, "test-1", &["healthy", "concluded"])?;
        let silent = wait_for_host(&patched, &rollout, "during-1", &["harmed", "lost", "silent", "taking-back"])?;
        eprintln!("{silent:#}");

        // The wave is not held up by either of them: the last one is reached and patched.
        wait_for_host(&patched, &rollout, "broad-1", &["healthy", "concluded"])?;
        after.cut_off()?;
        let detail = patched.rollout(&rollout)?;
        eprintln!("{detail:#}");
        assert!(is_updated(&detail, "early-1")?);
        assert_eq!(row(&detail, "before-1")?["state"], "offline");
        assert_eq!(detail["rollout"]["harmed"], 1, "absence before applying is no harm: {detail:#}");
        assert!(has(&before, OLDER)?);

        for host in [&before, &during, &after] {
            host.reconnect()?;
        }
        wait_for_host(&patched, &rollout, "before-1", &["healthy", "concluded"])?;
        assert!(has(&before, NEWER)?, "it caught up");
        let detail = wait_for("the rollout's end", ROLLOUT, || {
            let detail = patched.rollout(&rollout)?;
            Ok((detail["rollout"]["state"] == "completed").then_some(detail))
        })?;
        eprintln!("{detail:#}");
        // The harmed one was told on its return to take it back, and nothing is in between.
        assert_eq!(row(&detail, "during-1")?["state"], "taken-back");
        assert!(has(&during, OLDER)?);
        assert!(is_updated(&detail, "test-1")?);
        for host in &patched.hosts {
            patched.agrees_with_dpkg(host)?;
        }
        Ok(())
    })
}

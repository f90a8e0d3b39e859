//! Scenario 5, second part: hosts that something is wrong with take part in a rollout. Each is left out, or left alone, for a reason
//! that says what to do, and the healthy one beside them is patched.

use anyhow::Result;
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{Fleet, Host, wait_for};
use serde_json::Value;

use super::support::{Patched, REPORT, ROLLOUT, policy_with, row};

const HOSTS: [(&str, &str); 6] =
    [("good-1", "test"), ("full-1", "early"), ("broken-1", "early"), ("held-1", "early"), ("rival-1", "early"), ("clock-1", "early")];

const WAVES: [(&str, &str, &str, &str); 2] = [("test ring", "test", "ring=test", "\"all\""), ("rest", "canary", "", "\"all\"")];

/// Hosts that cannot stage do not keep a rollout from its end here.
const LIMITS: &str =
    "\n[limits]\nfailures = 1\nnot_staged = \"100%\"\nmax_unavailable = \"100%\"\n\n[offline]\nbudget = \"100%\"\ngrace = \"2s\"\n";

const OLDER: &str = "1.0-1";
const NEWER: &str = "2.0-1";
/// The newer version's size: beyond what the full disk has, little for any other.
const BYTES: usize = 3 << 20;

fn package(version: &str) -> Package {
    let newer = version == NEWER;
    // Not compressible, so that the file is as large as its contents.
    let mut state = 1_u32;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        u8::try_from(state & 0xff).unwrap_or_default()
    };
    let bytes: Vec<u8> = (0..if newer { BYTES } else { 10 }).map(|_| noise()).collect();
    let package = Package::new("tool", version).file("/usr/share/tool/data", 0o644, bytes);
    if newer { package.conflicts("rival") } else { package }
}

/// Why the plan left a host out.
fn excluded(plan: &Value, host: &str) -> Option<String> {
    let groups = plan["excluded"].as_array()?;
    let group = groups.iter().find(|group| group["first_hosts"].as_array().is_some_and(|hosts| hosts.iter().any(|name| name == host)))?;
    Some(format!("{}: {}", group["reason"].as_str()?, group["detail"].as_str()?))
}

fn a_package_that_does_not_exist_is_refused(patched: &Patched) -> Result<()> {
    let nothing = patched.controller.try_run(&["rollout", "plan", "--policy", "test", "--update", "does-not-exist"])?;
    eprintln!("a package that does not exist: {nothing:?}");
    assert_eq!(nothing.code(), 1);
    assert!(nothing.stderr.contains("does-not-exist") && nothing.stderr.contains("hint"), "{}", nothing.stderr);
    Ok(())
}

#[test]
fn hosts_with_something_wrong_are_left_alone_with_a_reason_and_the_good_one_is_patched() -> Result<()> {
    Fleet::test("wrong hosts", |fleet| {
        let (mut repository, server) = fleet.repository("tool", ReleaseFields::named("tool"))?;
        repository.add(&package(OLDER))?;
        repository.add(&Package::new("rival", "1.0-1"))?;
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let patched = Patched::start(fleet, &HOSTS, |host| {
            host.add_source("tool", &source)?;
            let more: &[&str] = if host.name() == "rival-1" { &["rival"] } else { &[] };
            host.apt_get(&[&["install", "tool"], more].concat())?;
            match host.name() {
                "held-1" => host.run("apt-mark", &["hold", "tool"]).map(|_| ()),
                _ => Ok(()),
            }
        })?;
        repository.add(&package(NEWER))?;
        repository.publish()?;
        wait_for_offer(&patched)?;
        the_clock_goes_wrong(&patched, &*patched.host("clock-1")?)?;
        patched.apply_policy(&policy_with("25s", LIMITS, &WAVES))?;
        a_package_that_does_not_exist_is_refused(&patched)?;

        patched.host("full-1")?.limit_disk("/var/cache/apt/archives", 1 << 20)?;
        let broken = patched.host("broken-1")?;
        // Nobody listens there; each fleet has an address of its own.
        let nobody = format!("{}:9", fleet.address());
        let line = format!("deb [trusted=yes] http://{nobody}/nowhere ./\n");
        broken.write("/etc/apt/sources.list.d/tool.list", line, "0644")?;
        broken.run("find", &["/var/lib/apt/lists", "-name", &format!("{}*", fleet.address()), "-delete"])?;

        let arguments = ["rollout", "plan", "--policy", "test", "--update", "tool"];
        let plan = patched.controller.json(&arguments)?;
        eprintln!("{}", patched.controller.run(&arguments)?);
        assert!(excluded(&plan, "held-1").is_some_and(|why| why.contains("held")), "{plan:#}");
        assert!(excluded(&plan, "clock-1").is_some_and(|why| why.contains("clock")), "{plan:#}");
        let rollout = patched.start_rollout(&["tool"])?;
        let detail = wait_for("the rollout's end", ROLLOUT, || {
            let detail = patched.rollout(&rollout)?;
            let open = ["running", "planned", "catching-up", "waiting-for-approval"];
            Ok((!detail["rollout"]["state"].as_str().is_some_and(|state| open.contains(&state))).then_some(detail))
        })?;
        eprintln!("{}", patched.controller.run(&["rollout", "show", &rollout])?);
        eprintln!("{detail:#}");
        for (host, _) in HOSTS {
            eprintln!("{}", patched.controller.run(&["rollout", "explain", &rollout, host])?);
        }
        assert_eq!(detail["rollout"]["changed"], 1, "the good one alone: {detail:#}");
        assert_eq!(detail["rollout"]["harmed"], 0, "none of it is harm");
        for (name, words) in [
            ("full-1", &["not-staged", "disk-full", "/var/cache/apt/archives"][..]),
            ("broken-1", &["not-staged", "unreachable", &nobody][..]),
            ("rival-1", &["would-remove", "rival"][..]),
        ] {
            let row = row(&detail, name)?.to_string();
            for word in words {
                assert!(row.contains(word), "{name}: {word} is not in {row}");
            }
        }
        for host in &patched.hosts {
            let wanted = if host.name() == "good-1" { NEWER } else { OLDER };
            assert_eq!(host.installed_version("tool")?.as_deref(), Some(wanted), "{}", host.name());
            patched.agrees_with_dpkg(host)?;
        }
        assert!(patched.host("rival-1")?.installed_version("rival")?.is_some());
        doctors_find_it(&patched, &nobody)
    })
}

fn wait_for_offer(patched: &Patched) -> Result<()> {
    patched.controller.run(&["host", "refresh"])?;
    wait_for("the newer tool to be offered to all, the held one too", REPORT, || {
        let updates = patched.controller.json(&["update", "list"])?;
        let rows = updates.as_array().map_or(&[][..], Vec::as_slice);
        let row = rows.iter().find(|row| row["name"] == "tool" && row["to_version"] == NEWER);
        Ok((row.and_then(|row| row["hosts"].as_u64()) == Some(6)).then_some(()))
    })
}

fn the_clock_goes_wrong(patched: &Patched, host: &Host) -> Result<()> {
    host.shift_clock_of("patchwave-agent.service", 7200)?;
    host.run("systemctl", &["restart", "patchwave-agent"])?;
    wait_for("the alarm about the clock", REPORT, || {
        let shown = patched.controller.json(&["host", "show", host.name()])?;
        let alarms = shown["host"]["alarms"].as_array().cloned().unwrap_or_default();
        Ok((alarms.contains(&"clock-off".into()) && shown["host"]["presence"] == "online").then_some(()))
    })
}

/// The owner of each host finds the same with the agent's own `doctor`.
fn doctors_find_it(patched: &Patched, nobody: &str) -> Result<()> {
    for (host, word) in [("held-1", "tool"), ("broken-1", nobody), ("clock-1", "clock")] {
        let said = doctor(&*patched.host(host)?)?;
        eprintln!("{host}: {said}");
        assert!(said.contains(word), "{host}: {word} is not in {said}");
    }
    Ok(())
}

fn doctor(host: &Host) -> Result<String> {
    // As the service sees the clock.
    let faked =
        host.try_run("sh", &["-c", "set -a; eval $(systemctl show -p Environment --value patchwave-agent); exec patchwave-agent doctor"])?;
    Ok(format!("{}{}", faked.stdout, faked.stderr))
}

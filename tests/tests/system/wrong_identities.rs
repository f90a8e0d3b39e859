//! Scenario 5, first part: tokens, fingerprints, certificates and configuration that are wrong. Each gives a clear error that says what to
//! do, and loses nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use patchwave_tests::{AgentInstallation, Finished, Fleet, Host, wait_for};

use super::support::{Patched, REPORT, agent_status, enroll, token};

/// A refusal: status 1 (or 2 for wrong use), every word said on standard error, and a hint.
fn refused(what: &str, finished: &Finished, words: &[&str]) {
    eprintln!("{what}: {}", finished.stderr.trim());
    assert!(matches!(finished.code(), 1 | 2), "{what}: {finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{what}: {word:?} is not in {}", finished.stderr);
    }
    assert!(finished.stderr.contains("hint"), "{what}: it says what to do: {}", finished.stderr);
}

#[test]
fn wrong_tokens_fingerprints_certificates_and_configuration_are_refused_with_a_way_out() -> Result<()> {
    Fleet::test("wrong identities", |fleet| {
        let patched = Patched::start(fleet, &[("first-1", "test"), ("second-1", "test")], |_| Ok(()))?;
        let (first, second) = (&patched.hosts[0], &patched.hosts[1]);
        let stranger = fleet.host("stranger")?;
        stranger.install_agent(&AgentInstallation::usual(&patched.binaries))?;

        wrong_tokens(&patched, &stranger)?;
        wrong_configuration(&patched, &stranger)?;
        a_retired_host_is_turned_away(&patched, second)?;
        a_cloned_host_is_stopped(&patched, first, &stranger)
    })
}

fn wrong_tokens(patched: &Patched, stranger: &Host) -> Result<()> {
    let (good, fingerprint) = token(&patched.controller, "managed", "test", &["--ttl", "1h", "--uses", "1"])?;

    let (expired, _) = token(&patched.controller, "managed", "test", &["--ttl", "1s", "--uses", "5"])?;
    wait_for("the token to expire", REPORT, || {
        let listed = patched.controller.json(&["token", "list"])?;
        Ok(listed.as_array().is_some_and(|tokens| tokens.iter().any(|token| token["state"] == "expired")).then_some(()))
    })?;
    refused("an expired token", &enroll(&patched.controller, stranger, &expired, &fingerprint)?, &["expired", "token create"]);

    let mut forged = good.clone();
    let last = forged.pop().context("an empty secret")?;
    forged.push(if last == 'a' { 'b' } else { 'a' });
    refused("a forged token", &enroll(&patched.controller, stranger, &forged, &fingerprint)?, &["token"]);
    refused("no token at all", &enroll(&patched.controller, stranger, "let me in", &fingerprint)?, &["token"]);

    let turned: String = fingerprint.chars().map(|each| if each == '0' { '1' } else { '0' }).collect();
    refused("a wrong fingerprint", &enroll(&patched.controller, stranger, &good, &turned)?, &["fingerprint"]);
    assert!(!stranger.exists("/var/lib/patchwave-agent/identity.toml")?, "nothing of a refused enrolment stays");

    // None of it used up the good one.
    enroll(&patched.controller, stranger, &good, &fingerprint)?.into_stdout("the good token")?;
    let twice = enroll(&patched.controller, stranger, &good, &fingerprint)?;
    refused("enrolling twice", &twice, &["enrolled"]);
    stranger.run("rm", &["-r", "/var/lib/patchwave-agent"])?;
    refused("a used-up token", &enroll(&patched.controller, stranger, &good, &fingerprint)?, &["used", "token create"]);
    let hosts = patched.controller.json(&["host", "list"])?;
    assert_eq!(hosts.as_array().map(Vec::len), Some(3), "the two, and the one that enrolled once: {hosts:#}");
    Ok(())
}

fn wrong_configuration(patched: &Patched, stranger: &Host) -> Result<()> {
    stranger.write("/etc/patchwave/agent.toml", "[patching]\nautomatic = true\n", "0644")?;
    for verb in ["run", "status", "doctor"] {
        let finished = stranger.agent(&[verb])?;
        // A doctor's findings are its data, so they are on standard output.
        let said = format!("{}{}", finished.stdout, finished.stderr);
        eprintln!("{verb}: {}", said.trim());
        assert_ne!(finished.code(), 0, "{verb}: {finished:?}");
        for word in ["/etc/patchwave/agent.toml", "patching"] {
            assert!(said.contains(word), "{verb}: {word} is not in {said}");
        }
    }
    stranger.run("rm", &["/etc/patchwave/agent.toml"])?;

    let policy = patched.controller.directory().join("unknown-key.toml");
    std::fs::write(&policy, "name = \"x\"\nautomatic_rolback = true\n[[wave]]\nname = \"one\"\n")?;
    let applied = patched.controller.try_run(&["policy", "apply", "-f", &policy.display().to_string()])?;
    eprintln!("policy: {}", applied.stderr.trim());
    assert_ne!(applied.code(), 0);
    for word in ["automatic_rolback", "automatic_rollback"] {
        assert!(applied.stderr.contains(word), "the key and those that exist are named: {}", applied.stderr);
    }
    assert_eq!(patched.controller.json(&["policy", "list"])?.as_array().map(Vec::len), Some(0));

    let absent = patched.controller.try_run(&["rollout", "plan", "--policy", "absent"])?;
    eprintln!("absent policy: {}", absent.stderr.trim());
    assert_eq!(absent.code(), 1);
    assert!(absent.stderr.contains("absent") && absent.stderr.contains("policy list"), "{}", absent.stderr);
    Ok(())
}

fn a_retired_host_is_turned_away(patched: &Patched, host: &Host) -> Result<()> {
    patched.controller.run(&["host", "retire", host.name(), "--reason", "the lease of the machine ended"])?;
    // The open stream ends within five seconds, and its certificate opens no other one.
    let shown = wait_for("the retired host to be told", Duration::from_secs(15), || {
        let status = agent_status(host)?;
        Ok((status["agent"]["session"]["link"]["state"] == "stopped").then_some(status))
    })?;
    eprintln!("retired: {}", host.agent(&["status"])?.stdout);
    let why = shown["agent"]["session"]["link"]["why"].as_str().context("no reason")?;
    assert!(why.contains("retired"), "{why}");
    host.run("systemctl", &["restart", "patchwave-agent"])?;
    let again = wait_for("the retired host to be refused again", REPORT, || {
        let status = agent_status(host)?;
        let link = &status["agent"]["session"]["link"];
        Ok(link["why"].as_str().map(str::to_owned))
    })?;
    assert!(again.contains("retired"), "{again}");
    let show = patched.controller.json(&["host", "show", host.name()])?;
    assert_eq!(show["host"]["state"], "retired");
    assert_ne!(show["host"]["presence"], "online", "{show:#}");
    Ok(())
}

fn a_cloned_host_is_stopped(patched: &Patched, original: &Host, copy: &Host) -> Result<()> {
    original.copy_to(copy, &["/var/lib/patchwave-agent"])?;
    copy.start_agent()?;
    for host in [original, copy] {
        let why = wait_for(&format!("{} to be stopped", host.name()), REPORT, || {
            let link = agent_status(host)?["agent"]["session"]["link"].clone();
            Ok((link["state"] == "stopped").then(|| link["why"].as_str().unwrap_or_default().to_owned()))
        })?;
        eprintln!("{}: {why}", host.name());
        assert!(why.contains("clone") || why.contains("same key"), "{why}");
    }
    let show = patched.controller.json(&["host", "show", original.name()])?;
    assert!(show["host"]["alarms"].as_array().is_some_and(|alarms| alarms.contains(&"cloned".into())), "{show:#}");
    let events = patched.controller.run(&["events"])?;
    assert!(events.contains("clone"), "the operator is told: {events}");
    Ok(())
}

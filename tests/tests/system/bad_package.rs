//! Scenario 2: an update that breaks its service on some production hosts but not in the test ring. The canaries end exactly as they
//! were, no other host is ordered to apply, the version is quarantined, and the report says why.

use anyhow::{Context as _, Result};
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{Fleet, Host, wait_for};
use serde_json::Value;

use super::support::{Patched, REPORT, THREE_WAVES, is_updated, policy};

const HOSTS: [(&str, &str); 5] =
    [("test-1", "test"), ("early-1", "early"), ("early-2", "early"), ("broad-1", "broad"), ("broad-2", "broad")];

const MORE: &str = "\n[[health.check]]\nname = \"shop-answers\"\nkind = \"unit\"\nunit = \"shop.service\"\n\
    \n[limits]\nfailures = 2\nmax_unavailable = \"100%\"\n";

/// What stands on a host whose shop the bad version breaks.
const LEGACY: &str = "/etc/shop-is-legacy";
const BAD: &str = "2.0-1";
const GOOD: &str = "1.0-1";

/// The shop: a service with two conffiles and a library that came as a dependency. The bad version brings another dependency, changes
/// both conffiles and adds a third.
fn shop(version: &str) -> [Package; 2] {
    let bad = version == BAD;
    let serve = if bad { "test ! -e /etc/shop-is-legacy || exit 1\n" } else { "" };
    let shop = Package::new("shop", version)
        .depends(&format!("shop-data (>= {version})"))
        .conffile("/etc/shop/shop.conf", 0o640, format!("# {version}\nport = 8080\n"))
        .conffile("/etc/shop/extra.conf", 0o644, format!("# {version}\nlevel = 1\n"))
        .file("/usr/lib/shop/serve", 0o755, format!("#!/bin/sh\n{serve}exec sleep infinity\n"))
        .service("shop.service", "[Service]\nExecStart=/usr/lib/shop/serve\n[Install]\nWantedBy=multi-user.target\n");
    let shop = if bad { shop.depends("shop-added").conffile("/etc/shop/new.conf", 0o644, "new = yes\n") } else { shop };
    let data = Package::new("shop-data", version).source("shop").file("/usr/share/shop/data", 0o644, format!("{version}\n"));
    [shop, data]
}

/// Everything about a host that a way back must bring back.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    packages: Vec<String>,
    automatic: Vec<String>,
    configuration: String,
    conffiles: String,
    damaged_files: String,
}

impl Condition {
    fn of(host: &Host) -> Result<Self> {
        let script = "cd /etc && find shop -printf '%p %m %u:%g %s\\n' | sort && find shop -type f -exec sha256sum {} + | sort";
        Ok(Self {
            packages: host.installed()?,
            automatic: host.automatic()?,
            configuration: host.run("sh", &["-c", script])?,
            conffiles: host.run("dpkg-query", &["--show", "--showformat=${Conffiles}\n", "shop"])?,
            damaged_files: host.try_run("dpkg", &["--verify", "shop", "shop-data"])?.stdout,
        })
    }
}

fn is_running(host: &Host) -> Result<bool> {
    Ok(host.try_run("systemctl", &["is-active", "shop.service"])?.stdout == "active\n")
}

/// The transactions of apt on a host that touched the bad version.
fn touched(host: &Host) -> Result<usize> {
    let history = host.apt_history()?;
    Ok(history.iter().filter(|one| one.actions.iter().any(|(_, packages)| packages.contains("shop") && packages.contains(BAD))).count())
}

#[test]
fn a_bad_package_is_taken_back_on_the_canaries_and_reaches_nobody_else() -> Result<()> {
    Fleet::test("bad package", |fleet| {
        let (mut repository, server) = fleet.repository("shop", ReleaseFields::named("shop"))?;
        for package in &shop(GOOD) {
            repository.add(package)?;
        }
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let patched = Patched::start(fleet, &HOSTS, |host| {
            host.add_source("shop", &source)?;
            host.apt_get(&["install", "shop"])?;
            if host.name() != "test-1" && host.name() != "broad-2" {
                host.write(LEGACY, "", "0644")?;
            }
            match host.name() {
                "early-1" => host.write("/etc/shop/shop.conf", "# ours\nport = 80\n", "0600"),
                "early-2" => host.run("rm", &["/etc/shop/extra.conf"]).and_then(|_| host.run("apt-mark", &["auto", "shop"])).map(|_| ()),
                _ => Ok(()),
            }
        })?;
        let before: Vec<Condition> = patched.hosts.iter().map(|host| Condition::of(host)).collect::<Result<_>>()?;
        assert!(before.iter().all(|condition| condition.automatic.contains(&"shop-data".to_owned())));

        for package in &shop(BAD) {
            repository.add(package)?;
        }
        repository.add(&Package::new("shop-added", "1.0-1").conffile("/etc/shop-added.conf", 0o644, "added\n"))?;
        repository.publish()?;
        patched.wait_until_offered("shop", BAD, 5)?;
        patched.apply_policy(&policy(MORE, &THREE_WAVES))?;
        let rollout = patched.start_rollout(&["src:shop"])?;
        let detail = patched.wait_for_state(&rollout, "stopped")?;

        assert_eq!(detail["rollout"]["changed"], 3, "{detail:#}");
        assert_eq!(detail["rollout"]["taken_back"], 2);
        assert_eq!(detail["rollout"]["untouched"], 2);
        assert_eq!(detail["rollout"]["needs_attention"], 0);
        for (host, before) in patched.hosts.iter().zip(&before) {
            let name = host.name();
            if name == "test-1" {
                assert_eq!(host.installed_version("shop")?.as_deref(), Some(BAD));
                assert!(is_updated(&detail, name)?, "{detail:#}");
            } else {
                assert_eq!(&Condition::of(host)?, before, "{name}");
                assert!(!host.exists("/etc/shop-added.conf")?, "{name}: the new dependency is purged");
            }
            assert!(is_running(host)?, "{name}: the shop runs");
            assert_eq!(host.failed_units()?, Vec::<String>::new(), "{name}");
            let ordered = !name.starts_with("broad");
            assert_eq!(touched(host)? > 0, ordered, "{name}: {:#?}", host.apt_history()?);
            patched.agrees_with_dpkg(host)?;
        }
        the_report_says_why(&patched, &rollout, &detail)?;
        the_version_is_quarantined(&patched, &rollout)
    })
}

fn the_report_says_why(patched: &Patched, rollout: &str, detail: &Value) -> Result<()> {
    let reason = detail["rollout"]["reason"].as_str().unwrap_or_default();
    for word in ["canaries", "2 hosts", "early-1", "early-2", "newly failed: shop.service"] {
        assert!(reason.contains(word), "{word} is not in: {reason}");
    }
    let shown = patched.controller.run(&["rollout", "show", rollout])?;
    eprintln!("{shown}");
    assert!(shown.contains("shop"), "{shown}");
    let canary = patched.controller.json(&["rollout", "explain", rollout, "early-1"])?;
    eprintln!("{canary:#}");
    assert!(canary["text"].as_str().is_some_and(|text| text.contains("shop")), "{canary:#}");
    let spared = patched.controller.json(&["rollout", "explain", rollout, "broad-1"])?;
    eprintln!("{spared:#}");
    assert!(spared["text"].as_str().is_some_and(|text| !text.is_empty()), "{spared:#}");
    Ok(())
}

fn the_version_is_quarantined(patched: &Patched, rollout: &str) -> Result<()> {
    let listed = patched.controller.json(&["quarantine", "list"])?;
    let entries = listed.as_array().context("no list")?;
    let entry = entries.iter().find(|entry| entry["source"] == "shop" && entry["version"] == BAD);
    let entry = entry.with_context(|| format!("shop {BAD} is not in {listed:#}"))?;
    assert_eq!(entry["rollout"], rollout);
    // Nobody can roll it out again, and the hosts' own apt does not take it either.
    let again = patched.controller.try_run(&["rollout", "plan", "--policy", "test", "--update", "src:shop"])?;
    eprintln!("a second plan: {again:?}");
    assert!(format!("{}{}", again.stdout, again.stderr).contains("quarantine"), "{again:?}");
    let spared = patched.host("broad-1")?;
    wait_for("the pin on broad-1", REPORT, || {
        let shown = spared.run("apt-cache", &["policy", "shop"])?;
        Ok(shown.contains(&format!("Candidate: {GOOD}")).then_some(()))
    })?;
    // An operator lifts it with a reason, and then it may be tried again.
    let id = entry["id"].as_str().context("no id")?;
    let refused = patched.controller.try_run(&["quarantine", "lift", id])?;
    assert_eq!(refused.code(), 2, "a reason is asked for: {refused:?}");
    patched.controller.run(&["quarantine", "lift", id, "--reason", "the shop's makers proved us wrong"])?;
    wait_for("the pin to go from broad-1", REPORT, || {
        let shown = spared.run("apt-cache", &["policy", "shop"])?;
        Ok(shown.contains(&format!("Candidate: {BAD}")).then_some(()))
    })
}

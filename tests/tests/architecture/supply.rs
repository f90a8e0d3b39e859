//! Where dependencies come from and under which licences, by `deny.toml`.
//!
//! The file has cargo-deny's format, so that who has the tool can use it. The check here is our own because building
//! cargo-deny takes longer than all of our tests, and needs only what `cargo metadata` says.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::assert_none;
use crate::licence::accept;
use crate::scan::root;

/// The parts of `deny.toml` that are checked here.
#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// What `cargo metadata` says, for this machine's platform only (other platforms' crates are never built nor fetched).
pub fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).unwrap();
    let platform = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host");
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--locked", "--filter-platform", platform]).current_dir(root());
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is really built, for shipping, for building and for tests. The metadata alone also names crates that only an optional
/// feature of a dependency would bring.
fn used_packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--workspace", "--locked", "--prefix=none", "--edges=normal,build,dev", "--format={p}"]).current_dir(root());
    let tree = tree.output().expect("cargo runs");
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let mut used = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            used.insert((name, version.trim_start_matches('v')));
        }
    }
    let mut packages = metadata()["packages"].as_array().unwrap().clone();
    packages.retain(|package| used.contains(&(package["name"].as_str().unwrap(), package["version"].as_str().unwrap())));
    packages
}

fn violations(packages: &[Value], policy: &Policy) -> Vec<String> {
    let accepted: Vec<&str> = policy.licenses.allow.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for package in packages {
        let name = format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        let licence = package["license"].as_str().ok_or_else(|| "no licence is named".to_owned());
        if let Err(why) = licence.and_then(|licence| accept(licence, &accepted)) {
            found.push(format!("{name}: {why}"));
        }
        // Our own crates have no source.
        if let Some(source) = package["source"].as_str() {
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            if !policy.sources.allow_registry.iter().any(|allowed| allowed == registry) {
                found.push(format!("{name}: comes from {source}"));
            }
        }
        if let Some(banned) = policy.bans.deny.iter().find(|banned| package["name"] == *banned.name) {
            found.push(format!("{name}: {}", banned.reason));
        }
    }
    found
}

fn policy() -> Policy {
    toml::from_str(&fs::read_to_string(root().join("deny.toml")).unwrap()).unwrap()
}

#[test]
fn dependencies_have_accepted_licences_and_come_from_the_registry() {
    let packages = used_packages();
    assert!(packages.len() > 100, "only {} packages: is the list complete?", packages.len());
    assert_none(&violations(&packages, &policy()));
}

#[test]
fn every_accepted_licence_is_needed_by_some_dependency() {
    let packages = used_packages();
    for licence in policy().licenses.allow {
        let mut without = policy();
        without.licenses.allow.retain(|each| *each != licence);
        assert!(!violations(&packages, &without).is_empty(), "no dependency needs {licence}: take it out of deny.toml");
    }
}

#[test]
fn the_rule_notices_a_licence_a_source_and_a_banned_crate() {
    let policy = policy();
    let package = |name: &str, licence: Value, source: &str| serde_json::json!({"name": name, "version": "1.0.0", "license": licence, "source": source});
    let registry = format!("registry+{}", policy.sources.allow_registry[0]);
    let fine = package("a", "MIT OR GPL-3.0-only".into(), &registry);
    assert_none(&violations(&[fine], &policy));
    for bad in [
        package("a", "GPL-3.0-only".into(), &registry),
        package("a", Value::Null, &registry),
        package("a", "MIT".into(), "git+https://example.org/a"),
        package(&policy.bans.deny[0].name, "MIT".into(), &registry),
    ] {
        assert_eq!(violations(std::slice::from_ref(&bad), &policy).len(), 1, "{bad}");
    }
}

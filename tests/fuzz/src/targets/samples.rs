//! Values from which seeds are made.

use patchwave_common::domain::policy::{Policy, parse_policy};
use patchwave_common::domain::*;

/// A policy with something in every section.
pub const POLICY: &str = r#"
name = "web"
description = "front ends"
hosts = "role=web,site!=ams"
approvals = 1
automatic_rollback = true

[patches]
kinds = ["security", "hotfix"]
origins = ["Debian*/*"]
include = ["src:openssl", "nginx*"]
exclude = ["linux-*"]

[transaction]
allow_removals = false
lock_wait = "10m"
time_limit = "1h30m"

[health]
patience = "5m"
interval = "10s"
settle = "30s"
silence = "10m"

[[health.check]]
name = "web"
kind = "http"
url = "http://127.0.0.1:80/health"
status = 204

[[health.check]]
name = "port"
kind = "tcp"
address = "[::1]:443"

[[health.check]]
name = "unit"
kind = "unit"
unit = "nginx.service"
timeout = "5s"

[[health.check]]
name = "own.sh"
kind = "executable"

[limits]
failures = 2
max_unavailable = "25%"
site_label = "site"
not_staged = 3
keep_originals = "14d"

[offline]
budget = "all"
deadline = "2w"

[[wave]]
name = "test"
kind = "test"
hosts = "ring=test"
soak = "30m"

[[wave]]
name = "canary"
kind = "canary"
size = 2
minimum = 1

[[wave]]
name = "rest"
size = "50%"
failure_limit = 3
max_in_flight = 50
time_limit = "1d"
"#;

pub fn policy() -> Policy {
    parse_policy(POLICY).unwrap()
}

pub fn package_id(name: &str) -> PackageId {
    PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse("amd64").unwrap() }
}

pub fn version(text: &str) -> PackageVersion {
    PackageVersion::parse(text).unwrap()
}

pub fn installed(name: &str, text: &str) -> InstalledPackage {
    InstalledPackage {
        id: package_id(name),
        version: version(text),
        source: PackageName::parse("openssl").unwrap(),
        source_version: version("3.0.15-1~deb12u1"),
        state: InstallState::Installed,
        mark: Mark::Auto,
        held: name == "held",
    }
}

pub fn inventory() -> Inventory {
    Inventory::new(
        Manager::Dpkg,
        [installed("openssl", "3.0.15-1~deb12u1"), installed("libssl3", "3.0.15-1~deb12u1"), installed("held", "1:2")],
    )
}

pub fn origin() -> Origin {
    Origin {
        origin: "Debian".into(),
        label: "Debian-Security".into(),
        suite: "stable-security".into(),
        codename: "bookworm-security".into(),
        component: "main".into(),
        site: "deb.debian.org".into(),
    }
}

pub fn candidates() -> CandidateSet {
    let candidate = |name: &str, blocked| Candidate {
        id: package_id(name),
        from: version("3.0.15-1~deb12u1"),
        to: version("3.0.17-1~deb12u2"),
        source: PackageName::parse("openssl").unwrap(),
        source_version: version("3.0.17-1~deb12u2"),
        origin: origin(),
        sha256: Some(Digest::of(name.as_bytes())),
        size_bytes: 1234,
        blocked,
    };
    CandidateSet::new(vec![candidate("openssl", None), candidate("libssl3", Some(Blocked::Pinned)), candidate("held", Some(Blocked::Held))])
}

pub fn targets() -> TargetSet {
    let target = |name: &str| PackageTarget {
        id: package_id(name),
        from: version("3.0.15-1~deb12u1"),
        to: version("3.0.17-1~deb12u2"),
        source: PackageName::parse("openssl").unwrap(),
        origin: "Debian-Security/stable-security".into(),
        sha256: Some(Digest::of(name.as_bytes())),
        size_bytes: 1234,
    };
    TargetSet::new(Manager::Dpkg, vec![target("openssl"), target("libssl3")]).unwrap()
}

pub fn facts() -> HostFacts {
    HostFacts {
        hostname: "web-1.example".into(),
        os: "debian".into(),
        release: "12".into(),
        codename: "bookworm".into(),
        kernel: "6.1.0-18-amd64".into(),
        architecture: "x86_64".into(),
        cpus: 2,
        memory_bytes: 1 << 33,
        addresses: vec!["192.0.2.7".into(), "2001:db8::7".into()],
        booted_at_secs: 1_700_000_000,
        boot_id: "0b1c".into(),
        agent_version: "0.1.0".into(),
        reboot: RebootRequired { required: true, packages: vec!["linux-image".into()] },
        other_hands: vec!["apt-daily-upgrade.timer".into()],
        hold: Some("quarter end".into()),
    }
}

pub fn generation(counter: u64) -> Generation {
    Generation { epoch: 1, counter }
}

pub fn rollout() -> RolloutId {
    RolloutId::parse("r-7k2m9qxa").unwrap()
}

pub fn quarantine_key() -> QuarantineKey {
    QuarantineKey {
        manager: Manager::Dpkg,
        origin: "Debian-Security/stable-security".into(),
        source: PackageName::parse("openssl").unwrap(),
        version: version("3.0.17-1~deb12u2"),
        architecture: Architecture::parse("amd64").unwrap(),
    }
}

pub fn apply(counter: u64) -> Directive {
    let policy = policy();
    Directive {
        generation: generation(counter),
        rollout: rollout(),
        requires: vec![Feature(Feature::APPLY_V1.into()), Feature(Feature::CHECKS_V1.into())],
        order: Order::Apply(ApplyOrder {
            targets: targets(),
            transaction: policy.transaction,
            health: policy.health,
            automatic_rollback: true,
        }),
    }
}

/// Every kind of news of a directive.
pub fn progress() -> Vec<DirectiveProgress> {
    let mut all = vec![
        DirectiveProgress::Accepted,
        DirectiveProgress::Ready,
        DirectiveProgress::Applying,
        DirectiveProgress::Verifying,
        DirectiveProgress::Healthy,
        DirectiveProgress::TakingBack,
        DirectiveProgress::TakenBack,
        DirectiveProgress::NeedsAttention { detail: "openssl is at 3.0.16".into() },
    ];
    all.extend(RefusalReason::ALL.iter().map(|&reason| DirectiveProgress::Refused { reason, detail: "why".into() }));
    all.extend(HarmReason::ALL.iter().map(|&reason| DirectiveProgress::Harmed { reason, detail: "what".into() }));
    all
}

/// Text that wants to steer what shows it.
pub const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\nforged line\r\t\0b\u{202e}gpj.exe\u{2066}\u{200f}\u{2028}|../../etc/passwd \u{9b}31m";

//! A fleet as a controller would show it.

use std::collections::BTreeMap;

mod holes;

use patchwave_proto::operator::v1::*;

pub use holes::{advisory_detail, feeds, finding_counts, finding_detail, findings};

fn text(value: &str) -> String {
    value.to_owned()
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| text(value)).collect()
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (text(key), text(value))).collect()
}

pub fn operators() -> OperatorList {
    let operator = |name: &str, role: &str, revoked| Operator {
        name: text(name),
        role: text(role),
        created_at: text("2026-11-20T08:00:00Z"),
        created_by: text("local"),
        revoked,
        certificate_expires_at: text("2027-11-20T08:00:00Z"),
    };
    OperatorList { operators: vec![operator("anna", "admin", false), operator("ben@example", "approver", true)] }
}

pub fn tokens() -> TokenList {
    let token = |id: &str, mode: &str, state: &str, left, uses, expires: &str| Token {
        id: text(id),
        mode: text(mode),
        labels: labels(&[("ring", "test"), ("site", "ams")]),
        uses_left: left,
        uses,
        expires_at: text(expires),
        created_by: text("anna"),
        state: text(state),
    };
    TokenList {
        tokens: vec![
            token("t9m2kqxa", "managed", "usable", 38, 50, "2026-11-23T11:15:30Z"),
            token("t1c4vbnr", "report-only", "expired", 1, 1, "2026-11-22T09:00:00Z"),
        ],
    }
}

pub fn token_created() -> TokenCreated {
    TokenCreated {
        token: Some(tokens().tokens.remove(0)),
        secret: text("pwj-t9m2kqxa-0123456789abcdefghijklmnop"),
        authority_fingerprint: text("3f8a6c0de1b24957a8c3d5e6f7081923a4b5c6d7e8f90a1b2c3d4e5f60718293"),
    }
}

pub fn hosts() -> Vec<Host> {
    let host = |name: &str, id: &str, ring: &str, site: &str| Host {
        id: text(id),
        name: text(name),
        state: text("active"),
        presence: text("online"),
        mode: text("managed"),
        ring: text(ring),
        labels: labels(&[("ring", ring), ("site", site)]),
        os: text("debian"),
        release: text("12"),
        kernel: text("6.1.0-28-amd64"),
        architecture: text("x86_64"),
        agent_version: text("0.1.0"),
        enrolled_at: text("2026-11-01T06:00:00Z"),
        last_seen_at: text("2026-11-23T10:15:18Z"),
        packages: 412,
        updates: 7,
        security_updates: 2,
        ..Host::default()
    };
    vec![
        Host { rollout: text("r-7k2m9qxa"), ..host("web-1.fleet.example", "h-2f6q8w1e", "test", "ams") },
        Host {
            reboot_required: true,
            alarms: texts(&["held", "other-hands"]),
            ..host("db-primary-with-a-long-name.fleet.example", "h-9z8y7x6w", "last", "fra")
        },
        Host {
            presence: text("offline"),
            last_seen_at: text("2026-11-20T10:15:30Z"),
            updates: 0,
            security_updates: 0,
            ..host("laptop-7", "h-5t4r3e2w", "broad", "")
        },
        Host { state: text("retired"), mode: text("report-only"), ..host("old\u{1b}[2Jbox", "h-1a2s3d4f", "broad", "ams") },
    ]
}

pub fn host_detail() -> HostDetail {
    HostDetail {
        host: Some(hosts().remove(1)),
        addresses: texts(&["192.0.2.11", "2001:db8::11"]),
        cpus: 8,
        memory_bytes: 16 << 30,
        booted_at: text("2026-10-01T04:00:00Z"),
        reboot_packages: texts(&["linux-image-6.1.0-29-amd64"]),
        other_hands: texts(&["apt-daily-upgrade.timer"]),
        hold: Some(text("month-end closing")),
        clock_offset_ms: -7_340_000,
        inventory_digest: text("9b1f"),
        packages: vec![
            InstalledPackage {
                name: text("openssl"),
                architecture: text("amd64"),
                version: text("3.0.15-1~deb12u1"),
                source: text("openssl"),
                state: text("installed"),
                mark: text("manual"),
                held: false,
            },
            InstalledPackage {
                name: text("libssl3"),
                architecture: text("amd64"),
                version: text("3.0.15-1~deb12u1"),
                source: text("openssl"),
                state: text("installed"),
                mark: text("auto"),
                held: true,
            },
        ],
        updates: updates(),
        replaced_by: String::new(),
        certificate_expires_at: text("2026-12-13T04:00:00Z"),
    }
}

pub fn packages() -> Vec<PackageRow> {
    let row = |name: &str, version: &str, source: &str, hosts| PackageRow {
        name: text(name),
        architecture: text("amd64"),
        version: text(version),
        source: text(source),
        hosts,
    };
    vec![
        row("libssl3", "3.0.15-1~deb12u1", "openssl", 10),
        row("libssl3", "3.0.17-1~deb12u2", "openssl", 2),
        row("openssl", "3.0.17-1~deb12u2", "openssl", 12),
    ]
}

pub fn package_hosts() -> Vec<PackageHost> {
    vec![PackageHost {
        host: text("h-2f6q8w1e"),
        name: text("web-1.fleet.example"),
        package: text("libssl3"),
        architecture: text("amd64"),
        version: text("3.0.15-1~deb12u1"),
    }]
}

pub fn updates() -> Vec<Update> {
    let update = |name: &str, source: &str, from: &str, to: &str, kind: &str, hosts, blocked| Update {
        name: text(name),
        architecture: text("amd64"),
        source: text(source),
        from_version: text(from),
        to_version: text(to),
        kind: text(kind),
        origin: text("Debian/bookworm-security"),
        hosts,
        blocked_hosts: blocked,
        quarantined: false,
    };
    vec![
        update("libssl3", "openssl", "3.0.15-1~deb12u1", "3.0.17-1~deb12u2", "security", 10, 1),
        update("tzdata", "tzdata", "2024a-0+deb12u1", "2025b-0+deb12u2", "update", 12, 0),
        Update { quarantined: true, ..update("webshop", "webshop", "1.4.0", "1.5.0", "update", 4, 0) },
    ]
}

pub fn policies() -> Vec<Policy> {
    vec![Policy {
        name: text("web"),
        revision: 3,
        description: text("Security and ordinary updates of the web tier, test ring first"),
        hosts: text("kind=web"),
        waves: 4,
        approvals: 1,
        applied_by: text("anna"),
        applied_at: text("2026-11-22T09:15:30Z"),
        toml: text("name = \"web\"\n\n[[wave]]\nname = \"test\"\nhosts = \"ring=test\"\n"),
    }]
}

pub fn lints() -> Vec<Lint> {
    vec![
        Lint {
            severity: text("error"),
            code: text("no-canary"),
            message: text("no wave is a canary: the first production hosts would be a quarter of the fleet at once"),
            hint: text("add a [[wave]] of kind \"canary\" after the test ring"),
        },
        Lint {
            severity: text("warning"),
            code: text("wave-over-budget"),
            message: text("wave quarter has 3 hosts, the budget allows 2"),
            hint: String::new(),
        },
    ]
}

pub fn running() -> Rollout {
    Rollout {
        id: text("r-7k2m9qxa"),
        policy: text("web"),
        kind: text("update"),
        state: text("running"),
        plan_root: text("77aa"),
        created_at: text("2026-11-23T10:00:00Z"),
        created_by: text("anna"),
        started_at: text("2026-11-23T10:05:00Z"),
        hosts: 12,
        updated: 2,
        untouched: 9,
        ..Rollout::default()
    }
}

pub fn stopped() -> Rollout {
    Rollout {
        id: text("r-4h6j8k0l"),
        state: text("stopped"),
        reason: text("the failure limit of wave canary was reached: 2 of 2"),
        ended_at: text("2026-11-23T10:12:00Z"),
        updated: 2,
        harmed: 2,
        taken_back: 2,
        untouched: 8,
        ..running()
    }
}

pub fn awaiting_approval() -> Rollout {
    Rollout { state: text("approved"), approvals_needed: 1, approved_by: texts(&["ben@example"]), started_at: String::new(), ..running() }
}

fn wave(name: &str, kind: &str, state: &str, hosts: u32) -> WaveProgress {
    WaveProgress { name: text(name), kind: text(kind), state: text(state), hosts, ..WaveProgress::default() }
}

pub fn running_detail() -> RolloutDetail {
    RolloutDetail {
        rollout: Some(running()),
        waves: vec![
            WaveProgress { healthy: 2, elapsed_ms: 62_000, ..wave("test", "test", "passed", 2) },
            WaveProgress {
                healthy: 1,
                verifying: 1,
                applying: 1,
                offline: 1,
                elapsed_ms: 45_000,
                waiting_for: text("2 hosts to prove healthy, then 10m of soaking"),
                ..wave("canary", "canary", "running", 4)
            },
            WaveProgress { staged: 3, staging: 1, pending: 2, ..wave("everybody else", "production", "waiting", 6) },
        ],
        failure_limit: 2,
        elapsed_ms: 132_000,
        waiting_for: text("2 hosts to prove healthy, then 10m of soaking"),
        ..RolloutDetail::default()
    }
}

pub fn stopped_detail() -> RolloutDetail {
    let host = |name: &str, id: &str, wave: &str, state: &str, reason: &str, detail: &str| RolloutHost {
        host: text(id),
        name: text(name),
        wave: text(wave),
        state: text(state),
        reason: text(reason),
        detail: text(detail),
        changed_at: text("2026-11-23T10:11:00Z"),
    };
    RolloutDetail {
        rollout: Some(stopped()),
        waves: vec![
            WaveProgress { healthy: 2, elapsed_ms: 62_000, ..wave("test", "test", "passed", 2) },
            WaveProgress { taken_back: 2, elapsed_ms: 245_000, ..wave("canary", "canary", "stopped", 2) },
            WaveProgress { staged: 7, not_staged: 1, ..wave("everybody else", "production", "stopped", 8) },
        ],
        hosts: vec![
            host("web-1", "h-1", "test", "healthy", "proved", "every check passes"),
            host("web-3", "h-3", "canary", "taken-back", "check-failed", "the check \"shop answers\" failed for 5m: connection refused"),
            host("web-4", "h-4", "canary", "taken-back", "unit-failed", "webshop.service failed after the change"),
            host("web-5", "h-5", "everybody else", "pending", "frozen", "the rollout was stopped before its wave"),
        ],
        excluded: excluded(),
        failures_charged: 2,
        failure_limit: 2,
        elapsed_ms: 420_000,
        waiting_for: String::new(),
        quarantined: quarantine().into_iter().take(1).collect(),
    }
}

fn excluded() -> Vec<ExcludedGroup> {
    vec![
        ExcludedGroup { reason: text("report-only"), detail: String::new(), hosts: 1, first_hosts: texts(&["laptop-7"]) },
        ExcludedGroup {
            reason: text("held"),
            detail: text("webshop is held by the host's administrator (apt-mark unhold webshop lets it go)"),
            hosts: 7,
            first_hosts: texts(&["db-1", "db-2", "db-3", "db-4", "db-5"]),
        },
    ]
}

pub fn plan() -> RolloutPlan {
    let planned = |name: &str, kind: &str, hosts, soak_ms, first: &[&str]| PlannedWave {
        name: text(name),
        kind: text(kind),
        hosts,
        soak_ms,
        minimum: 1,
        failure_limit: 1,
        max_in_flight: 20,
        first_hosts: texts(first),
    };
    RolloutPlan {
        rollout: Some(Rollout { state: text("planned"), started_at: String::new(), approvals_needed: 1, untouched: 12, ..running() }),
        waves: vec![
            planned("test", "test", 2, 600_000, &["web-1", "web-2"]),
            planned("canary", "canary", 2, 1_800_000, &["web-3", "web-4"]),
            planned("everybody else", "production", 8, 1_800_000, &["web-5", "web-6", "web-7", "web-8", "web-9"]),
        ],
        updates: vec![PlannedUpdate {
            name: text("webshop"),
            architecture: text("amd64"),
            from_version: text("1.4.0"),
            to_version: text("1.5.0"),
            origin: text("example/stable"),
            hosts: 12,
        }],
        excluded: excluded(),
        lints: lints().into_iter().skip(1).collect(),
    }
}

pub fn reverse_plan() -> RolloutPlan {
    RolloutPlan {
        rollout: Some(Rollout { kind: text("reverse"), approvals_needed: 0, ..running() }),
        excluded: Vec::new(),
        lints: lints(),
        ..plan()
    }
}

pub fn empty_plan() -> RolloutPlan {
    RolloutPlan { rollout: Some(Rollout { hosts: 0, ..running() }), excluded: excluded(), ..RolloutPlan::default() }
}

pub fn explanation() -> Explanation {
    Explanation {
        rollout: text("r-7k2m9qxa"),
        host: text("h-5"),
        name: text("web-5"),
        state: text("pending"),
        code: text("wave-waits"),
        text: text("Its wave \"everybody else\" begins when the canaries have soaked for 10m.\nIt has downloaded everything."),
        wave: text("everybody else"),
        earliest_start_at: text("2026-11-23T10:25:30Z"),
        updates: plan().updates,
        history: texts(&["10:05:01 asked to stage", "10:05:09 staged, with a certain way back"]),
    }
}

pub fn quarantine() -> Vec<QuarantineEntry> {
    let entry = QuarantineEntry {
        id: text("q-3f9a"),
        manager: text("dpkg"),
        origin: text("example/stable"),
        source: text("webshop"),
        version: text("1.5.0"),
        architecture: text("amd64"),
        reason: text("harmed 2 of 2 canaries"),
        rollout: text("r-4h6j8k0l"),
        since: text("2026-11-23T10:11:30Z"),
        ..QuarantineEntry::default()
    };
    let lifted = QuarantineEntry {
        id: text("q-0b1c"),
        version: text("1.3.9"),
        lifted_at: text("2026-11-21T10:15:30Z"),
        lifted_by: text("anna"),
        lifted_reason: text("the check was wrong"),
        ..entry.clone()
    };
    vec![entry, lifted]
}

pub fn halt() -> Halt {
    Halt { halted: true, by: text("anna"), at: text("2026-11-23T10:10:30Z"), reason: text("fire drill"), revision: 4 }
}

pub fn events() -> Vec<FleetEvent> {
    let event = |number, kind: &str, host: &str, rollout: &str, said: &str| FleetEvent {
        number,
        at: text("2026-11-23T10:11:30Z"),
        kind: text(kind),
        host: text(host),
        rollout: text(rollout),
        text: text(said),
    };
    vec![
        event(41, "host-enrolled", "h-2f6q8w1e", "", "web-1.fleet.example enrolled as managed with token t9m2kqxa"),
        event(
            42,
            "rollout-stopped",
            "",
            "r-4h6j8k0l",
            "the failure limit of wave canary was reached: 2 of 2; webshop 1.5.0 is quarantined",
        ),
    ]
}

pub fn audit() -> Vec<AuditEntry> {
    let entry = |number, method: &str, about: &str, outcome: &str| AuditEntry {
        number,
        at: text("2026-11-23T10:00:00Z"),
        who: text("anna"),
        method: text(method),
        about: text(about),
        outcome: text(outcome),
        hash: text("c0ffee"),
    };
    vec![entry(7, "rollout.plan", "web", "done"), entry(8, "operator.create", "ben@example", "refused")]
}

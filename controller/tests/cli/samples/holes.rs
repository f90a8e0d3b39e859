//! Feeds, findings and advisories.

use patchwave_proto::operator::v1::*;

pub fn feeds() -> Vec<Feed> {
    let debian = Feed {
        name: "debian".into(),
        kind: "osv".into(),
        source: "/srv/feeds/debian/all.zip".into(),
        every_ms: 3_600_000,
        max_age_ms: 172_800_000,
        added_by: "anna".into(),
        added_at: "2026-11-01T09:00:00Z".into(),
        dated: "2026-11-23T06:10:00Z".into(),
        refreshed_at: "2026-11-23T10:02:10Z".into(),
        records: 45_211,
        added: 12,
        changed: 31,
        removed: 0,
        bad: 1,
        bad_records: vec![BadRecord { name: "CVE-2026-9.json".into(), reason: "affected[0].ranges[0]: no version".into() }],
        tried_at: "2026-11-23T10:02:10Z".into(),
        ..Feed::default()
    };
    let epss = Feed {
        name: "epss".into(),
        kind: "epss".into(),
        source: "/srv/epss.csv.gz".into(),
        every_ms: 21_600_000,
        max_age_ms: 259_200_000,
        error: "cannot read /srv/epss.csv.gz: No such file or directory (hint: check the path and who may read it)".into(),
        tried_at: "2026-11-23T10:00:00Z".into(),
        stale: true,
        ..Feed::default()
    };
    vec![debian, epss]
}

pub fn findings() -> Vec<Finding> {
    let fixable = Finding {
        host: "h-1".into(),
        host_name: "web-1".into(),
        advisory: "CVE-2026-1001".into(),
        aliases: vec!["DSA-6001-1".into()],
        package: "openssl".into(),
        installed: "3.0.15-1~deb12u1".into(),
        fixed: "3.0.17-1~deb12u3".into(),
        state: "fix-available".into(),
        severity: "high".into(),
        known_exploited: true,
        epss: "12.500".into(),
        within_secs: Some(86_400),
        due: "2026-11-22T10:00:00Z".into(),
        overdue: true,
        due_soon: true,
        evidence: "3.0.15-1~deb12u1 is installed; the host can get 3.0.17-1~deb12u3".into(),
        ..Finding::default()
    };
    let pending = Finding {
        host: "h-2".into(),
        host_name: "db".into(),
        state: "restart-pending".into(),
        evidence: "3.0.17-1~deb12u3 is installed; 3.0.15-1~deb12u1 is still used by postgres (process 812, postgresql.service)".into(),
        due: "2026-11-24T10:00:00Z".into(),
        overdue: false,
        ..fixable.clone()
    };
    let open = Finding {
        advisory: "CVE-2026-2002".into(),
        aliases: vec![],
        package: "expat".into(),
        installed: "2.5.0-1+deb12u2".into(),
        fixed: String::new(),
        state: "open".into(),
        severity: "medium".into(),
        known_exploited: false,
        epss: String::new(),
        within_secs: None,
        due: String::new(),
        overdue: false,
        due_soon: false,
        evidence: "2.5.0-1+deb12u2 is installed, and there is no fix yet".into(),
        ..fixable.clone()
    };
    vec![fixable, pending, open]
}

pub fn finding_counts() -> FindingCounts {
    let first = FindingCount {
        key: "CVE-2026-1001".into(),
        name: "DSA-6001-1".into(),
        severity: "high".into(),
        known_exploited: true,
        hosts: 1_204,
        findings: 1_204,
        fix_available: 900,
        scheduled: 204,
        restart_pending: 99,
        excepted: 1,
        overdue: 12,
        due: "2026-11-22T10:00:00Z".into(),
        ..FindingCount::default()
    };
    let second =
        FindingCount { key: "CVE-2026-2002".into(), severity: "medium".into(), hosts: 7, findings: 7, open: 7, ..FindingCount::default() };
    let unknown = UnknownHosts { reason: "no feed speaks of Debian:11".into(), hosts: 3, examples: vec!["old-1".into(), "old-2".into()] };
    FindingCounts { counts: vec![first, second], unknown: vec![unknown], stale_feeds: vec!["epss".into()] }
}

pub fn finding_detail() -> FindingDetail {
    let change = |at: &str, from: &str, to: &str, evidence: &str| FindingChange {
        at: at.into(),
        from: from.into(),
        to: to.into(),
        evidence: evidence.into(),
    };
    FindingDetail {
        finding: findings().into_iter().next(),
        summary: "openssl: a crafted certificate overwrites memory".into(),
        vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H".into(),
        score: "8.1".into(),
        published: "2026-11-20T08:00:00Z".into(),
        modified: "2026-11-21T08:00:00Z".into(),
        feeds: vec!["debian".into()],
        matched: "openssl 3.0.15-1~deb12u1 of Debian:12: range 1 of its package 1".into(),
        why: "within 1d (row 1: severity is high; known-exploited is yes)".into(),
        deadline_basis: "counted from 1d after the fix was first seen: by then a test should have ended".into(),
        fix_seen: "2026-11-20T10:00:00Z".into(),
        closes: "a rollout that brings 3.0.17-1~deb12u3 or newer".into(),
        history: vec![
            change("2026-11-20T09:00:00Z", "", "open", "3.0.15-1~deb12u1 is installed; no host can get 3.0.17-1~deb12u3 yet"),
            change("2026-11-20T10:00:00Z", "open", "fix-available", "3.0.15-1~deb12u1 is installed; the host can get 3.0.17-1~deb12u3"),
        ],
    }
}

pub fn advisory_detail() -> AdvisoryDetail {
    let record = AdvisoryRecord {
        id: "CVE-2026-1001".into(),
        aliases: vec!["DSA-6001-1".into()],
        summary: "openssl: a crafted certificate overwrites memory".into(),
        severity: "high".into(),
        vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H".into(),
        score: "8.1".into(),
        published: "2026-11-20T08:00:00Z".into(),
        modified: "2026-11-21T08:00:00Z".into(),
        withdrawn: String::new(),
        feeds: vec!["debian".into()],
    };
    AdvisoryDetail {
        records: vec![record],
        known_exploited_since: "2026-11-21T00:00:00Z".into(),
        ransomware: true,
        required_action: "Apply updates per vendor instructions.".into(),
        epss: "12.500".into(),
        counts: finding_counts().counts.into_iter().next(),
        affected: vec![PackageVersions {
            package: "openssl".into(),
            version: "3.0.15-1~deb12u1".into(),
            fixed: "3.0.17-1~deb12u3".into(),
            hosts: 1_203,
        }],
    }
}

//! One advisory in the OSV schema.
//!
//! Holds: what is told of it (its line, its flaws, why it is refused) is clean and bounded; reading it twice gives the same; a version that
//! has the hole is closed only by a later one, which has not that hole.

use std::cmp::Ordering;

use patchwave::advisory::osv;
use patchwave_common::domain::{steers_output, version};

/// Longest text that is told.
const TOLD_MAX_BYTES: usize = 2_000;

/// See the module.
pub fn run(data: &[u8]) {
    let parsed = osv::parse(data);
    assert_eq!(parsed, osv::parse(data));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(refused) => return fit(&refused.reason),
    };
    fit(&parsed.advisory.summary);
    parsed.flaws.iter().for_each(|flaw| fit(flaw));
    for affected in &parsed.advisory.affected {
        fit(&affected.package);
        let ecosystem = affected.space.ecosystem();
        for installed in ["0", "1.0", "1.2.3", "2:1.0-1"] {
            let Ok(Some(hit)) = affected.hit(installed) else { continue };
            if let Some(fixed) = hit.fixed {
                assert_eq!(version::compare(ecosystem, &fixed, installed), Ok(Ordering::Greater), "{affected:?}");
            }
        }
    }
}

fn fit(text: &str) {
    assert!(text.len() <= TOLD_MAX_BYTES && !text.chars().any(steers_output), "{text:?}");
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let debian = r#"{"id":"DEBIAN-CVE-2026-1","modified":"2026-01-02T03:04:05Z","upstream":["CVE-2026-1"],"severity":[{"type":"CVSS_V3",
        "score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"Debian:12","name":"a"},"ranges":[
        {"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.0-2"}]}],"versions":["1.0-1"],"ecosystem_specific":{"urgency":"high"}}]}"#;
    let python = r#"{"id":"PYSEC-1","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"A_b"},"ranges":[
        {"type":"ECOSYSTEM","events":[{"introduced":"1"},{"last_affected":"2rc1"},{"limit":"*"}]}],"versions":["0.1.dev1"]}]}"#;
    let npm = r#"{"id":"GHSA-1","database_specific":{"severity":"MODERATE"},"affected":[{"package":{"ecosystem":"npm","name":"@a/b"},"ranges":[
        {"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3-rc.1"},{"introduced":"1.5.0"},{"limit":"2.0.0"}]}]}]}"#;
    [debian, python, npm].map(|seed| seed.as_bytes().to_vec()).to_vec()
}

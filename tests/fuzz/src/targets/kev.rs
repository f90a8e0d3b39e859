//! CISA's catalogue, whole.
//!
//! Holds: every id is that of a CVE; what is told of bad entries is clean, bounded, and never more than there are; reading it twice gives the
//! same.

use patchwave::advisory::knowledge::parse_kev;

use super::feeds;

/// See the module.
pub fn run(data: &[u8]) {
    feeds::check(data, parse_kev);
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"dateReleased":"2026-08-21T17:46:43Z","vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-08-20","dueDate":"2026-09-01","vulnerabilityName":"A hole","knownRansomwareCampaignUse":"Known"},{"cveID":"x"}]}"#,
        r#"{"vulnerabilities":[{"cveID":"cve-1","dateAdded":"9999-12-31"},7]}"#,
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

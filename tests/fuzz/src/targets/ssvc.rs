//! SSVC decision points as a table.
//!
//! Holds: every id is that of a CVE; what is told of bad entries is clean, bounded, and never more than there are; reading it twice gives the
//! same.

use patchwave::advisory::knowledge::parse_ssvc;

use super::feeds;

/// See the module.
pub fn run(data: &[u8]) {
    feeds::check(data, parse_ssvc);
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "cve\texploitation\tautomatable\ttechnical_impact\nCVE-2026-1\tPoC\tyes\tTotal\nCVE-2\tnone\n",
        "automatable,cve\nno,CVE-1\nmaybe,CVE-2\n",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

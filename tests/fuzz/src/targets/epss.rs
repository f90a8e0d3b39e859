//! EPSS scores as CSV.
//!
//! Holds: every id is that of a CVE; what is told of bad entries is clean, bounded, and never more than there are; reading it twice gives the
//! same.

use patchwave::advisory::knowledge::parse_epss;

use super::feeds;

/// See the module.
pub fn run(data: &[u8]) {
    feeds::check(data, parse_epss);
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "#model_version:v1,score_date:2024-10-25T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1,0.91963,0.99030\nCVE-2,1e-05,1\n",
        "cve,epss,percentile\nCVE-1,.5,2\nx,0,0,0\n",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

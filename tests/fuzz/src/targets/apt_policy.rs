//! What `apt-cache policy` and `apt-cache show` say.
//!
//! Holds: no more tables, rows, indexes and records than lines; an origin is clean and bounded, and its site is a bare host name: no path, no
//! credentials.

use patchwave_agent::fuzzing::apt;

use crate::clean::{assert_clean, assert_fit};
use crate::pieces;

/// Bound on one field of an origin.
const FIELD_MAX_CHARS: usize = 128;

/// See the module.
pub fn run(data: &[u8]) {
    let text = pieces::text(data);
    let lines = text.lines().count();
    let tables = apt::version_tables(&text);
    assert!(tables.len() + tables.iter().flat_map(|(_, rows)| rows).map(|(_, _, indexes)| 1 + indexes).sum::<usize>() <= lines);
    for origin in apt::origins(&text) {
        for field in [&origin.origin, &origin.label, &origin.suite, &origin.codename, &origin.component, &origin.site] {
            assert_fit(field, FIELD_MAX_CHARS);
        }
        assert!(!origin.site.contains(['/', '@']), "{:?}", origin.site);
    }
    let records = apt::records(&text);
    assert!(records.len() <= lines);
    assert_clean(&records);
}

/// Outputs of the real tool, and odd lines.
pub fn seeds() -> Vec<Vec<u8>> {
    let show = "Package: openssl\nSource: openssl (3.0.15-1)\nVersion: 3.0.15-1~deb12u1\nArchitecture: amd64\nSize: 1430412\nSHA256: \
        2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n\nPackage: a\nVersion: 1\nArchitecture: all\n";
    let odd = " 500 http://m x/main amd64 Packages\n     release v=1,o=A, B and C,a=x=y,n=,l=L,c=main,b=amd64\n     origin u:p@m/path\n";
    let phased =
        "a:\n  Installed: (none)\n  Candidate: 2\n  Version table:\n *** 2 500 (phased 10%)\n        500 http://m x Packages\n     1 -1\n";
    let mut seeds = vec![show.into(), odd.into(), phased.into()];
    seeds.push(include_bytes!("../../../../agent/tests/packages_fixtures/apt-cache-policy-names.txt").to_vec());
    seeds.push(include_bytes!("../../../../agent/tests/packages_fixtures/apt-cache-policy.txt").to_vec());
    seeds
}

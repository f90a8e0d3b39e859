//! Order of npm's and crates.io's versions: Semantic Versioning 2.0.0, build metadata left out of the order as both registries leave it.
//!
//! Read strictly, but for what npm cleans away in front: `v` and `=`. By the crate `semver` 1, cargo's own, which agrees with all known
//! comparisons. Its numbers have 64 bits, more than either registry takes (npm has 53), and pre-release numbers have any length.
//! `nodejs-semver` 7 refuses numbers of 900,719,925,474,100 and more, where npm takes ten times as much; `node-semver` 2 is its older form.

use ::semver::Version;

/// Reads `[v=]major.minor.patch[-pre.release][+build]`.
pub(super) fn parse(text: &str) -> Result<Version, &'static str> {
    Version::parse(text.trim_start_matches(['v', '=']))
        .map_err(|_| "it has not the form major.minor.patch[-pre.release][+build], without zeros in front and below 2^64")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pre_releases_come_first_and_build_metadata_does_not_count() {
        let ascending =
            ["1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0-A", "1.0.0-a", "1.0.0-a.1", "1.0.0-rc", "1.0.0", "1.0.1-0", "1.0.9007199254740991"];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(parse(left).unwrap().cmp_precedence(&parse(right).unwrap()), index.cmp(&other), "{left} against {right}");
            }
        }
        assert!(parse("=v1.0.0+a").unwrap().cmp_precedence(&parse("1.0.0+b").unwrap()).is_eq());
    }

    #[test]
    fn what_npm_refuses_is_refused() {
        for refused in ["1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-01", "1.0.0-", "1.0.0+", "1.0.0-a..b", "V1.0.0", "1.x.0", "1.0.0-ä", "*"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}

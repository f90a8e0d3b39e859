//! Order of package versions, each ecosystem by its own rules. Pure.
//!
//! Texts come from feeds and from hosts, so nothing is believed: a text is bounded and checked before it is compared, numbers of any
//! length compare by their digits, and each comparison is linear in the length of its texts. The orders are total except one: pacman takes
//! a version without a release as equal to it with any release, and so do we (see [`Ecosystem::Alpm`]).
//!
//! Which crates were tried stands in the head of each ecosystem's file. A crate is taken where it agrees with every known comparison of the
//! tool that the ecosystem uses (`vectors.rs`) and is kept up.

mod alpm;
mod apk;
mod debian;
mod number;
mod pep440;
#[cfg(test)]
mod properties;
mod rpm;
mod semver;
#[cfg(test)]
mod vectors;

use std::cmp::Ordering;
use std::fmt;

use super::{ParseError, clean_text};

pub use debian::compare_debian;

/// Longest version that is compared. A version on a host has at most as many bytes ([`super::PackageVersion`]) and node-semver has the same
/// limit; the longest in Debian's and PyPI's indexes is a third of it. So a feed that writes more writes no version.
pub const MAX_VERSION_BYTES: usize = 256;

/// How much of a refused text an error repeats, in characters.
const SHOWN_CHARS: usize = 80;

/// Whose rules order a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Debian and its descendants, as `dpkg --compare-versions` orders: `[epoch:]upstream[-revision]`.
    Deb,
    /// RPM: `[epoch:]version[-release]`, or with the package's name before it as `rpm -q` prints it.
    Rpm,
    /// Alpine's apk-tools: `1.2.3a_rc1~c0ffee-r0`.
    Apk,
    /// Arch's pacman: `[epoch:]version[-release]`. Without a release it equals every release of that version, so equality is not transitive.
    Alpm,
    /// Python packages: PEP 440.
    Pep440,
    /// npm and crates.io: Semantic Versioning 2.0.0, build metadata left out of the order.
    Semver,
}

impl Ecosystem {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] = [Self::Deb, Self::Rpm, Self::Apk, Self::Alpm, Self::Pep440, Self::Semver];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Alpm => "alpm",
            Self::Pep440 => "pep440",
            Self::Semver => "semver",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|ecosystem| ecosystem.as_str() == text)
            .ok_or_else(|| ParseError::new("version ecosystem", text, "deb, rpm, apk, alpm, pep440 or semver"))
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl std::str::FromStr for Ecosystem {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// A text that is no version in its ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a version in the ecosystem {ecosystem}: {reason}")]
pub struct InvalidVersion {
    /// Whose rules it breaks.
    pub ecosystem: Ecosystem,
    /// The text, fit for a log line and shortened.
    pub text: String,
    /// What is wrong, and what would be right.
    pub reason: &'static str,
}

/// Orders two versions by the ecosystem's rules; white space around them does not count. The error names the text that is no version.
pub fn compare(ecosystem: Ecosystem, left: &str, right: &str) -> Result<Ordering, InvalidVersion> {
    let invalid = |text: &str, reason| InvalidVersion { ecosystem, text: clean_text(text, SHOWN_CHARS), reason };
    Ok(match ecosystem {
        Ecosystem::Deb => ordered(left, right, debian::parse, invalid)?,
        Ecosystem::Rpm => ordered(left, right, rpm::parse, invalid)?,
        Ecosystem::Apk => ordered(left, right, apk::parse, invalid)?,
        Ecosystem::Alpm => {
            let (left, right) = both(left, right, alpm::parse, invalid)?;
            left.compare(right)
        }
        Ecosystem::Pep440 => ordered(left, right, pep440::parse, invalid)?,
        Ecosystem::Semver => {
            let (left, right) = both(left, right, semver::parse, invalid)?;
            left.cmp_precedence(&right)
        }
    })
}

/// Whether the text is a version in the ecosystem, so that a record can be refused before anything is matched against it.
pub fn check(ecosystem: Ecosystem, text: &str) -> Result<(), InvalidVersion> {
    let checked = plain(text).and_then(|text| match ecosystem {
        Ecosystem::Deb => debian::parse(text).map(drop),
        Ecosystem::Rpm => rpm::parse(text).map(drop),
        Ecosystem::Apk => apk::parse(text).map(drop),
        Ecosystem::Alpm => alpm::parse(text).map(drop),
        Ecosystem::Pep440 => pep440::parse(text).map(drop),
        Ecosystem::Semver => semver::parse(text).map(drop),
    });
    checked.map_err(|reason| InvalidVersion { ecosystem, text: clean_text(text, SHOWN_CHARS), reason })
}

fn ordered<'a, V: Ord>(
    left: &'a str,
    right: &'a str,
    parse: impl Fn(&'a str) -> Result<V, &'static str>,
    invalid: impl Fn(&str, &'static str) -> InvalidVersion,
) -> Result<Ordering, InvalidVersion> {
    both(left, right, parse, invalid).map(|(left, right)| left.cmp(&right))
}

fn both<'a, V>(
    left: &'a str,
    right: &'a str,
    parse: impl Fn(&'a str) -> Result<V, &'static str>,
    invalid: impl Fn(&str, &'static str) -> InvalidVersion,
) -> Result<(V, V), InvalidVersion> {
    let read = |text: &'a str| plain(text).and_then(&parse).map_err(|reason| invalid(text, reason));
    Ok((read(left)?, read(right)?))
}

/// What every ecosystem asks of a version: some visible ASCII, and not too much of it.
fn plain(text: &str) -> Result<&str, &'static str> {
    // The length first, of the whole text: trimming a megabyte of white space is work as well.
    if text.len() > MAX_VERSION_BYTES {
        return Err("it is longer than 256 bytes");
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err("it is empty");
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it has characters other than visible ASCII");
    }
    Ok(trimmed)
}

/// Splits an epoch (`digits:`) off; without one it is 0, which no digits stand for as well.
fn split_epoch(text: &str) -> Result<(number::Number<'_>, &str), &'static str> {
    match text.split_once(':') {
        None => Ok((number::Number::ZERO, text)),
        Some((epoch, rest)) => {
            number::Number::parse(epoch).map(|epoch| (epoch, rest)).ok_or("what stands before the first ':' is no number")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ecosystems_are_read_by_the_names_that_they_show() {
        for ecosystem in Ecosystem::ALL {
            assert_eq!(Ecosystem::parse(ecosystem.as_str()), Ok(ecosystem));
            assert_eq!(serde_json::to_string(&ecosystem).unwrap(), format!("\"{ecosystem}\""));
        }
        assert!(Ecosystem::parse("Deb").unwrap_err().to_string().contains("deb, rpm, apk, alpm, pep440 or semver"));
    }

    #[test]
    fn a_refusal_names_the_ecosystem_the_cleaned_text_and_what_is_wrong() {
        let error = compare(Ecosystem::Semver, "1.2.3", "1.2\u{1b}[2J").unwrap_err();
        assert_eq!(error.to_string(), "\"1.2 [2J\" is not a version in the ecosystem semver: it has characters other than visible ASCII");
        let error = compare(Ecosystem::Deb, "x:1", "1").unwrap_err();
        assert_eq!((error.text.as_str(), error.reason), ("x:1", "what stands before the first ':' is no number"));
    }

    #[test]
    fn what_is_empty_or_long_or_not_plain_is_refused_everywhere() {
        let long = "1".repeat(MAX_VERSION_BYTES + 1);
        for ecosystem in Ecosystem::ALL {
            for refused in ["", " ", "1 0", "1.0\n2", "1.0\0", "١.٢.٣", "1.0é", long.as_str(), &" ".repeat(1 << 20)] {
                assert!(check(ecosystem, refused).is_err(), "{ecosystem}: {refused:?}");
                let error = compare(ecosystem, refused, "1.0.0").unwrap_err();
                assert_eq!(compare(ecosystem, "1.0.0", refused).unwrap_err(), error, "{ecosystem}");
                assert!(error.text.chars().count() <= SHOWN_CHARS + 1);
            }
            assert_eq!(compare(ecosystem, " 1.0.0\n", "1.0.0"), Ok(Ordering::Equal), "{ecosystem}");
        }
    }

    #[test]
    fn numbers_of_any_length_compare_by_their_value() {
        let (small, large) = ("9".repeat(60), format!("1{}", "0".repeat(60)));
        for ecosystem in Ecosystem::ALL {
            // npm and crates.io take no larger number than 64 bits outside of pre-releases, so there are none to compare.
            let version = |number: &str| if ecosystem == Ecosystem::Semver { format!("1.0.0-{number}") } else { format!("1.{number}") };
            assert_eq!(compare(ecosystem, &version(&small), &version(&large)), Ok(Ordering::Less), "{ecosystem}");
        }
    }
}

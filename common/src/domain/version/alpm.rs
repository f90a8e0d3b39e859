//! Order of Arch packages' versions as pacman's vercmp(8) has it: `[epoch:]version[-release]`, a missing epoch is 0.
//!
//! Two properties of pacman's are kept since hosts act on them: a release counts only where both have one, so `1.5` equals `1.5-1` and
//! `1.5-2`, which differ (packages on a host always have one, and so have Arch's advisories); and separators at the end or twice in a row,
//! which no Arch package has, can order in a circle (`1.5` < `1..a` < `1.` < `1.5`).
//!
//! Own code. `alpm-types` 0.13 would bring over a hundred crates with it, translations among them; `versions` 8 disagrees with known
//! comparisons, and rpm's order (crate `rpm-version`) is another one: it knows `~` and `^`, and letters come before nothing here.

use std::cmp::Ordering;

use super::number::{Number, leading};

/// A version taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alpm<'a> {
    epoch: Number<'a>,
    version: &'a str,
    release: Option<&'a str>,
}

impl Alpm<'_> {
    /// The order; no `Ord`, since equality is not transitive.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let release = || match (self.release, other.release) {
            (Some(left), Some(right)) => compare_segments(left, right),
            _ => Ordering::Equal,
        };
        self.epoch.cmp(&other.epoch).then_with(|| compare_segments(self.version, other.version)).then_with(release)
    }
}

/// Takes `[epoch:]version[-release]` apart.
pub(super) fn parse(text: &str) -> Result<Alpm<'_>, &'static str> {
    let (epoch, rest) = super::split_epoch(text)?;
    let (version, release) = rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
    if version.is_empty() {
        return Err("nothing stands where the version should");
    }
    if release.is_some_and(str::is_empty) {
        return Err("nothing stands after the last '-'");
    }
    Ok(Alpm { epoch, version, release })
}

/// Segment by segment: runs of digits by value, runs of letters by their bytes, digits after letters; of two equal ones the longer comes
/// later, unless letters follow in it.
fn compare_segments(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() && !right.is_empty() {
        let (left_separators, left_rest) = leading(left, |byte| !byte.is_ascii_alphanumeric());
        let (right_separators, right_rest) = leading(right, |byte| !byte.is_ascii_alphanumeric());
        (left, right) = (left_rest, right_rest);
        if left.is_empty() || right.is_empty() {
            break;
        }
        if left_separators.len() != right_separators.len() {
            return left_separators.len().cmp(&right_separators.len());
        }
        let is_digit = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        let order = match (is_digit(left), is_digit(right)) {
            (true, true) => {
                let (left_number, right_number);
                (left_number, left) = Number::take(left);
                (right_number, right) = Number::take(right);
                left_number.cmp(&right_number)
            }
            (false, false) => {
                let (left_letters, right_letters);
                (left_letters, left) = leading(left, |byte| byte.is_ascii_alphabetic());
                (right_letters, right) = leading(right, |byte| byte.is_ascii_alphabetic());
                left_letters.cmp(right_letters)
            }
            (left, right) => left.cmp(&right),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    let is_letter = |text: &str| text.starts_with(|first: char| first.is_ascii_alphabetic());
    match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) if is_letter(right) => Ordering::Greater,
        (true, false) => Ordering::Less,
        _ if is_letter(left) => Ordering::Less,
        _ => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_order_as_vercmp_says() {
        let ascending = ["1.0a", "1.0b", "1.0rc1", "1.0-1", "1.0-2", "1.0-10", "1.0.a", "1.0.1", "1.1", "1.10", "1:0.1"];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(parse(left).unwrap().compare(parse(right).unwrap()), index.cmp(&other), "{left} against {right}");
            }
        }
    }

    #[test]
    fn a_release_counts_only_where_both_have_one() {
        let compare = |left, right| parse(left).unwrap().compare(parse(right).unwrap());
        assert_eq!(compare("1.5", "1.5-1"), Ordering::Equal);
        assert_eq!(compare("1.5-2", "1.5"), Ordering::Equal);
        assert_eq!(compare("1.5-2", "0:1.5-1"), Ordering::Greater);
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for refused in ["-1", "1-", "1:", "1:-1", "x:1", ":1"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}

//! Order of Debian package versions (deb-version(7)): `[epoch:]upstream[-revision]`, `~` before everything, letters before other characters.
//!
//! Own code. `debversion` 0.5 refuses two known comparisons that dpkg makes and brings chrono, a regex engine and big integers;
//! `deb-version` 0.1 agrees with all, but rests since 2020.

use std::cmp::Ordering;

use super::number::Number;

/// A version taken apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Debian<'a> {
    epoch: Number<'a>,
    upstream: &'a str,
    revision: &'a str,
}

impl Ord for Debian<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream, other.upstream))
            .then_with(|| compare_part(self.revision, other.revision))
    }
}

impl PartialOrd for Debian<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By order, not by text: `1.0` is `0:1.0-0`.
impl PartialEq for Debian<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Debian<'_> {}

/// Compares two Debian versions as `dpkg --compare-versions` does. Total over all strings; nothing is rejected here.
#[must_use]
pub fn compare_debian(left: &str, right: &str) -> Ordering {
    split(left).cmp(&split(right))
}

fn split(version: &str) -> Debian<'_> {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (Number::take(epoch).0, rest),
        _ => (Number::ZERO, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    Debian { epoch, upstream, revision }
}

/// Takes a version apart and refuses what dpkg refuses to install, but for a letter at the start and for `_`, which it only warns of.
pub(super) fn parse(text: &str) -> Result<Debian<'_>, &'static str> {
    super::split_epoch(text)?;
    let version = split(text);
    if version.upstream.is_empty() {
        return Err("nothing stands where the upstream version should");
    }
    if text.ends_with('-') {
        return Err("nothing stands after the last '-'");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:_".contains(&byte)) {
        return Err("it has characters other than letters, digits, '.', '+', '-', '~', ':' and '_'");
    }
    Ok(version)
}

/// Weight of a byte in a non-digit run; the end of the string (and the start of a digit run) weighs 0, `~` less.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    let digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    while !left.is_empty() || !right.is_empty() {
        while (!left.is_empty() && !digit(left)) || (!right.is_empty() && !digit(right)) {
            let order = weight(left.first().copied()).cmp(&weight(right.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (left_number, right_number);
        (left_number, left) = Number::take_bytes(left);
        (right_number, right) = Number::take_bytes(right);
        let order = left_number.cmp(&right_number);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_deb_version_says() {
        let ascending = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0",
            "1.0-0a",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0a",
            "1.0+x",
            "1.2",
            "1.10",
            "1:0.1",
            "10:0",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare_debian(left, right), index.cmp(&other), "{left} against {right}");
            }
        }
        assert_eq!(compare_debian("1.0", "0:1.0-0"), Ordering::Equal);
        assert_eq!(compare_debian("1.0001", "1.1"), Ordering::Equal);
    }

    #[test]
    fn what_dpkg_refuses_is_refused() {
        for refused in ["a:1", ":1", "1:", "1:-1", "-1", "1.0-", "1.0/2", "1.0^1"] {
            assert!(parse(refused).is_err(), "{refused}");
        }
        for accepted in ["1", "0:0-0-0", "9:1.18.36:5.4-20", "III-alpha9.8", "1.0-1_Debian"] {
            assert!(parse(accepted).is_ok(), "{accepted}");
        }
    }
}

//! Order of Alpine packages' versions as apk-tools 3 has it: numbers with dots between them, a letter, suffixes (`_alpha` to `_rc` before
//! the version itself, `_cvs` to `_p` after it), a commit (`~` and lower-case hexadecimal digits) and a revision (`-r0`).
//!
//! apk-tools orders texts that it would not validate too, by what can be read of them up to the first wrong character; so does this, as
//! long as they begin with a number. It looks at one part after the other, so nothing is kept.
//!
//! Own code. `apk-version` 0.1 is a binding to C; `versions` 8 disagrees with known comparisons and knows no suffix.

use std::cmp::Ordering;

use super::number::{Number, leading};

/// A version whose first part is a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apk<'a>(&'a str);

impl Ord for Apk<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (Parts::of(self.0), Parts::of(other.0));
        loop {
            let (left, right) = (left.advance(), right.advance());
            let order = left.rank().cmp(&right.rank()).then_with(|| left.compare(right));
            if order != Ordering::Equal || matches!(left, Part::End | Part::Invalid) {
                return order;
            }
        }
    }
}

impl PartialOrd for Apk<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By order, not by text: `1.0-r01` is `1.0-r1`.
impl PartialEq for Apk<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Apk<'_> {}

/// Takes what begins with a number.
pub(super) fn parse(text: &str) -> Result<Apk<'_>, &'static str> {
    if text.starts_with(|first: char| first.is_ascii_digit()) { Ok(Apk(text)) } else { Err("it does not begin with a number") }
}

/// Suffixes in their order; those before [`FIRST_LATER_SUFFIX`] mark what comes before the version itself.
const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"];
const FIRST_LATER_SUFFIX: usize = 4;

/// One part of a version.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    /// The number at the start.
    First(Number<'a>),
    /// A number after a dot, as written.
    Following(&'a str),
    Letter(u8),
    /// Index in [`SUFFIXES`].
    Suffix(usize),
    SuffixNumber(Number<'a>),
    Commit(&'a str),
    Revision(Number<'a>),
    End,
    /// Here begins what cannot be read.
    Invalid,
}

impl Part<'_> {
    /// Which part comes first where two versions differ in the kind of their next part: `1` before `1-r0`, after `1_rc`.
    fn rank(self) -> u8 {
        match self {
            Self::Suffix(suffix) if suffix < FIRST_LATER_SUFFIX => 0,
            Self::Invalid => 1,
            Self::End => 2,
            Self::Revision(_) => 3,
            Self::Commit(_) => 4,
            Self::SuffixNumber(_) => 5,
            Self::Suffix(_) => 6,
            Self::Letter(_) => 7,
            Self::Following(_) => 8,
            Self::First(_) => 9,
        }
    }

    /// Order of two parts of one rank.
    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::First(left), Self::First(right))
            | (Self::SuffixNumber(left), Self::SuffixNumber(right))
            | (Self::Revision(left), Self::Revision(right)) => left.cmp(&right),
            // With a zero in front of either they compare as fractions would: 1.05 before 1.1.
            (Self::Following(left), Self::Following(right)) if left.starts_with('0') || right.starts_with('0') => left.cmp(right),
            (Self::Following(left), Self::Following(right)) => Number::parse(left).cmp(&Number::parse(right)),
            (Self::Commit(left), Self::Commit(right)) => left.cmp(right),
            (Self::Letter(left), Self::Letter(right)) => left.cmp(&right),
            (Self::Suffix(left), Self::Suffix(right)) => left.cmp(&right),
            _ => Ordering::Equal,
        }
    }
}

/// Reads a version part by part; a part may only follow what the order of parts allows.
struct Parts<'a> {
    rest: &'a str,
    last: Option<Part<'a>>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text, last: None }
    }

    fn advance(&mut self) -> Part<'a> {
        let (part, rest) = self.read().unwrap_or((Part::Invalid, ""));
        self.rest = rest;
        self.last = Some(part);
        part
    }

    fn read(&self) -> Option<(Part<'a>, &'a str)> {
        let digits = |text: &'a str| {
            let (digits, rest) = leading(text, |byte| byte.is_ascii_digit());
            (!digits.is_empty()).then_some((digits, rest))
        };
        let number = |text: &'a str| digits(text).map(|_| Number::take(text));
        let Some(last) = self.last else {
            return number(self.rest).map(|(number, rest)| (Part::First(number), rest));
        };
        let Some(&first) = self.rest.as_bytes().first() else {
            return Some((Part::End, ""));
        };
        let after_number = matches!(last, Part::First(_) | Part::Following(_));
        let after_commit = matches!(last, Part::Commit(_));
        let after_revision = matches!(last, Part::Revision(_));
        let rest = self.rest.get(1..)?;
        match first {
            b'.' if after_number => digits(rest).map(|(digits, rest)| (Part::Following(digits), rest)),
            b'a'..=b'z' if after_number => Some((Part::Letter(first), rest)),
            b'0'..=b'9' if matches!(last, Part::Suffix(_)) => number(self.rest).map(|(number, rest)| (Part::SuffixNumber(number), rest)),
            b'_' if !after_commit && !after_revision => {
                let (word, rest) = leading(rest, |byte| byte.is_ascii_lowercase());
                SUFFIXES.iter().position(|suffix| *suffix == word).map(|suffix| (Part::Suffix(suffix), rest))
            }
            b'~' if !after_commit && !after_revision => {
                let (commit, rest) = leading(rest, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                (!commit.is_empty()).then_some((Part::Commit(commit), rest))
            }
            b'-' if !after_revision => number(rest.strip_prefix('r')?).map(|(number, rest)| (Part::Revision(number), rest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_order_as_apk_has_them() {
        let ascending = [
            "1_alpha", "1_alpha1", "1_beta", "1_pre", "1_rc", "1_rc2", "1", "1-r1", "1-r10", "1~c0ffee", "1_cvs", "1_svn", "1_git",
            "1_git20", "1_hg", "1_p", "1a", "1b", "1.0", "1.01", "1.05", "1.1", "1.5", "1.10", "2",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(parse(left).unwrap().cmp(&parse(right).unwrap()), index.cmp(&other), "{left} against {right}");
            }
        }
        assert!(parse("01-r01").unwrap() == parse("1-r1").unwrap());
    }

    #[test]
    fn what_cannot_be_read_ends_the_comparison() {
        assert!(parse("1.0_foo").unwrap() == parse("1.0_bar").unwrap());
        assert!(parse("1.0-r1-r2").unwrap() < parse("1.0-r1").unwrap());
        assert!(parse("1..0").unwrap() < parse("1").unwrap());
        assert!(parse("v1").is_err());
    }
}

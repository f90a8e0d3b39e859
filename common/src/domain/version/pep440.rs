//! Order of Python packages' versions (PEP 440): `[epoch!]release[pre][post][dev][+local]`, in every spelling that the specification
//! normalises (`1.0-RC.1` is `1.0rc1`, `1.0-1` is `1.0.post1`).
//!
//! Own code. `pep440_rs` 0.7 agrees with all known comparisons, but holds numbers in 64 bits: it refuses larger ones, which PyPI takes, and
//! takes larger ones in a local version for words, so that `1.0+99999999999999999999` comes before `1.0+5`. It rests since
//! March 2025; what it was goes on inside of uv.

use std::cmp::Ordering;

use super::number::{Number, leading};

/// Which release a version leads up to, or is. The order of the variants is the order of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase<'a> {
    /// A development release of the final release: before its pre-releases.
    Development,
    PreRelease(Stage, Number<'a>),
    /// The release itself or a post-release of it.
    Final,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha,
    Beta,
    Candidate,
}

/// A version taken apart. The order of the fields is that of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pep440<'a> {
    epoch: Number<'a>,
    release: Release<'a>,
    phase: Phase<'a>,
    post: Option<Number<'a>>,
    development: Development<'a>,
    local: Option<Local<'a>>,
}

/// A development release comes before what it develops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Development<'a> {
    Numbered(Number<'a>),
    Not,
}

/// Numbers with dots between them, without zeros at the end.
#[derive(Debug, Clone, Copy)]
struct Release<'a>(&'a str);

impl<'a> Release<'a> {
    fn numbers(self) -> impl Iterator<Item = Number<'a>> {
        self.0.split('.').map(|digits| Number::take(digits).0)
    }
}

impl Ord for Release<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(other.numbers())
    }
}

/// Parts with `.`, `-` or `_` between them: words in any case, before numbers.
#[derive(Debug, Clone, Copy)]
struct Local<'a>(&'a str);

impl Ord for Local<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (self.0.split(SEPARATORS), other.0.split(SEPARATORS));
        loop {
            let order = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                (Some(left), Some(right)) => match (Number::parse(left), Number::parse(right)) {
                    (None, None) => {
                        left.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(right.bytes().map(|byte| byte.to_ascii_lowercase()))
                    }
                    (left, right) => left.cmp(&right),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

/// Equality and partial order of what has an order by value and not by text.
macro_rules! by_order {
    ($($name:ident),*) => {
        $(impl PartialOrd for $name<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl PartialEq for $name<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }
        impl Eq for $name<'_> {})*
    };
}
by_order!(Release, Local);

const SEPARATORS: [char; 3] = ['.', '-', '_'];

/// Spellings of the pre-releases, longer ones before those that they begin with.
const PRE_RELEASES: [(&str, Stage); 8] = [
    ("alpha", Stage::Alpha),
    ("a", Stage::Alpha),
    ("beta", Stage::Beta),
    ("b", Stage::Beta),
    ("preview", Stage::Candidate),
    ("pre", Stage::Candidate),
    ("rc", Stage::Candidate),
    ("c", Stage::Candidate),
];

/// Takes a version apart.
pub(super) fn parse(text: &str) -> Result<Pep440<'_>, &'static str> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (epoch, rest) = match text.split_once('!') {
        None => (Number::ZERO, text),
        Some((epoch, rest)) => (Number::parse(epoch).ok_or("what stands before the '!' is no number")?, rest),
    };
    let (release, rest) = take_release(rest).ok_or("it does not begin with a number")?;
    let (phase, rest) = take_pre_release(rest);
    let (post, rest) = take_post_release(rest);
    let (development, rest) =
        take_word(rest, "dev").map_or((Development::Not, rest), |(number, rest)| (Development::Numbered(number), rest));
    let local = match rest.strip_prefix('+') {
        None if rest.is_empty() => None,
        None => return Err("it goes on where it should end: it has not the form [epoch!]release[pre][post][dev][+local]"),
        Some(local) if local.split(SEPARATORS).all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())) => {
            Some(Local(local))
        }
        Some(_) => return Err("what stands after the '+' has other parts than letters and digits"),
    };
    let phase = match (phase, post, development) {
        (Some(phase), _, _) => phase,
        (None, None, Development::Numbered(_)) => Phase::Development,
        _ => Phase::Final,
    };
    Ok(Pep440 { epoch, release, phase, post, development, local })
}

/// Digits with single dots between them at the start of the text. Zeros at its end mean nothing and are left out.
fn take_release(text: &str) -> Option<(Release<'_>, &str)> {
    let mut end = leading(text, |byte| byte.is_ascii_digit()).0.len();
    if end == 0 {
        return None;
    }
    while let Some(rest) = text.get(end..).and_then(|rest| rest.strip_prefix('.')) {
        let digits = leading(rest, |byte| byte.is_ascii_digit()).0.len();
        if digits == 0 {
            break;
        }
        end += 1 + digits;
    }
    let (release, rest) = text.split_at(end);
    let mut significant = release;
    while let Some((before, last)) = significant.rsplit_once('.') {
        if Number::take(last).0 != Number::ZERO {
            break;
        }
        significant = before;
    }
    Some((Release(significant), rest))
}

fn take_pre_release(text: &str) -> (Option<Phase<'_>>, &str) {
    for (word, stage) in PRE_RELEASES {
        if let Some((number, rest)) = take_word(text, word) {
            return (Some(Phase::PreRelease(stage, number)), rest);
        }
    }
    (None, text)
}

/// `-N`, or `post`, `rev` or `r` with what may stand around them.
fn take_post_release(text: &str) -> (Option<Number<'_>>, &str) {
    if let Some(rest) = text.strip_prefix('-').filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit())) {
        let (number, rest) = Number::take(rest);
        return (Some(number), rest);
    }
    for word in ["post", "rev", "r"] {
        if let Some((number, rest)) = take_word(text, word) {
            return (Some(number), rest);
        }
    }
    (None, text)
}

/// A word in any case with its number (none is 0); a separator may stand before the word and before the number.
fn take_word<'a>(text: &'a str, word: &str) -> Option<(Number<'a>, &'a str)> {
    let text = text.strip_prefix(SEPARATORS).unwrap_or(text);
    let (start, rest) = text.split_at_checked(word.len())?;
    if !start.eq_ignore_ascii_case(word) {
        return None;
    }
    Some(Number::take(rest.strip_prefix(SEPARATORS).unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_order_as_the_specification_says() {
        let ascending = [
            "1.dev0",
            "1a0.dev1",
            "1a",
            "1a1",
            "1a1.post0.dev1",
            "1a1.post",
            "1b0",
            "1rc0",
            "1",
            "1+abc",
            "1+abc.1",
            "1+5",
            "1+10",
            "1.post0.dev1",
            "1.post0",
            "1.post1",
            "1.0.1.dev2",
            "1.1",
            "1.10",
            "1!0.1",
        ];
        for (index, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(parse(left).unwrap().cmp(&parse(right).unwrap()), index.cmp(&other), "{left} against {right}");
            }
        }
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        let groups: [&[&str]; 7] = [
            &["1", "v1.0.0", "0!01"],
            &["1a1", "1.0-ALPHA.1", "1_a_01"],
            &["1rc0", "1c", "1.pre", "1-preview-0", "1.rc."],
            &["1.post3", "1-3", "1.0r3", "1_REV-3"],
            &["1.post0", "1-0", "1.post", "1post-"],
            &["1.dev0", "1dev", "1-DEV_0"],
            &["1+ubuntu.1", "1+Ubuntu-01", "1+UBUNTU_1"],
        ];
        for group in groups {
            for pair in group.windows(2) {
                assert_eq!(parse(pair[0]).unwrap(), parse(pair[1]).unwrap(), "{pair:?}");
            }
        }
    }

    #[test]
    fn what_the_specification_does_not_know_is_refused() {
        for refused in
            ["a1", "1.", "1..0", "1.0x", "1!", "!1", "a!1", "1!2!3", "1+", "1+a..b", "1+é", "1a1a1", "1.dev1.post1", "1.0-", "vv1", "1--1"]
        {
            assert!(parse(refused).is_err(), "{refused}");
        }
    }
}

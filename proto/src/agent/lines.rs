//! Lists of packages as text: what a compressed inventory has inside. Between the fields of protobuf stand lengths, of which zlib makes
//! little: 720 real packages take 10.7 KB so, as lines 7.9.
//!
//! A line is `NAME TAB VERSION TAB ARCHITECTURE TAB SOURCE TAB SOURCE_VERSION TAB STATE [a] [h] LF`, with the state's number, `a` for
//! automatic, `h` for held. Values are checked where messages are; here only the form.

use std::fmt::Write as _;

use patchwave_common::domain::MAX_PACKAGES;

use super::WireError;
use crate::fleet::v1 as wire;

/// The packages as lines; `None` if a value holds a character that parts fields, which no package manager's does.
pub(super) fn to_lines(packages: &[wire::Package]) -> Option<String> {
    let mut lines = String::with_capacity(packages.len() * 48);
    for package in packages {
        let fields = [&package.name, &package.version, &package.architecture, &package.source, &package.source_version];
        for field in fields {
            if field.contains(['\t', '\n']) {
                return None;
            }
            lines.push_str(field);
            lines.push('\t');
        }
        // Cannot fail: it writes into memory.
        let _written = write!(lines, "{}", package.state);
        lines.push_str(if package.automatic { "a" } else { "" });
        lines.push_str(if package.held { "h\n" } else { "\n" });
    }
    Some(lines)
}

/// The packages that lines stand for, no more than a host may have.
pub(super) fn from_lines(lines: &str) -> Result<Vec<wire::Package>, WireError> {
    let count = lines.bytes().filter(|byte| *byte == b'\n').count();
    if count > MAX_PACKAGES {
        return Err(WireError::TooMany { field: "changed packages", count, limit: MAX_PACKAGES });
    }
    lines.split_terminator('\n').map(|line| from_line(line).ok_or(WireError::Unknown("line of a package"))).collect()
}

fn from_line(line: &str) -> Option<wire::Package> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().map(str::to_owned);
    let (name, version, architecture, source, source_version) = (next()?, next()?, next()?, next()?, next()?);
    let marks = fields.next()?;
    let numbers = marks.trim_end_matches(['a', 'h']);
    let (state, rest) = (numbers.parse().ok()?, marks.get(numbers.len()..)?);
    let known = matches!(rest, "" | "a" | "h" | "ah") && fields.next().is_none();
    known.then_some(wire::Package {
        name,
        architecture,
        version,
        source,
        source_version,
        state,
        automatic: rest.starts_with('a'),
        held: rest.ends_with('h'),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

    fn any_package() -> impl Strategy<Value = wire::Package> {
        ("[a-z0-9+.-]{0,9}", "[ -~]{0,9}", "[a-z0-9]{0,6}", "\\PC{0,5}", "[0-9:~.]{0,5}", 0..5_i32, any::<bool>(), any::<bool>()).prop_map(
            |(name, version, architecture, source, source_version, state, automatic, held)| wire::Package {
                name,
                architecture,
                version,
                source,
                source_version,
                state,
                automatic,
                held,
            },
        )
    }

    proptest! {
        #[test]
        fn lines_are_read_as_they_were_written(packages in prop::collection::vec(any_package(), 0..5)) {
            let lines = to_lines(&packages).unwrap();
            prop_assert_eq!(from_lines(&lines).unwrap(), packages);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-h\t\n0-9]{0,60}") {
            let _whatever = from_lines(&text);
        }
    }

    #[test]
    fn what_would_part_a_field_is_not_made_lines_of() {
        for text in ["a\tb", "a\nb"] {
            assert_eq!(to_lines(&[wire::Package { version: text.into(), ..Default::default() }]), None);
        }
    }

    #[test]
    fn lines_of_another_form_and_too_many_lines_are_refused() {
        for line in
            ["a\t1\tamd64\t\t\n", "a\t1\tamd64\t\t\t1x\n", "a\t1\tamd64\t\t\t1ha\n", "a\t1\tamd64\t\t\t1\t\n", "\n", "a\t1\tamd64\t\t\t\n"]
        {
            assert!(from_lines(line).is_err(), "{line:?}");
        }
        let error = from_lines(&"\n".repeat(MAX_PACKAGES + 1)).expect_err("too many");
        assert!(matches!(error, WireError::TooMany { .. }), "{error}");
    }
}

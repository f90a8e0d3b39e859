//! The code's shape, kept by tests: what is pure stays pure, agent and controller stay apart, files and functions stay small,
//! wire types stay at the edge, dependencies come from where and under which licences `deny.toml` says.
//!
//! Every rule is a function from sources to violations, and a test beside it feeds it a violation: a rule that cannot fail is
//! none. Exceptions are in tables with their reasons, in the rule's file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod confined;
mod dependencies;
mod licence;
mod purity;
mod scan;
mod size;
mod supply;
mod words;

use scan::Source;

/// Fails with all violations at once, so that one run shows everything.
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// A source made up for a rule's self-check.
fn made_up(path: &str, text: &str) -> Source {
    Source::new(path, text)
}

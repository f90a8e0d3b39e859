//! Counts in sentences.

use std::fmt::Display;

/// `1 host`, `2 hosts`.
pub(in crate::rollout) fn hosts<N: Display + PartialEq + From<u8>>(count: N) -> String {
    if count == N::from(1) { "1 host".to_owned() } else { format!("{count} hosts") }
}

/// `1 host is`, `2 hosts are`.
pub(in crate::rollout) fn hosts_are<N: Display + PartialEq + From<u8>>(count: N) -> String {
    let verb = if count == N::from(1) { "is" } else { "are" };
    format!("{} {verb}", hosts(count))
}

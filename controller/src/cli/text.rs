//! Words and colours: what states look like, how instants and counts read.

use std::time::Duration;

use patchwave_common::domain::{Timestamp, clean_text, show_duration};

/// Bound on one cell: a reason is a sentence or two; more belongs into `-o json`.
const CELL_MAX_CHARS: usize = 2_000;

/// Whether colours show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// On a terminal.
    Yes,
    /// Everywhere else.
    No,
}

/// What a piece of text means, from which its colour follows. Never the only sign: the words say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// Worth a look.
    Warn,
    /// Harm or failure.
    Bad,
    /// Background.
    Dim,
    /// Headings and commands.
    Strong,
}

impl Tone {
    /// The attribute numbers of ECMA-48's SGR.
    fn codes(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Busy => Some("36"),
            Self::Warn => Some("33"),
            Self::Bad => Some("31"),
            Self::Dim => Some("2"),
            Self::Strong => Some("1"),
        }
    }

    /// The tone of a state's name, as the controller writes it (of hosts, rollouts, waves, tokens, lints).
    #[must_use]
    pub fn of_state(state: &str) -> Self {
        match state {
            "online" | "active" | "healthy" | "concluded" | "completed" | "passed" | "usable" | "done" | "approved" | "up-to-date" => {
                Self::Good
            }
            "running" | "catching-up" | "staging" | "released" | "accepted" | "applying" | "verifying" | "soaking" | "staged" => Self::Busy,
            "paused" | "halted" | "offline" | "unknown" | "warning" | "not-staged" | "refused" | "awaiting-approval" | "suspended"
            | "expired" | "used-up" | "held" => Self::Warn,
            "failed" | "harmed" | "taking-back" | "stopping" | "stopped" | "aborted" | "needs-attention" | "error" | "revoked"
            | "cloned" | "taken-back" => Self::Bad,
            "retired" | "replaced" | "pending" | "waiting" | "planned" | "note" | "excluded" => Self::Dim,
            _ => Self::Plain,
        }
    }
}

impl Paint {
    /// The text in the colour of its tone.
    #[must_use]
    pub fn apply(self, text: &str, tone: Tone) -> String {
        match (self, tone.codes()) {
            (Self::Yes, Some(codes)) => format!("\u{1b}[{codes}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// Text of others made fit for one line on a terminal.
#[must_use]
pub fn one_line(text: &str) -> String {
    clean_text(text.trim(), CELL_MAX_CHARS)
}

/// Text of others over several lines: line ends stay (and tabs become spaces), no other control character does.
#[must_use]
pub fn many_lines(text: &str) -> String {
    text.lines().map(|line| clean_text(line.trim_end(), CELL_MAX_CHARS)).collect::<Vec<_>>().join("\n")
}

/// `1 host`, `2 hosts`.
#[must_use]
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A span in milliseconds as people read it; empty for none.
#[must_use]
pub fn span(ms: u64) -> String {
    if ms == 0 { String::new() } else { show_duration(Duration::from_millis(ms)) }
}

/// A running time, to the second: `0s` at first.
#[must_use]
pub fn elapsed(ms: u64) -> String {
    if ms < 1000 { "0s".to_owned() } else { show_duration(Duration::from_secs(ms / 1000)) }
}

/// How long ago an RFC 3339 instant was, roughly: `12s ago`; `in 3h` for one to come; the text itself where it is no instant.
#[must_use]
pub fn relative(instant: &str, now: Timestamp) -> String {
    let Ok(then) = instant.parse::<jiff::Timestamp>() else {
        return one_line(instant);
    };
    let then = Timestamp(then.as_millisecond());
    let rough = |span: Duration| {
        let shown = show_duration(Duration::from_secs(span.as_secs()));
        // One unit is enough for a glance; `-o json` has the instant.
        shown.split(' ').next().filter(|unit| !unit.ends_with("ms")).unwrap_or("0s").to_owned()
    };
    if then > now { format!("in {}", rough(then.since(now))) } else { format!("{} ago", rough(now.since(then))) }
}

/// Bytes as people read them.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_its_distance_from_now() {
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(relative("2023-11-14T22:13:08Z", now), "12s ago");
        assert_eq!(relative("2023-11-14T20:13:08Z", now), "2h ago");
        assert_eq!(relative("2023-11-14T22:13:20Z", now), "0s ago");
        assert_eq!(relative("2023-11-15T01:13:20Z", now), "in 3h");
        assert_eq!(relative("", now), "");
    }

    #[test]
    fn control_characters_of_others_reach_no_terminal() {
        assert_eq!(one_line("web\u{1b}[2Jx\n"), "web [2Jx");
        assert_eq!(many_lines("a\tb\r\n\u{7}c"), "a b\n c");
    }

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(
            (bytes(0), bytes(1023), bytes(1536), bytes(8 << 30)),
            ("0 B".into(), "1023 B".into(), "1.5 KiB".into(), "8.0 GiB".into())
        );
        assert_eq!((count(1_u32, "host"), count(3_u32, "host")), ("1 host".into(), "3 hosts".into()));
        assert_eq!((span(0), span(90_000), elapsed(400)), (String::new(), "1m 30s".into(), "0s".into()));
    }

    #[test]
    fn paint_is_left_off_where_it_does_not_show() {
        assert_eq!(Paint::No.apply("x", Tone::Bad), "x");
        assert_eq!(Paint::Yes.apply("x", Tone::Bad), "\u{1b}[31mx\u{1b}[0m");
    }
}

//! Instants and spans as data. Pure code gets them as arguments and never asks a clock.

use std::fmt;
use std::time::Duration;

use super::ParseError;

/// An instant in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant plus a span, saturating at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The span from `earlier` to this instant; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with seconds, e.g. `2026-11-23T10:15:30Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1000)) {
            Ok(instant) => formatter.pad(&instant.to_string()),
            Err(_) => write!(formatter, "{} ms", self.0),
        }
    }
}

/// Reads a span as people write it: `90s`, `10m`, `24h`, `7d`, `2w`, also combined (`1h30m`). A bare number is refused: it has no unit.
pub fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    const ALLOWED: &str = "a number with a unit: ms, s, m, h, d or w, e.g. \"10m\" or \"1h30m\"";
    let refuse = || ParseError::new("duration", text, ALLOWED);
    let mut total_ms: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_ms: u64 = match &rest[..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(refuse()),
        };
        total_ms = number.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms)).ok_or_else(refuse)?;
        rest = &rest[unit_end..];
    }
    Ok(Duration::from_millis(total_ms))
}

/// Writes a span as people read it, with at most two units: `1h 30m`, `45s`, `250ms`.
#[must_use]
pub fn show_duration(span: Duration) -> String {
    let ms = span.as_millis();
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let units = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let mut rest = ms;
    let mut parts = Vec::new();
    for (name, unit_ms) in units {
        if rest >= unit_ms && parts.len() < 2 {
            parts.push(format!("{}{name}", rest / unit_ms));
            rest %= unit_ms;
        } else if !parts.is_empty() {
            break;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_duration_reads_back_as_it_was_shown() {
        for (text, ms) in [("90s", 90_000), ("1h30m", 5_400_000), ("7d", 604_800_000), ("250ms", 250)] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms));
        }
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h 30m");
        assert_eq!(show_duration(Duration::from_secs(86_400 + 5)), "1d");
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        for text in ["", "10", "m", "10 m x", "-5s", "99999999999999999999s", "5y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timestamp_prints_as_utc() {
        assert_eq!(Timestamp(1_700_000_000_000).to_string(), "2023-11-14T22:13:20Z");
    }
}

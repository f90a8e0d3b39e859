//! What is known of a vulnerability beside the advisories: whether it is exploited, how likely that is, and how an attack would go.
//!
//! `kev` reads CISA's catalogue of known exploited vulnerabilities, `epss` FIRST's forecasts, `ssvc` decision points as CISA publishes them.
//! Each reader takes bytes and gives facts by CVE; an entry that cannot be read is counted and told with its reason ([`BadEntries`]) and
//! stops nothing. Of two entries about one CVE the later stands.

mod epss;
mod kev;
mod ssvc;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use patchwave_common::domain::{AdvisoryId, Timestamp, clean_text};

pub use epss::{Epss, parse_epss};
pub use kev::{Kev, parse_kev};
pub use ssvc::{Automatable, Exploitation, Ssvc, TechnicalImpact, parse_ssvc};

/// Bad entries that are told; all are counted.
const BAD_SHOWN: usize = 100;
/// Longest name or reason that is told.
const TOLD_MAX_CHARS: usize = 200;
/// Entries of one feed: every CVE there ever was is a third of it.
const ENTRIES_MAX: usize = 1_000_000;

/// Facts by CVE, as one feed told them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<T> {
    /// By the id of the vulnerability.
    pub by_cve: BTreeMap<AdvisoryId, T>,
    /// The date that the content gives itself.
    pub dated: Option<Timestamp>,
    /// What of it could not be read.
    pub bad: BadEntries,
}

impl<T> Default for Facts<T> {
    fn default() -> Self {
        Self { by_cve: BTreeMap::new(), dated: None, bad: BadEntries::default() }
    }
}

/// Entries that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BadEntries {
    /// How many.
    pub count: u64,
    /// The first of them: name or place, and reason.
    pub shown: Vec<(String, String)>,
}

impl BadEntries {
    /// Notes one.
    pub fn note(&mut self, name: &str, reason: &str) {
        self.count += 1;
        if self.shown.len() < BAD_SHOWN {
            self.shown.push((clean_text(name, TOLD_MAX_CHARS), clean_text(reason, TOLD_MAX_CHARS)));
        }
    }
}

/// A text that is no content of the feed at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAFeed(String);

impl NotAFeed {
    fn new(feed: &str, reason: &str) -> Self {
        Self(format!("this is not {feed}: {}", clean_text(reason, TOLD_MAX_CHARS)))
    }
}

/// The id of a CVE, in any case as feeds write it.
fn read_cve(text: &str) -> Result<AdvisoryId, String> {
    let id = AdvisoryId::parse(text.trim().to_ascii_uppercase()).map_err(|error| error.to_string())?;
    if id.as_str().starts_with("CVE-") { Ok(id) } else { Err(format!("\"{id}\" is not the id of a CVE")) }
}

/// Midnight in UTC of a date such as `2026-08-21`.
fn read_date(text: &str) -> Result<Timestamp, String> {
    let date: jiff::civil::Date = text.trim().parse().map_err(|_| format!("\"{}\" is no date such as 2026-08-21", clean_text(text, 40)))?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(Timestamp(midnight.timestamp().as_millisecond()))
}

/// Lines of a table, numbered from 1, without remarks and empty ones.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The text of a table; what is no UTF-8 is replaced, so that it costs the rows where it stands.
fn text_of(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    // A byte order mark is no part of the first column's name.
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

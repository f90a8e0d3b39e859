//! Reads one record in the OSV schema (<https://ossf.github.io/osv-schema/>, 1.7 and what stays compatible) into an [`Advisory`].
//!
//! What a record may hold too much of is bounded. A record that is no record is refused with its reason; a flaw in one part (a version that
//! is none, a vector that cannot be scored) costs that part and is told, so that the rest still protects. Parts of ecosystems that are not
//! matched are left out in silence, as are ranges of commits.

#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Timestamp, clean_text};

use super::cvss::{Cvss, Severity};
use super::record::{Advisory, Affected, Event, Range, Space};

/// Packages of one record that are taken; the longest of Debian's, Ubuntu's and SUSE's have some thousand.
const AFFECTED_MAX: usize = 20_000;
/// Ranges of one package; real ones have a handful.
const RANGES_MAX: usize = 1_000;
/// Events of one range, likewise.
const EVENTS_MAX: usize = 10_000;
/// Versions named one by one; npm packages with a release for each commit have some thousand.
const VERSIONS_MAX: usize = 50_000;
/// Other names of one record: a distribution's notice about its kernel names some hundred.
const ALIASES_MAX: usize = 4_000;
/// Vectors of one record.
const VECTORS_MAX: usize = 32;
/// Flaws that are told of one record; more say nothing new.
const FLAWS_MAX: usize = 8;
/// One line for a table.
const SUMMARY_MAX_CHARS: usize = 200;

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub advisory: Advisory,
    /// What of it could not be used, and why.
    pub flaws: Vec<String>,
}

/// A text that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidRecord {
    /// The record's own name, where it has one.
    pub id: Option<String>,
    /// What is wrong, with the field.
    pub reason: String,
}

/// Reads one record.
pub fn parse(bytes: &[u8]) -> Result<Parsed, InvalidRecord> {
    let record: wire::Record = serde_json::from_slice(bytes).map_err(|error| InvalidRecord {
        id: None,
        reason: format!("not a record in the OSV schema: {}", clean_text(&error.to_string(), 200)),
    })?;
    let named = Some(clean_text(&record.id, 128)).filter(|id| !id.is_empty());
    let refuse = |reason: String| InvalidRecord { id: named.clone(), reason };
    let id = AdvisoryId::parse(&record.id).map_err(|error| refuse(format!("id: {error}")))?;
    let mut flaws = Flaws::default();
    let too_many = |field: &str, count: usize, max: usize| format!("{field} has {count} entries; {max} are read");
    if record.affected.len() > AFFECTED_MAX {
        return Err(refuse(too_many("affected", record.affected.len(), AFFECTED_MAX)));
    }
    let withdrawn = instant("withdrawn", record.withdrawn.as_deref(), &mut flaws);
    // What cannot be read must not bring a withdrawn record back.
    let withdrawn = withdrawn.or_else(|| record.withdrawn.as_ref().map(|_| Timestamp(0)));
    let mut names: Vec<&String> = record.aliases.iter().chain(&record.upstream).collect();
    names.truncate(ALIASES_MAX);
    let mut aliases: Vec<AdvisoryId> =
        names.into_iter().filter_map(|name| AdvisoryId::parse(name).ok()).filter(|name| *name != id).collect();
    aliases.sort();
    aliases.dedup();
    let mut ratings = Vec::new();
    let mut affected = Vec::new();
    for (index, part) in record.affected.iter().enumerate() {
        ratings.extend(part.rating());
        if let Some(read) = read_affected(part, index, &mut flaws) {
            affected.push(read);
        }
    }
    let mut vectors = record.severity.iter().chain(record.affected.iter().flat_map(|part| &part.severity)).collect::<Vec<_>>();
    vectors.truncate(VECTORS_MAX);
    ratings.extend(record.rating());
    let (scores, said) = read_scores(&vectors, &mut flaws);
    let rating = said.into_iter().chain(ratings.iter().filter_map(|text| read_rating(text))).max();
    let (published, modified) =
        (instant("published", record.published.as_deref(), &mut flaws), instant("modified", record.modified.as_deref(), &mut flaws));
    let summary = record.summary.as_deref().or(record.details.as_deref()).map_or_else(String::new, first_line);
    Ok(Parsed { advisory: Advisory { id, aliases, summary, published, modified, withdrawn, scores, rating, affected }, flaws: flaws.0 })
}

/// What could not be used, bounded.
#[derive(Debug, Default)]
struct Flaws(Vec<String>);

impl Flaws {
    fn note(&mut self, flaw: impl FnOnce() -> String) {
        if self.0.len() < FLAWS_MAX {
            self.0.push(flaw());
        }
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    clean_text(line, SUMMARY_MAX_CHARS)
}

fn instant(field: &str, text: Option<&str>, flaws: &mut Flaws) -> Option<Timestamp> {
    let text = text?;
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Some(Timestamp(instant.as_millisecond())),
        Err(_) => {
            flaws.note(|| format!("{field}: \"{}\" is no instant such as 2026-11-23T10:15:30Z", clean_text(text, 40)));
            None
        }
    }
}

fn read_affected(part: &wire::Affected, index: usize, flaws: &mut Flaws) -> Option<Affected> {
    let package = part.package.as_ref()?;
    let space = Space::parse(&package.ecosystem)?;
    let name = space.normal_name(&package.name);
    if name.is_empty() {
        flaws.note(|| format!("affected[{index}].package.name is empty"));
        return None;
    }
    let ecosystem = space.ecosystem();
    let mut ranges = Vec::new();
    for (at, range) in part.ranges.iter().take(RANGES_MAX).enumerate().filter(|(_, range)| range.kind != "GIT") {
        let events: Vec<Event> = range.events.iter().take(EVENTS_MAX).filter_map(read_event).collect();
        // Without a beginning a range holds nothing, and one that lost its end would hold what is fixed.
        match Range::new(ecosystem, events) {
            Ok(range) => ranges.push(range),
            Err(error) => flaws.note(|| format!("affected[{index}].ranges[{at}]: {error}")),
        }
    }
    if part.ranges.len() > RANGES_MAX
        || part.ranges.iter().any(|range| range.events.len() > EVENTS_MAX)
        || part.versions.len() > VERSIONS_MAX
    {
        flaws.note(|| format!("affected[{index}] has more ranges, events or versions than are read"));
    }
    let mut versions: Vec<Arc<str>> = Vec::new();
    for version in part.versions.iter().take(VERSIONS_MAX) {
        let mut in_a_range = Ok(false);
        for range in &ranges {
            in_a_range = match (in_a_range, range.contains(ecosystem, version)) {
                (Ok(before), Ok(now)) => Ok(before || now),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
        let checked =
            if ranges.is_empty() { patchwave_common::domain::version::check(ecosystem, version).map(|()| false) } else { in_a_range };
        match checked {
            // Databases list each version that their ranges hold as well; keeping them would cost ten times the rest.
            Ok(true) => {}
            Ok(false) => versions.push(version.trim().into()),
            Err(error) => flaws.note(|| format!("affected[{index}].versions: {error}")),
        }
    }
    versions.sort();
    versions.dedup();
    (!ranges.is_empty() || !versions.is_empty()).then_some(Affected { space, package: name, ranges, versions })
}

/// An event; `None` for one that says nothing: `limit: "*"` is no limit.
fn read_event(event: &wire::Event) -> Option<Event> {
    let version = |text: &String| Arc::<str>::from(text.trim());
    match (&event.introduced, &event.fixed, &event.last_affected, &event.limit) {
        (Some(from), ..) => Some(Event::Introduced((from.trim() != "0").then(|| version(from)))),
        (_, Some(at), ..) => Some(Event::Fixed(version(at))),
        (_, _, Some(last), _) => Some(Event::LastAffected(version(last))),
        (_, _, _, Some(limit)) if limit.trim() != "*" => Some(Event::Limit(version(limit))),
        _ => None,
    }
}

/// The vectors that could be scored, and what ratings without a vector say.
fn read_scores(vectors: &[&wire::Severity], flaws: &mut Flaws) -> (Vec<(Arc<str>, Cvss)>, Vec<Severity>) {
    let (mut scores, mut said): (Vec<(Arc<str>, Cvss)>, Vec<Severity>) = (Vec::new(), Vec::new());
    for severity in vectors {
        if !severity.kind.starts_with("CVSS") {
            said.extend(read_rating(&severity.score));
            continue;
        }
        match Cvss::parse(severity.score.trim()) {
            Ok(cvss) if scores.iter().all(|(known, _)| known.as_ref() != severity.score.trim()) => {
                scores.push((severity.score.trim().into(), cvss));
            }
            Ok(_) => {}
            Err(error) => flaws.note(|| format!("severity: {error}")),
        }
    }
    (scores, said)
}

/// A rating by a word, in the words that distributions use. Debian's urgency says how urgent an update is, which is the best that it has.
fn read_rating(text: &str) -> Option<Severity> {
    match text.trim().to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "high" | "important" => Some(Severity::High),
        "medium" | "moderate" => Some(Severity::Medium),
        "low" | "unimportant" | "negligible" => Some(Severity::Low),
        _ => None,
    }
}

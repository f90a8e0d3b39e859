//! Ranges of versions, by the events of the OSV schema (<https://ossf.github.io/osv-schema/#affectedrangesevents-fields>).

use std::cmp::Ordering;
use std::sync::Arc;

use patchwave_common::domain::version::{Ecosystem, InvalidVersion, check, compare};

/// A point where the hole comes, goes, or is no longer spoken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The hole is in this version and what follows; `None` from the very first.
    Introduced(Option<Arc<str>>),
    /// The hole is no longer in this version.
    Fixed(Arc<str>),
    /// The last version known to have the hole; it may well be in none that follows.
    LastAffected(Arc<str>),
    /// The range says nothing of this version and what follows.
    Limit(Arc<str>),
}

impl Event {
    fn version(&self) -> Option<&Arc<str>> {
        match self {
            Self::Introduced(version) => version.as_ref(),
            Self::Fixed(version) | Self::LastAffected(version) | Self::Limit(version) => Some(version),
        }
    }
}

/// Events in the order of their versions; where several have one version, in the order of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    events: Vec<Event>,
}

impl Range {
    /// Checks and orders the events; the error names what is no version.
    pub fn new(ecosystem: Ecosystem, mut events: Vec<Event>) -> Result<Self, InvalidVersion> {
        for version in events.iter().filter_map(Event::version) {
            check(ecosystem, version)?;
        }
        events.sort_by(|left, right| match (left.version(), right.version()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            // Both were checked, so that they compare.
            (Some(left), Some(right)) => compare(ecosystem, left, right).unwrap_or(Ordering::Equal),
        });
        Ok(Self { events })
    }

    /// The events in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether a version has the hole: the last event at or before it decides.
    pub fn contains(&self, ecosystem: Ecosystem, version: &str) -> Result<bool, InvalidVersion> {
        let mut has_it = false;
        let (mut limited, mut below_a_limit) = (false, false);
        for event in &self.events {
            let Some(known) = event.version() else {
                has_it = true;
                continue;
            };
            let order = compare(ecosystem, version, known)?;
            match event {
                Event::Introduced(_) if order.is_ge() => has_it = true,
                Event::Fixed(_) if order.is_ge() => has_it = false,
                Event::LastAffected(_) if order.is_gt() => has_it = false,
                Event::Limit(_) => {
                    limited = true;
                    below_a_limit |= order.is_lt();
                }
                _ => {}
            }
        }
        Ok(has_it && (!limited || below_a_limit))
    }

    /// The first version after `version` in which the hole is fixed.
    pub fn fixed_after(&self, ecosystem: Ecosystem, version: &str) -> Result<Option<Arc<str>>, InvalidVersion> {
        for event in &self.events {
            if let Event::Fixed(fixed) = event
                && compare(ecosystem, fixed, version)?.is_gt()
            {
                return Ok(Some(fixed.clone()));
            }
        }
        Ok(None)
    }
}

impl std::fmt::Display for Range {
    /// E.g. `introduced 0, fixed 1.2-3`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, event) in self.events.iter().enumerate() {
            let name = match event {
                Event::Introduced(_) => "introduced",
                Event::Fixed(_) => "fixed",
                Event::LastAffected(_) => "last affected",
                Event::Limit(_) => "limit",
            };
            let version = event.version().map_or("0", AsRef::as_ref);
            write!(formatter, "{}{name} {version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

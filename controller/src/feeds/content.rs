//! What a feed says, put together from its records.

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Timestamp};

use crate::advisory::knowledge::{Epss, Facts, Kev, Ssvc};
use crate::advisory::record::Advisory;
use crate::advisory::vex::Document;

/// The content of one feed.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Advisories by their id.
    Advisories(BTreeMap<AdvisoryId, Arc<Advisory>>),
    /// Known exploitation.
    Kev(Facts<Kev>),
    /// Forecasts.
    Epss(Facts<Epss>),
    /// Decision points.
    Ssvc(Facts<Ssvc>),
    /// Documents of statements, by the name of their record.
    Statements(BTreeMap<String, Arc<Document>>),
}

/// What one content says that another does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta {
    /// Records that only the newer has.
    pub added: u64,
    /// Records of both that differ.
    pub changed: u64,
    /// Records that only the older has.
    pub removed: u64,
}

impl Content {
    /// How many records it holds; entries where one record holds many.
    #[must_use]
    pub fn len(&self) -> u64 {
        let count = match self {
            Self::Advisories(by_id) => by_id.len(),
            Self::Kev(facts) => facts.by_cve.len(),
            Self::Epss(facts) => facts.by_cve.len(),
            Self::Ssvc(facts) => facts.by_cve.len(),
            Self::Statements(documents) => documents.values().map(|document| document.statements.len()).sum(),
        };
        count as u64
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The date that it gives itself; of many records the newest.
    #[must_use]
    pub fn dated(&self) -> Option<Timestamp> {
        match self {
            Self::Advisories(by_id) => by_id.values().filter_map(|advisory| advisory.modified).max(),
            Self::Kev(facts) => facts.dated,
            Self::Epss(facts) => facts.dated,
            Self::Ssvc(facts) => facts.dated,
            Self::Statements(documents) => documents.values().filter_map(|document| document.issued).max(),
        }
    }

    /// What changed since `before`; everything is new where there was nothing, or something of another kind.
    #[must_use]
    pub fn delta(&self, before: Option<&Self>) -> Delta {
        match (before, self) {
            (Some(Self::Advisories(old)), Self::Advisories(new)) => compare(old, new),
            (Some(Self::Kev(old)), Self::Kev(new)) => compare(&old.by_cve, &new.by_cve),
            (Some(Self::Epss(old)), Self::Epss(new)) => compare(&old.by_cve, &new.by_cve),
            (Some(Self::Ssvc(old)), Self::Ssvc(new)) => compare(&old.by_cve, &new.by_cve),
            (Some(Self::Statements(old)), Self::Statements(new)) => compare(old, new),
            _ => Delta { added: self.len(), ..Delta::default() },
        }
    }
}

fn compare<K: Ord, V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Delta {
    let mut delta = Delta { removed: old.keys().filter(|key| !new.contains_key(key)).count() as u64, ..Delta::default() };
    for (key, value) in new {
        match old.get(key) {
            None => delta.added += 1,
            Some(before) if before != value => delta.changed += 1,
            Some(_) => {}
        }
    }
    delta
}

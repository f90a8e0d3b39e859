//! One host in memory.

use std::sync::Arc;

use patchwave_common::domain::{CandidateSet, Inventory, Selector, Timestamp};

use crate::records::{HostRecord, HostState};

/// A host, what it has, and since when its stream is open.
#[derive(Debug, Clone)]
pub struct FleetHost {
    /// The record as the store has it.
    pub record: HostRecord,
    /// Since when the stream is open.
    pub online_since: Option<Timestamp>,
    /// What is installed.
    pub inventory: Option<Arc<Inventory>>,
    /// What it could get.
    pub candidates: Option<Arc<CandidateSet>>,
}

/// Whether a host is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its stream is open.
    Online {
        /// Since when.
        since: Timestamp,
    },
    /// Its stream is closed.
    Offline {
        /// Since when.
        since: Timestamp,
    },
    /// The controller has not been up for long enough to tell.
    Unknown,
}

impl Presence {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online { .. } => "online",
            Self::Offline { .. } => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl FleetHost {
    /// A host that has not connected yet.
    #[must_use]
    pub fn new(record: HostRecord) -> Self {
        Self { record, online_since: None, inventory: None, candidates: None }
    }

    /// Whether it may take part.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.record.state == HostState::Active
    }

    /// Whether a selector selects it: facts first, then labels.
    #[must_use]
    pub fn matches(&self, selector: &Selector) -> bool {
        let record = &self.record;
        selector.matches(|key| match key {
            "id" => Some(record.id.as_str()),
            "name" => Some(&record.facts.hostname),
            "os" => Some(&record.facts.os),
            "release" => Some(&record.facts.release),
            "codename" => Some(&record.facts.codename),
            "arch" => Some(&record.facts.architecture),
            "mode" => Some(record.mode.as_str()),
            "state" => Some(record.state.as_str()),
            label => record.labels.get(label).or_else(|| (label == "ring").then(|| record.labels.ring().as_str())),
        })
    }
}

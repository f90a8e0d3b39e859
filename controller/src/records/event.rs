//! What happened in the fleet, for people: `patchwave events`.

use patchwave_common::domain::{HostId, RolloutId, Timestamp};

/// One line of the fleet's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetEvent {
    /// When.
    pub at: Timestamp,
    /// A stable kebab-case name, e.g. `host-enrolled`, `wave-advanced`.
    pub kind: String,
    /// The host that it is about.
    pub host: Option<HostId>,
    /// The rollout that it is about.
    pub rollout: Option<RolloutId>,
    /// In plain words, cleaned.
    pub text: String,
}

/// An event with its place in the fleet's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Counts up from 1 without gaps.
    pub sequence: u64,
    /// What happened.
    pub event: FleetEvent,
}

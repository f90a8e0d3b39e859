//! What the whole fleet must not do: quarantined versions, and the halt.

use patchwave_common::domain::{QuarantineKey, RolloutId, Timestamp};

use super::Actor;

/// A version that no host may get (rule 13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// What is forbidden.
    pub key: QuarantineKey,
    /// Why, in plain words.
    pub reason: String,
    /// The rollout that showed it to be bad.
    pub rollout: Option<RolloutId>,
    /// Since when.
    pub since: Timestamp,
    /// Set where an operator lifted it; the record stays.
    pub lifted: Option<Lift>,
}

/// An operator's act that ends a quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Whether every rollout in the fleet is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaltRecord {
    /// Stopped or not.
    pub on: bool,
    /// Who said so.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

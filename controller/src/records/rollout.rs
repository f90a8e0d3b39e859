//! What lists show of a rollout, and who holds a host. What a rollout *is* stands in its log, which is `controller/src/rollout`'s.

use std::collections::BTreeMap;

use patchwave_common::domain::{Digest, Generation, HostId, PolicyName, RolloutId, Timestamp};

use super::Actor;

/// A summary for lists, derived from the log by whoever appends to it; never a source of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutHead {
    /// The rollout.
    pub id: RolloutId,
    /// The policy that it was planned under.
    pub policy: PolicyName,
    /// That policy's revision.
    pub policy_revision: u64,
    /// When planned.
    pub created_at: Timestamp,
    /// Who planned it.
    pub created_by: Actor,
    /// When this summary was made.
    pub updated_at: Timestamp,
    /// The name of its state.
    pub state: String,
    /// Why it is in that state or what it waits for, in plain words; empty where there is nothing to say.
    pub reason: String,
    /// Root hash of the plan.
    pub plan_root: Digest,
    /// What kind of rollout, e.g. `update` or `reverse`.
    pub kind: String,
    /// Hosts by the name of their state.
    pub counts: BTreeMap<String, u64>,
    /// Revision of the log (records) that this summary has seen.
    pub log_revision: u64,
}

/// A host that a rollout has ordered to do something; two rollouts can never order one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRecord {
    /// The host.
    pub host: HostId,
    /// The rollout that holds it.
    pub rollout: RolloutId,
    /// Generation of the directive.
    pub generation: Generation,
}

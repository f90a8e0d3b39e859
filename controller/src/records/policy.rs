//! Policies as they were applied.

use patchwave_common::domain::{PolicyName, Timestamp};

use super::Actor;

/// One revision of a policy, as text: what it means is `patchwave_common::domain::policy`'s business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// The policy's name.
    pub name: PolicyName,
    /// The store's revision of this record; see the module head. Older revisions stay readable.
    pub revision: u64,
    /// The file, as applied.
    pub toml: String,
    /// Who applied it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

//! A host as the controller keeps it.

use patchwave_common::domain::{Digest, HostFacts, HostId, HostMode, InstanceId, Labels, Timestamp, TokenId};

use super::{Actor, Serial};

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRecord {
    /// Its identity, as in its certificate.
    pub id: HostId,
    /// The store's revision of this record; see the module head.
    pub revision: u64,
    /// What it agreed to at enrolment.
    pub mode: HostMode,
    /// Labels from the token and from operators.
    pub labels: Labels,
    /// Whether it may take part.
    pub state: HostState,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// The token that it enrolled with.
    pub token: TokenId,
    /// Serial of its newest certificate.
    pub certificate: Serial,
    /// The host that this one stands for now (`host replace OLD NEW`).
    pub replaces: Option<HostId>,
    /// What it last said about its machine.
    pub facts: HostFacts,
    /// When it last connected or disconnected; heartbeats are not written.
    pub last_seen: Option<Timestamp>,
    /// The agent process that was last connected.
    pub instance: Option<InstanceId>,
    /// Its clock minus the controller's, in milliseconds, when last measured.
    pub clock_offset_ms: i64,
    /// Digest of its newest inventory.
    pub inventory: Option<Digest>,
    /// Digest of its newest candidates.
    pub candidates: Option<Digest>,
}

/// Whether a host may take part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HostState {
    /// It may connect and report, and be patched where its mode allows that.
    #[default]
    Active,
    /// An operator retired it; its certificate opens nothing any more.
    Retired {
        /// Since when.
        at: Timestamp,
        /// By whom.
        by: Actor,
    },
    /// Two running agents used its key; both are stopped (rule 25).
    Cloned {
        /// Since when.
        at: Timestamp,
        /// Both instances and addresses, in plain words.
        detail: String,
    },
    /// Another host stands for it now (rule 26).
    Replaced {
        /// That host.
        with: HostId,
        /// Since when.
        at: Timestamp,
        /// By whom.
        by: Actor,
    },
}

impl HostState {
    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired { .. } => "retired",
            Self::Cloned { .. } => "cloned",
            Self::Replaced { .. } => "replaced",
        }
    }
}

/// A change to some fields of a host, the others untouched, so that a report of the host and an operator's edit never undo one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostUpdate {
    /// All labels.
    Labels(Labels),
    /// Whether it may take part.
    State(HostState),
    /// What it says about its machine.
    Facts(Box<HostFacts>),
    /// It connected or disconnected.
    Seen {
        /// When.
        at: Timestamp,
        /// The agent process.
        instance: InstanceId,
        /// Its clock minus the controller's, in milliseconds.
        clock_offset_ms: i64,
    },
    /// It has a new certificate.
    Certificate(Serial),
    /// It stands for another host.
    Replaces(HostId),
}

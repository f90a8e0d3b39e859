//! What a write does ([`Change`]) and under which conditions ([`Guard`]).

use std::sync::Arc;

use bytes::Bytes;
use patchwave_common::domain::{
    CandidateSet, Digest, FeedName, Generation, HostId, Inventory, OperatorName, PolicyName, QuarantineKey, RolloutId, Timestamp, TokenId,
};

use crate::records::{
    AuditEntry, CertificateRecord, FeedRecord, FixRecord, FleetEvent, HaltRecord, HostRecord, HostUpdate, Lift, OperatorRecord,
    PolicyRecord, QuarantineRecord, Revocation, RolloutHead, Serial, TokenRecord,
};

/// One write: all of its changes take effect, in order, or none.
#[derive(Debug, Clone, Default)]
pub struct Write {
    /// What changes; at most [`MAX_CHANGES`](super::MAX_CHANGES).
    pub changes: Vec<Change>,
    /// What must hold before the first change.
    pub guards: Vec<Guard>,
}

impl Write {
    /// A write without conditions.
    #[must_use]
    pub fn new(changes: Vec<Change>) -> Self {
        Self { changes, guards: Vec::new() }
    }

    /// The same with a condition more.
    #[must_use]
    pub fn when(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }
}

/// One change. A record's `revision` field is the store's own (see [`crate::records`]).
#[derive(Debug, Clone)]
pub enum Change {
    /// Makes a host or replaces all of its record, digests of inventory and candidates included.
    PutHost(Box<HostRecord>),
    /// Changes some fields of a host; fails as missing where there is none.
    UpdateHost {
        /// The host.
        host: HostId,
        /// The fields.
        update: HostUpdate,
    },
    /// Makes or replaces a join token.
    PutToken(TokenRecord),
    /// Counts one use of a token; fails as [`Guard::TokenUsable`] where none is left or it was revoked. Expiry is the caller's to check.
    UseToken(TokenId),
    /// Makes or replaces an operator.
    PutOperator(OperatorRecord),
    /// Adds a revision of a policy.
    PutPolicy(PolicyRecord),
    /// Appends records to a rollout's log if it has exactly `expected` of them (0: the rollout is new); else it fails as
    /// [`Guard::RolloutRevision`]. The log's revision is its number of records.
    AppendRollout {
        /// The rollout.
        rollout: RolloutId,
        /// How many records the log has before.
        expected: u64,
        /// Encoded events, opaque to the store.
        records: Vec<Bytes>,
    },
    /// Keeps a snapshot of a rollout's state in place of an older one.
    PutRolloutSnapshot {
        /// The rollout.
        rollout: RolloutId,
        /// How many records of the log it stands for.
        revision: u64,
        /// Encoded state, opaque to the store.
        bytes: Bytes,
    },
    /// Keeps a plan, which never changes: header and hashed segments, opaque to the store.
    PutPlan {
        /// The rollout that carries it out.
        rollout: RolloutId,
        /// The header.
        header: Bytes,
        /// The segments, in order.
        segments: Vec<Bytes>,
    },
    /// Keeps the summary that lists show.
    PutRolloutHead(Box<RolloutHead>),
    /// Claims a host for a rollout, or renews the claim with a newer generation. Where another rollout holds the host it fails as
    /// [`Guard::Claimable`], so that no caller can forget the guard.
    Claim {
        /// The host.
        host: HostId,
        /// The rollout.
        rollout: RolloutId,
        /// Generation of the directive.
        generation: Generation,
    },
    /// Gives a host back; nothing happens where this rollout does not hold it.
    ReleaseClaim {
        /// The host.
        host: HostId,
        /// The rollout.
        rollout: RolloutId,
    },
    /// Keeps an inventory under its digest; nothing happens where it is there already. One that no host has is removed when the last host
    /// moves to another.
    PutInventory(Arc<Inventory>),
    /// Keeps candidates under their digest, likewise.
    PutCandidates(Arc<CandidateSet>),
    /// Says which inventory and candidates a host has; both must be there. `None` leaves that digest as it is.
    SetHostInventory {
        /// The host.
        host: HostId,
        /// Digest of the inventory.
        inventory: Option<Digest>,
        /// Digest of the candidates.
        candidates: Option<Digest>,
    },
    /// Forbids a version to the fleet. Raises the fleet's revision.
    PutQuarantine(Box<QuarantineRecord>),
    /// Lifts a quarantine. Raises the fleet's revision.
    LiftQuarantine {
        /// What is no longer forbidden.
        key: QuarantineKey,
        /// Who, why and when.
        lift: Lift,
    },
    /// Stops the fleet or lets it go on. Raises the fleet's revision.
    SetHalt(HaltRecord),
    /// Records a certificate.
    PutCertificate(CertificateRecord),
    /// Revokes a certificate; an earlier revocation stands.
    RevokeCertificate {
        /// Which.
        serial: Serial,
        /// When and why.
        revocation: Revocation,
    },
    /// Appends to the audit log; the store numbers and chains it.
    AppendAudit(AuditEntry),
    /// Appends to the fleet's history; the store numbers it.
    AppendEvent(FleetEvent),
    /// Makes or replaces a feed's record; with it another generation of its content comes into use.
    PutFeed(Box<FeedRecord>),
    /// Removes a feed with all that is kept of it; nothing happens where there is none.
    RemoveFeed(FeedName),
    /// Keeps a segment of a generation that is not in use yet.
    PutFeedSegment {
        /// The feed.
        feed: FeedName,
        /// The generation.
        generation: u64,
        /// Counted from 0.
        index: u32,
        /// Packed records, opaque to the store.
        records: Bytes,
    },
    /// Removes the segments of a feed's other generations.
    DropFeedSegments {
        /// The feed.
        feed: FeedName,
        /// The generation that stays; `None`: none does.
        keep: Option<u64>,
    },
    /// Appends to the log of a host's findings; fails where `number` is not the next one.
    AppendFindings {
        /// The host.
        host: HostId,
        /// Number of the entry, counted from 0.
        number: u64,
        /// When.
        at: Timestamp,
        /// Encoded transitions, opaque to the store and kept once however many hosts have them.
        transitions: Bytes,
    },
    /// Keeps when a fix was first seen; an earlier time that is kept stands.
    NoteFix(FixRecord),
}

/// A condition on what is stored before a write's first change. Revision 0 means: there is no such record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The rollout's log has this many records.
    RolloutRevision {
        /// The rollout.
        rollout: RolloutId,
        /// Records.
        expected: u64,
    },
    /// No rollout holds the host.
    Unclaimed {
        /// The host.
        host: HostId,
    },
    /// This rollout holds the host.
    ClaimedBy {
        /// The host.
        host: HostId,
        /// The rollout.
        rollout: RolloutId,
    },
    /// No other rollout holds the host.
    Claimable {
        /// The host.
        host: HostId,
        /// The rollout that wants it.
        rollout: RolloutId,
    },
    /// Neither halt nor quarantine changed since.
    FleetRevision {
        /// The fleet's revision.
        expected: u64,
    },
    /// The token was used this often.
    TokenUses {
        /// The token.
        token: TokenId,
        /// Uses.
        expected: u32,
    },
    /// The token is there, not revoked and has a use left.
    TokenUsable {
        /// The token.
        token: TokenId,
    },
    /// The host's record has this revision.
    HostRevision {
        /// The host.
        host: HostId,
        /// Revision.
        expected: u64,
    },
    /// The operator's record has this revision.
    OperatorRevision {
        /// The operator.
        operator: OperatorName,
        /// Revision.
        expected: u64,
    },
    /// The policy's newest revision is this.
    PolicyRevision {
        /// The policy.
        policy: PolicyName,
        /// Revision.
        expected: u64,
    },
}

impl std::fmt::Display for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RolloutRevision { rollout, expected } => write!(formatter, "revision {expected} of rollout {rollout}"),
            Self::Unclaimed { host } => write!(formatter, "that no rollout holds host {host}"),
            Self::ClaimedBy { host, rollout } => write!(formatter, "that rollout {rollout} holds host {host}"),
            Self::Claimable { host, rollout } => write!(formatter, "that no rollout but {rollout} holds host {host}"),
            Self::FleetRevision { expected } => write!(formatter, "revision {expected} of the fleet's halt and quarantine"),
            Self::TokenUses { token, expected } => write!(formatter, "{expected} uses of token {token}"),
            Self::TokenUsable { token } => write!(formatter, "that token {token} may be used"),
            Self::HostRevision { host, expected } => write!(formatter, "revision {expected} of host {host}"),
            Self::OperatorRevision { operator, expected } => write!(formatter, "revision {expected} of operator {operator}"),
            Self::PolicyRevision { policy, expected } => write!(formatter, "revision {expected} of policy {policy}"),
        }
    }
}

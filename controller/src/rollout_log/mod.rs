//! Stored bytes of rollouts: plans as a header and hashed segments, events as versioned protobuf. What is written here must be readable for ever.
//!
//! The root of a plan is the SHA-256 of its stored header, which lists the digests of its segments; so the root names every byte.

mod error;

use bytes::Bytes;
use patchwave_common::domain::Digest;

pub use error::LogError;

use crate::rollout::{Plan, Recorded, SealedPlan};

/// A plan as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlan {
    /// Names the plan: digest of the header.
    pub root: Digest,
    /// Header: what holds for the whole plan, and the digests of the segments.
    pub header: Bytes,
    /// Segments, in order.
    pub segments: Vec<Bytes>,
}

/// Encodes a plan and names it.
#[must_use]
pub fn seal(plan: Plan) -> (SealedPlan, StoredPlan) {
    let stored = StoredPlan { root: Digest::of(&[]), header: Bytes::new(), segments: Vec::new() };
    (SealedPlan { plan: std::sync::Arc::new(plan), root: stored.root }, stored)
}

/// Reads a stored plan and proves that it is the one that `root` names.
///
/// # Errors
/// Where a byte differs from what was sealed, or the plan was written by a newer release.
pub fn open(root: Digest, header: &[u8], segments: &[Bytes]) -> Result<SealedPlan, LogError> {
    let _ = (root, header, segments);
    Err(LogError::Missing("plan header"))
}

/// Encodes one event.
#[must_use]
pub fn encode(recorded: &Recorded) -> Bytes {
    let _ = recorded;
    Bytes::new()
}

/// Decodes one event.
///
/// # Errors
/// Where the bytes are damaged, or a newer release wrote them.
pub fn decode(bytes: &[u8]) -> Result<Recorded, LogError> {
    let _ = bytes;
    Err(LogError::Missing("event"))
}

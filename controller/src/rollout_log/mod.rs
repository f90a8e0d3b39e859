//! Stored bytes of rollouts: plans as a header and hashed segments, events as versioned protobuf. What is written here must be readable for ever.
//!
//! The *root* of a plan is the SHA-256 of its stored header, which lists the digests of its segments; so the root names every byte.
//! Nothing is decided here, and nothing is read that does not have the form its type demands.

mod decode;
mod encode;
mod error;
mod fields;
pub(crate) mod fuzzing;
mod plan;
mod policy;

use bytes::Bytes;
use patchwave_common::domain::Digest;

pub use decode::decode;
pub use encode::encode;
pub use error::LogError;
pub use plan::{open, seal};

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

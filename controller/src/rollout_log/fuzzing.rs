//! What fuzz targets need of this folder beside its public functions.

use bytes::Bytes;
use patchwave_common::domain::Digest;
use patchwave_common::domain::policy::Policy;
use patchwave_proto::store::rollout::v1 as proto;
use prost::Message;

use super::LogError;
use crate::rollout::SealedPlan;

/// Opens a plan of which header and segments are any bytes. The header's digests are made to fit, else nothing beyond them would ever be
/// reached.
///
/// # Errors
/// As [`super::open`].
pub fn plan(header: &[u8], segments: &[Bytes]) -> Result<SealedPlan, LogError> {
    let mut root = proto::PlanRoot::decode(header).map_err(|error| LogError::damaged("plan header", &error))?;
    root.segments = segments.iter().map(|segment| Digest::of(segment).0.to_vec()).collect();
    let header = root.encode_to_vec();
    super::open(Digest::of(&header), &header, segments)
}

/// A policy as it comes back from a stored plan.
///
/// # Errors
/// It does not.
pub fn policy(policy: &Policy) -> Result<Policy, LogError> {
    super::policy::decode(super::policy::encode(policy))
}

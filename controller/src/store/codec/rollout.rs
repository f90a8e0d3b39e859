//! Summaries of rollouts, and claims.

use patchwave_common::domain::{Generation, HostId, PolicyName, RolloutId, Timestamp};
use patchwave_proto::store::v1;

use super::{CodecError, Stored, actor, digest};
use crate::records::{ClaimRecord, RolloutHead};

impl Stored for RolloutHead {
    type Message = v1::RolloutHead;
    const WHAT: &'static str = "rollout summary";

    fn to_message(&self) -> v1::RolloutHead {
        v1::RolloutHead {
            id: self.id.to_string(),
            policy: self.policy.to_string(),
            policy_revision: self.policy_revision,
            created_at_ms: self.created_at.0,
            created_by: self.created_by.to_string(),
            updated_at_ms: self.updated_at.0,
            state: self.state.clone(),
            reason: self.reason.clone(),
            plan_root: self.plan_root.0.to_vec(),
            kind: self.kind.clone(),
            counts: self.counts.iter().map(|(state, count)| (state.clone(), *count)).collect(),
            log_revision: self.log_revision,
        }
    }

    fn from_message(message: v1::RolloutHead) -> Result<Self, CodecError> {
        Ok(Self {
            id: RolloutId::parse(message.id)?,
            policy: PolicyName::parse(message.policy)?,
            policy_revision: message.policy_revision,
            created_at: Timestamp(message.created_at_ms),
            created_by: actor(&message.created_by)?,
            updated_at: Timestamp(message.updated_at_ms),
            state: message.state,
            reason: message.reason,
            plan_root: digest(&message.plan_root)?,
            kind: message.kind,
            counts: message.counts.into_iter().collect(),
            log_revision: message.log_revision,
        })
    }
}

impl Stored for ClaimRecord {
    type Message = v1::Claim;
    const WHAT: &'static str = "claim";

    fn to_message(&self) -> v1::Claim {
        v1::Claim {
            host: self.host.to_string(),
            rollout: self.rollout.to_string(),
            generation_epoch: self.generation.epoch,
            generation_counter: self.generation.counter,
        }
    }

    fn from_message(message: v1::Claim) -> Result<Self, CodecError> {
        Ok(Self {
            host: HostId::parse(message.host)?,
            rollout: RolloutId::parse(message.rollout)?,
            generation: Generation { epoch: message.generation_epoch, counter: message.generation_counter },
        })
    }
}

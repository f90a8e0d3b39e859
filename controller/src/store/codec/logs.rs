//! Audit records and events.

use patchwave_common::domain::{HostId, RolloutId, Timestamp};
use patchwave_proto::store::v1;

use super::{CodecError, Stored, actor, digest, known, unspecified};
use crate::records::{AuditEntry, AuditOutcome, AuditRecord, EventRecord, FleetEvent};

impl Stored for AuditRecord {
    type Message = v1::Audit;
    const WHAT: &'static str = "audit record";

    fn to_message(&self) -> v1::Audit {
        let outcome = match self.entry.outcome {
            AuditOutcome::Done => v1::AuditOutcome::Done,
            AuditOutcome::Refused => v1::AuditOutcome::Refused,
            AuditOutcome::Failed => v1::AuditOutcome::Failed,
        };
        v1::Audit {
            sequence: self.sequence,
            previous: self.previous.0.to_vec(),
            digest: self.digest.0.to_vec(),
            at_ms: self.entry.at.0,
            actor: self.entry.actor.to_string(),
            action: self.entry.action.clone(),
            subject: self.entry.subject.clone(),
            outcome: outcome.into(),
            detail: self.entry.detail.clone(),
        }
    }

    fn from_message(message: v1::Audit) -> Result<Self, CodecError> {
        let outcome = match known(message.outcome, "audit outcome")? {
            v1::AuditOutcome::Done => AuditOutcome::Done,
            v1::AuditOutcome::Refused => AuditOutcome::Refused,
            v1::AuditOutcome::Failed => AuditOutcome::Failed,
            v1::AuditOutcome::Unspecified => return unspecified("audit outcome"),
        };
        Ok(Self {
            sequence: message.sequence,
            previous: digest(&message.previous)?,
            digest: digest(&message.digest)?,
            entry: AuditEntry {
                at: Timestamp(message.at_ms),
                actor: actor(&message.actor)?,
                action: message.action,
                subject: message.subject,
                outcome,
                detail: message.detail,
            },
        })
    }
}

impl Stored for EventRecord {
    type Message = v1::Event;
    const WHAT: &'static str = "event";

    fn to_message(&self) -> v1::Event {
        v1::Event {
            sequence: self.sequence,
            at_ms: self.event.at.0,
            kind: self.event.kind.clone(),
            host: self.event.host.as_ref().map(ToString::to_string),
            rollout: self.event.rollout.as_ref().map(ToString::to_string),
            text: self.event.text.clone(),
        }
    }

    fn from_message(message: v1::Event) -> Result<Self, CodecError> {
        Ok(Self {
            sequence: message.sequence,
            event: FleetEvent {
                at: Timestamp(message.at_ms),
                kind: message.kind,
                host: message.host.map(HostId::parse).transpose()?,
                rollout: message.rollout.map(RolloutId::parse).transpose()?,
                text: message.text,
            },
        })
    }
}

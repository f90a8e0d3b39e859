//! Quarantine and halt.

use patchwave_common::domain::{Architecture, PackageName, PackageVersion, QuarantineKey, RolloutId, Timestamp};
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::quarantine;

use super::{CodecError, Stored, actor, manager_from_message, manager_to_message, required};
use crate::records::{HaltRecord, Lift, QuarantineRecord};

impl Stored for QuarantineRecord {
    type Message = v1::Quarantine;
    const WHAT: &'static str = "quarantine";

    fn to_message(&self) -> v1::Quarantine {
        let key = v1::QuarantineKey {
            manager: manager_to_message(self.key.manager),
            origin: self.key.origin.clone(),
            source: self.key.source.to_string(),
            version: self.key.version.to_string(),
            architecture: self.key.architecture.to_string(),
        };
        let lift = |lift: &Lift| quarantine::Lift { by: lift.by.to_string(), reason: lift.reason.clone(), at_ms: lift.at.0 };
        v1::Quarantine {
            key: Some(key),
            reason: self.reason.clone(),
            rollout: self.rollout.as_ref().map(ToString::to_string),
            since_ms: self.since.0,
            lifted: self.lifted.as_ref().map(lift),
        }
    }

    fn from_message(message: v1::Quarantine) -> Result<Self, CodecError> {
        let key = required(message.key, "quarantine key")?;
        let lift = |lift: quarantine::Lift| -> Result<Lift, CodecError> {
            Ok(Lift { by: actor(&lift.by)?, reason: lift.reason, at: Timestamp(lift.at_ms) })
        };
        Ok(Self {
            key: QuarantineKey {
                manager: manager_from_message(key.manager)?,
                origin: key.origin,
                source: PackageName::parse(key.source)?,
                version: PackageVersion::parse(key.version)?,
                architecture: Architecture::parse(key.architecture)?,
            },
            reason: message.reason,
            rollout: message.rollout.map(RolloutId::parse).transpose()?,
            since: Timestamp(message.since_ms),
            lifted: message.lifted.map(lift).transpose()?,
        })
    }
}

impl Stored for HaltRecord {
    type Message = v1::Halt;
    const WHAT: &'static str = "halt";

    fn to_message(&self) -> v1::Halt {
        v1::Halt { on: self.on, by: self.by.to_string(), reason: self.reason.clone(), at_ms: self.at.0 }
    }

    fn from_message(message: v1::Halt) -> Result<Self, CodecError> {
        Ok(Self { on: message.on, by: actor(&message.by)?, reason: message.reason, at: Timestamp(message.at_ms) })
    }
}

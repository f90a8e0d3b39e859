//! Tokens, operators, policies, certificates.

use patchwave_common::domain::{HostId, OperatorName, ParseError, PolicyName, Timestamp, TokenId};
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::certificate;

use super::{
    CodecError, Stored, actor, digest, known, labels_from_message, labels_to_message, mode_from_message, mode_to_message, required,
    timestamp, unspecified,
};
use crate::records::{CertificateRecord, OperatorRecord, OperatorRole, PolicyRecord, Revocation, Serial, Subject, TokenRecord};

impl Stored for TokenRecord {
    type Message = v1::Token;
    const WHAT: &'static str = "token";

    fn to_message(&self) -> v1::Token {
        v1::Token {
            id: self.id.to_string(),
            secret_hash: self.secret_hash.0.to_vec(),
            mode: mode_to_message(self.mode),
            labels: labels_to_message(&self.labels),
            uses: self.uses,
            uses_limit: self.uses_limit,
            created_at_ms: self.created_at.0,
            created_by: self.created_by.to_string(),
            expires_at_ms: self.expires_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        }
    }

    fn from_message(message: v1::Token) -> Result<Self, CodecError> {
        Ok(Self {
            id: TokenId::parse(message.id)?,
            secret_hash: digest(&message.secret_hash)?,
            mode: mode_from_message(message.mode)?,
            labels: labels_from_message(message.labels)?,
            uses: message.uses,
            uses_limit: message.uses_limit,
            created_at: Timestamp(message.created_at_ms),
            created_by: actor(&message.created_by)?,
            expires_at: Timestamp(message.expires_at_ms),
            revoked_at: timestamp(message.revoked_at_ms),
        })
    }
}

impl Stored for OperatorRecord {
    type Message = v1::Operator;
    const WHAT: &'static str = "operator";

    fn to_message(&self) -> v1::Operator {
        let role = match self.role {
            OperatorRole::Viewer => v1::OperatorRole::Viewer,
            OperatorRole::Operator => v1::OperatorRole::Operator,
            OperatorRole::Approver => v1::OperatorRole::Approver,
            OperatorRole::Admin => v1::OperatorRole::Admin,
        };
        v1::Operator {
            name: self.name.to_string(),
            revision: self.revision,
            role: role.into(),
            created_at_ms: self.created_at.0,
            created_by: self.created_by.to_string(),
            revoked_at_ms: self.revoked_at.map(|at| at.0),
            certificates: self.certificates.iter().map(ToString::to_string).collect(),
        }
    }

    fn from_message(message: v1::Operator) -> Result<Self, CodecError> {
        let role = match known(message.role, "operator role")? {
            v1::OperatorRole::Viewer => OperatorRole::Viewer,
            v1::OperatorRole::Operator => OperatorRole::Operator,
            v1::OperatorRole::Approver => OperatorRole::Approver,
            v1::OperatorRole::Admin => OperatorRole::Admin,
            v1::OperatorRole::Unspecified => return unspecified("operator role"),
        };
        let certificates: Result<_, ParseError> = message.certificates.iter().map(|serial| Serial::parse(serial)).collect();
        Ok(Self {
            name: OperatorName::parse(message.name)?,
            revision: message.revision,
            role,
            created_at: Timestamp(message.created_at_ms),
            created_by: actor(&message.created_by)?,
            revoked_at: timestamp(message.revoked_at_ms),
            certificates: certificates?,
        })
    }
}

impl Stored for PolicyRecord {
    type Message = v1::Policy;
    const WHAT: &'static str = "policy";

    fn to_message(&self) -> v1::Policy {
        v1::Policy {
            name: self.name.to_string(),
            revision: self.revision,
            toml: self.toml.clone(),
            by: self.by.to_string(),
            at_ms: self.at.0,
        }
    }

    fn from_message(message: v1::Policy) -> Result<Self, CodecError> {
        Ok(Self {
            name: PolicyName::parse(message.name)?,
            revision: message.revision,
            toml: message.toml,
            by: actor(&message.by)?,
            at: Timestamp(message.at_ms),
        })
    }
}

impl Stored for CertificateRecord {
    type Message = v1::Certificate;
    const WHAT: &'static str = "certificate";

    fn to_message(&self) -> v1::Certificate {
        let subject = match &self.subject {
            Subject::Host(id) => certificate::Subject::Host(id.to_string()),
            Subject::Operator(name) => certificate::Subject::Operator(name.to_string()),
            Subject::Server => certificate::Subject::Server(certificate::Server {}),
        };
        v1::Certificate {
            serial: self.serial.to_string(),
            subject: Some(subject),
            issued_at_ms: self.issued_at.0,
            not_after_ms: self.not_after.0,
            revoked: self.revoked.as_ref().map(|end| certificate::Revocation { at_ms: end.at.0, reason: end.reason.clone() }),
        }
    }

    fn from_message(message: v1::Certificate) -> Result<Self, CodecError> {
        let subject = match required(message.subject, "certificate subject")? {
            certificate::Subject::Host(id) => Subject::Host(HostId::parse(id)?),
            certificate::Subject::Operator(name) => Subject::Operator(OperatorName::parse(name)?),
            certificate::Subject::Server(_) => Subject::Server,
        };
        Ok(Self {
            serial: Serial::parse(&message.serial)?,
            subject,
            issued_at: Timestamp(message.issued_at_ms),
            not_after: Timestamp(message.not_after_ms),
            revoked: message.revoked.map(|end| Revocation { at: Timestamp(end.at_ms), reason: end.reason }),
        })
    }
}

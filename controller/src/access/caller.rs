//! Callers.

use patchwave_common::domain::{HostId, HostMode, OperatorName};

use crate::records::OperatorRole;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No certificate.
    Anonymous,
    /// A host whose certificate has expired, but was not revoked.
    ExpiredHost {
        /// The host.
        id: HostId,
    },
    /// A host.
    Host {
        /// The host.
        id: HostId,
        /// What it agreed to.
        mode: HostMode,
    },
    /// An operator.
    Operator {
        /// The name.
        name: OperatorName,
        /// The role.
        role: OperatorRole,
    },
}

/// The kinds of caller that the table speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerKind {
    /// No certificate.
    Anonymous,
    /// Expired, not revoked, for no more than 90 days.
    ExpiredHost,
    /// A host that reports only.
    ReportOnlyHost,
    /// A host that is patched.
    ManagedHost,
    /// An operator who reads.
    Viewer,
    /// An operator who runs rollouts.
    Operator,
    /// An operator who approves.
    Approver,
    /// An operator who manages all.
    Admin,
}

impl Caller {
    /// The kind, for the table.
    #[must_use]
    pub fn kind(&self) -> CallerKind {
        match self {
            Self::Anonymous => CallerKind::Anonymous,
            Self::ExpiredHost { .. } => CallerKind::ExpiredHost,
            Self::Host { mode: HostMode::ReportOnly, .. } => CallerKind::ReportOnlyHost,
            Self::Host { mode: HostMode::Managed, .. } => CallerKind::ManagedHost,
            Self::Operator { role, .. } => match role {
                OperatorRole::Viewer => CallerKind::Viewer,
                OperatorRole::Operator => CallerKind::Operator,
                OperatorRole::Approver => CallerKind::Approver,
                OperatorRole::Admin => CallerKind::Admin,
            },
        }
    }
}

/// Why a certificate opens nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Revoked.
    #[error("this certificate was revoked (hint: a host enrols again with a new token; an operator asks an admin for a new certificate)")]
    Revoked,
    /// The host was retired or replaced.
    #[error("host {0} was retired (hint: to bring this machine back, enrol it again with a new token)")]
    Retired(HostId),
    /// Two running agents used its key.
    #[error(
        "host {0} is stopped as a clone: two running agents used its key (hint: retire it, run `patchwave-agent seal` on both machines and enrol each anew)"
    )]
    Cloned(HostId),
    /// The certificate names somebody whom the controller does not know, e.g. after an older backup was restored.
    #[error("{0} is not known here (hint: a host enrols again with a new token; an operator asks an admin for a new certificate)")]
    Unknown(String),
    /// Expired for so long that it cannot even renew.
    #[error("this certificate expired more than 90 days ago (hint: enrol again with a new token)")]
    ExpiredLongAgo,
    /// An operator's certificate that has expired.
    #[error("this operator certificate has expired (hint: an admin makes a new one: `patchwave operator create`)")]
    OperatorExpired,
    /// A controller's certificate is no caller's.
    #[error("a controller's certificate makes no calls")]
    NotACaller,
}

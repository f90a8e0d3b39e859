//! Operators and their roles.

use patchwave_common::domain::{OperatorName, ParseError, Timestamp};

use super::{Actor, Serial};

/// What an operator may do; each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorRole {
    /// Reads.
    Viewer,
    /// Plans and runs rollouts, labels and retires hosts, makes tokens.
    Operator,
    /// Approves rollouts.
    Approver,
    /// Manages operators and everything else.
    Admin,
}

impl OperatorRole {
    /// Every role, least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| ParseError::new("role", text, "viewer, operator, approver or admin"))
    }
}

impl std::fmt::Display for OperatorRole {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// The name, as in the certificate.
    pub name: OperatorName,
    /// The store's revision of this record; see the module head.
    pub revision: u64,
    /// What the operator may do.
    pub role: OperatorRole,
    /// When made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// When revoked.
    pub revoked_at: Option<Timestamp>,
    /// Serials of the certificates given out, oldest first.
    pub certificates: Vec<Serial>,
}

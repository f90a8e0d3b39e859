//! Join tokens.

use patchwave_common::domain::{Digest, HostMode, Labels, Timestamp, TokenId};

use super::Actor;

/// A join token: bounded uses, bounded time, fixed labels and mode. The secret itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The public part; names it in lists.
    pub id: TokenId,
    /// SHA-256 of the secret part (which is random, so that a plain hash is enough).
    pub secret_hash: Digest,
    /// Mode of the hosts that it enrols.
    pub mode: HostMode,
    /// Labels of the hosts that it enrols.
    pub labels: Labels,
    /// How often it was used.
    pub uses: u32,
    /// How often it may be used.
    pub uses_limit: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// The first instant at which it is no longer accepted.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Uses that are left, whatever the clock says.
    #[must_use]
    pub fn uses_left(&self) -> u32 {
        self.uses_limit.saturating_sub(self.uses)
    }
}

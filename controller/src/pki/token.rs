//! Join tokens: `pw1.<id>.<secret>`, the secret being 32 random bytes in base32.
//!
//! The controller keeps the id and the SHA-256 of the secret. The secret has 256 random bits, so a plain hash is enough; it is compared in
//! constant time. What is wrong with a token is told only to who holds its secret: to a guesser every token is simply unknown.

use std::fmt;
use std::time::Duration;

use patchwave_common::domain::{Digest, HostMode, Labels, Timestamp, TokenId};

use crate::random::{base32, is_base32};
use crate::records::{Actor, TokenRecord};

/// The form's version, so that a later one is told apart.
const PREFIX: &str = "pw1";
/// 32 bytes in base32 without padding.
const SECRET_CHARS: usize = 52;
/// Bound on a token as presented, spaces included.
const TOKEN_MAX_BYTES: usize = 200;
/// Most uses of a token: a fleet's worth of hosts; whoever needs more makes another.
const MAX_USES: u32 = 100_000;
/// Longest life of a token: one baked into an image must be replaced with the image.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 86_400);

/// Why a token does not enrol a host, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the form of a token.
    #[error(
        "this is not a join token: it must look like pw1.<id>.<secret>; hint: copy the whole line that `patchwave token create` printed"
    )]
    Malformed,
    /// No such id, or not its secret.
    #[error("the controller does not know this join token; hint: check that it was copied whole and belongs to this controller")]
    Unknown,
    /// Its time is over.
    #[error("the join token {id} expired at {at}; hint: make a new one with `patchwave token create`")]
    Expired {
        /// The token.
        id: TokenId,
        /// When.
        at: Timestamp,
    },
    /// Its uses are used.
    #[error("the join token {id} is used up ({limit} of {limit}); hint: make a new one with `patchwave token create`")]
    UsedUp {
        /// The token.
        id: TokenId,
        /// How often it could be used.
        limit: u32,
    },
    /// An operator revoked it.
    #[error("the join token {id} was revoked; hint: ask for a new one")]
    Revoked {
        /// The token.
        id: TokenId,
    },
    /// It was asked for with bounds that no token may have.
    #[error("no such join token can be made: {0}")]
    Bounds(String),
}

/// The text of a token: shown once, never stored, never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// The text, to be handed to its one reader.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenSecret")
    }
}

/// What an operator asks of a new token.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Mode of its hosts.
    pub mode: HostMode,
    /// Labels of its hosts.
    pub labels: Labels,
    /// How long it is good.
    pub lifetime: Duration,
    /// How often it may be used.
    pub uses: u32,
}

/// A token that was just made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// For the one who asked.
    pub secret: TokenSecret,
    /// For the store.
    pub record: TokenRecord,
}

impl NewToken {
    /// Makes a token.
    pub fn make(request: TokenRequest, created_by: Actor, now: Timestamp) -> Result<Self, TokenError> {
        if request.uses == 0 || request.uses > MAX_USES {
            return Err(TokenError::Bounds(format!("its uses must be 1 to {MAX_USES}, not {}", request.uses)));
        }
        if request.lifetime.is_zero() || request.lifetime > MAX_LIFETIME {
            return Err(TokenError::Bounds("its lifetime must be between a moment and 366 days".to_owned()));
        }
        let id =
            TokenId::parse(format!("t-{}", base32(&rand::random::<[u8; 5]>()))).map_err(|error| TokenError::Bounds(error.to_string()))?;
        let secret = base32(&rand::random::<[u8; 32]>());
        let record = TokenRecord {
            id: id.clone(),
            secret_hash: Digest::of(secret.as_bytes()),
            mode: request.mode,
            labels: request.labels,
            uses: 0,
            uses_limit: request.uses,
            created_at: now,
            created_by,
            expires_at: now.plus(request.lifetime),
            revoked_at: None,
        };
        Ok(Self { secret: TokenSecret(format!("{PREFIX}.{id}.{secret}")), record })
    }
}

/// A token as a host presented it: well-formed, nothing else known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// The record to look up.
    pub id: TokenId,
    secret_hash: Digest,
}

impl PresentedToken {
    /// Reads a token; letter case and surrounding space do not matter.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let text = text.trim().to_ascii_lowercase();
        let parts: Vec<&str> = text.split('.').collect();
        let [PREFIX, id, secret] = parts.as_slice() else { return Err(TokenError::Malformed) };
        if secret.len() != SECRET_CHARS || !is_base32(secret) {
            return Err(TokenError::Malformed);
        }
        let id = TokenId::parse(id).map_err(|_| TokenError::Malformed)?;
        Ok(Self { id, secret_hash: Digest::of(secret.as_bytes()) })
    }

    /// Whether it enrols a host at `now`; `record` is what the store has under its id. Counting the use is the caller's, under a guard.
    pub fn verify(&self, record: Option<&TokenRecord>, now: Timestamp) -> Result<(), TokenError> {
        // Without a record the same comparison is made, so that time does not tell which ids exist.
        let kept = record.map_or(Digest([0; 32]), |record| record.secret_hash);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&kept.0, &self.secret_hash.0).is_ok();
        let Some(record) = record.filter(|record| same && record.id == self.id) else {
            return Err(TokenError::Unknown);
        };
        let id = record.id.clone();
        if record.revoked_at.is_some() {
            Err(TokenError::Revoked { id })
        } else if now >= record.expires_at {
            Err(TokenError::Expired { id, at: record.expires_at })
        } else if record.uses_left() == 0 {
            Err(TokenError::UsedUp { id, limit: record.uses_limit })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn request() -> TokenRequest {
        TokenRequest { mode: HostMode::Managed, labels: Labels::default(), lifetime: Duration::from_secs(3600), uses: 2 }
    }

    fn made() -> (PresentedToken, TokenRecord) {
        let token = NewToken::make(request(), Actor::Local, NOW).unwrap();
        (PresentedToken::parse(token.secret.expose()).unwrap(), token.record)
    }

    #[test]
    fn a_new_token_enrols_and_its_record_does_not_hold_the_secret() {
        let token = NewToken::make(request(), Actor::Local, NOW).unwrap();
        let text = token.secret.expose().to_owned();
        let shouted = format!(" {} \n", text.to_ascii_uppercase());
        for text in [text.as_str(), &shouted] {
            let presented = PresentedToken::parse(text).unwrap();
            assert_eq!(presented.verify(Some(&token.record), NOW), Ok(()));
        }
        let secret = text.rsplit('.').next().unwrap();
        assert!(!format!("{token:?}").contains(secret));
    }

    #[test]
    fn an_expired_a_used_up_and_a_revoked_token_each_say_so() {
        let (presented, mut record) = made();
        let last = Timestamp(record.expires_at.0 - 1);
        assert_eq!(presented.verify(Some(&record), last), Ok(()));
        assert!(matches!(presented.verify(Some(&record), record.expires_at), Err(TokenError::Expired { .. })));
        record.uses = 2;
        assert!(matches!(presented.verify(Some(&record), NOW), Err(TokenError::UsedUp { limit: 2, .. })));
        record.revoked_at = Some(NOW);
        assert!(matches!(presented.verify(Some(&record), NOW), Err(TokenError::Revoked { .. })));
    }

    #[test]
    fn a_forged_token_is_unknown_whatever_state_the_real_one_is_in() {
        let (presented, mut record) = made();
        let forged = PresentedToken { secret_hash: Digest::of(b"guess"), ..presented.clone() };
        record.revoked_at = Some(NOW);
        assert_eq!(forged.verify(Some(&record), NOW), Err(TokenError::Unknown));
        assert_eq!(presented.verify(None, NOW), Err(TokenError::Unknown));
        let (other, _) = made();
        assert_eq!(other.verify(Some(&record), NOW), Err(TokenError::Unknown));
    }

    #[test]
    fn text_that_is_no_token_is_refused_as_such() {
        let good = NewToken::make(request(), Actor::Local, NOW).unwrap().secret.expose().to_owned();
        let cut = &good[..good.len() - 1];
        let long = format!("{good}a");
        let (other_version, outside_alphabet) = (good.replacen("pw1", "pw2", 1), format!("{cut}1"));
        let flood = " ".repeat(10_000);
        for text in ["", "pw1", "pw1..", cut, &long, &other_version, &outside_alphabet, &flood] {
            assert_eq!(PresentedToken::parse(text), Err(TokenError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_token_without_bounds_cannot_be_made() {
        for (uses, secs) in [(0, 60), (MAX_USES + 1, 60), (1, 0), (1, 400 * 86_400)] {
            let request = TokenRequest { uses, lifetime: Duration::from_secs(secs), ..request() };
            assert!(matches!(NewToken::make(request, Actor::Local, NOW), Err(TokenError::Bounds(_))));
        }
    }
}

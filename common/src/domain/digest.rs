//! SHA-256 digests, the one hash used for content.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::ParseError;

/// A SHA-256 digest. Shown and stored in JSON as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits; colons between pairs (as fingerprints are often shown) and a `sha256:` prefix are allowed.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::new("SHA-256 digest", text, "64 hexadecimal digits");
        let bare: String = text.trim().trim_start_matches("sha256:").chars().filter(|&c| c != ':').collect();
        // A sign in front of a digit would be read as a number, too.
        if bare.len() != 64 || !bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&bare[index * 2..index * 2 + 2], 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }

    /// Takes the bytes of a digest as they travel on the wire; anything but 32 bytes is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        bytes.try_into().map(Self).map_err(|_| ParseError::new("SHA-256 digest", &format!("{} bytes", bytes.len()), "32 bytes"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseError;
    fn try_from(value: String) -> Result<Self, Self::Error> {
        Self::parse(&value)
    }
}

impl From<Digest> for String {
    fn from(value: Digest) -> Self {
        value.to_string()
    }
}

/// Digest over a sequence of fields, each with its length, so that ("ab","c") and ("a","bc") differ.
#[derive(Default)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The digest of all fields added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_digits_and_nothing_else() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::parse(&format!("sha256:{digest}")).as_ref(), Ok(&digest));
        for bad in ["+f".repeat(32), "ä".repeat(32), "0".repeat(63), "0x".repeat(32), " 0".repeat(32)] {
            assert!(Digest::parse(&bad).is_err(), "{bad}");
        }
    }
}

//! Certificates that the controller's CA gave out.

use std::fmt;

use patchwave_common::domain::{HostId, OperatorName, ParseError, Timestamp};

/// A certificate's serial number: 1 to 20 bytes (RFC 5280) as lower-case hexadecimal digits, two a byte, without leading zero bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(std::sync::Arc<str>);

impl Serial {
    /// The serial of these big-endian bytes; leading zero bytes are dropped, so that both DER forms of a number are one serial.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        if bytes.is_empty() || bytes.len() > 20 {
            return Err(ParseError::new("certificate serial", &format!("{} bytes", bytes.len()), "1 to 20 bytes, not all zero"));
        }
        // Asked again and again for every open call, so without a string for each byte.
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        let digits: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        Ok(Self(digits.into()))
    }

    /// Reads the hexadecimal form; colons between pairs are allowed.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::new("certificate serial", text, "2 to 40 hexadecimal digits");
        let bare: String = text.chars().filter(|&character| character != ':').collect();
        if bare.is_empty() || !bare.len().is_multiple_of(2) || bare.len() > 64 || !bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let bytes: Result<Vec<u8>, _> = (0..bare.len()).step_by(2).map(|at| u8::from_str_radix(&bare[at..at + 2], 16)).collect();
        Self::from_bytes(&bytes.map_err(|_| refuse())?)
    }

    /// The hexadecimal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Whom a certificate names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A host.
    Host(HostId),
    /// An operator.
    Operator(OperatorName),
    /// A controller, as a server.
    Server,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Its serial.
    pub serial: Serial,
    /// Whom it names.
    pub subject: Subject,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// Set where it was revoked.
    pub revoked: Option<Revocation>,
}

/// The end of a certificate before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// Why, in plain words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_serial_is_the_same_in_all_its_forms() {
        let serial = Serial::from_bytes(&[0, 0xab, 1]).unwrap();
        assert_eq!(serial.as_str(), "ab01");
        for text in ["ab01", "AB:01", "00ab01"] {
            assert_eq!(Serial::parse(text).unwrap(), serial, "{text}");
        }
    }

    #[test]
    fn a_malformed_serial_is_refused() {
        for text in ["", "a", "00", "zz", "ä0", &"ab".repeat(21)] {
            assert!(Serial::parse(text).is_err(), "{text}");
        }
    }
}

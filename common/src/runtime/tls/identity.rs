//! Who a certificate names.
//!
//! A certificate names exactly one party, by exactly one URI. Anything else (no URI, two, another scheme, another trust domain, an
//! unknown path) is refused: a certificate is never half understood. Parsing happens after the signature was verified, so what is
//! read here was written by the fleet's own authority.

use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::domain::{Digest, HostId, OperatorName, ParseError, Timestamp, clean_text};

/// Bound of SPIFFE on a trust domain's name.
const TRUST_DOMAIN_MAX_BYTES: usize = 255;

/// Names a fleet: the authority part of every identity in it. Two fleets never share one authority's certificate, and a certificate that
/// names another trust domain is refused even if the signature fits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(std::sync::Arc<str>);

impl TrustDomain {
    /// Checks the form: 1 to 255 lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let good = text.len() <= TRUST_DOMAIN_MAX_BYTES
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
        if good {
            Ok(Self(text.into()))
        } else {
            const ALLOWED: &str = "1 to 255 lower-case letters, digits, '-', '_' and '.', starting with a letter or digit";
            Err(ParseError::new("trust domain", text, ALLOWED))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no certificate.
    #[error("not a readable X.509 certificate")]
    Unreadable,
    /// Not exactly one URI among the alternative names.
    #[error("the certificate holds {found} URI names instead of exactly one")]
    NotOneUri {
        /// How many it holds.
        found: usize,
    },
    /// The URI is none of ours.
    #[error("\"{uri}\" is no Patchwave identity: expected spiffe://<trust-domain>/host/<id>, …/operator/<name> or …/controller")]
    NotOurs {
        /// The URI, cleaned and shortened.
        uri: String,
    },
    /// Not an authority's certificate.
    #[error("the certificate with the name \"{uri}\" is not that of a Patchwave authority")]
    NotAnAuthority {
        /// The URI, cleaned and shortened.
        uri: String,
    },
    /// Another fleet.
    #[error("the certificate belongs to the trust domain \"{found}\", not to \"{expected}\"")]
    ForeignTrustDomain {
        /// What it names.
        found: TrustDomain,
        /// What was expected.
        expected: TrustDomain,
    },
}

/// Who a certificate names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerIdentity {
    /// A host's agent.
    Host(HostId),
    /// A person or a program with a role.
    Operator(OperatorName),
    /// A controller, as a server.
    Controller,
}

impl PeerIdentity {
    /// Reads `spiffe://<trust-domain>/…`; the exact form that [`PeerIdentity::uri`] writes and no other (no port, no query, no percent
    /// encoding, no empty or further path segment).
    pub fn parse_uri(uri: &str) -> Result<(TrustDomain, Self), IdentityError> {
        let refuse = || IdentityError::NotOurs { uri: clean_text(uri, 120) };
        let (domain, path) = uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).ok_or_else(refuse)?;
        let domain = TrustDomain::parse(domain).map_err(|_| refuse())?;
        let identity = match path.split_once('/') {
            Some(("host", id)) => Self::Host(HostId::parse(id).map_err(|_| refuse())?),
            Some(("operator", name)) => Self::Operator(OperatorName::parse(name).map_err(|_| refuse())?),
            None if path == "controller" => Self::Controller,
            _ => return Err(refuse()),
        };
        Ok((domain, identity))
    }

    /// The URI that stands in the certificate.
    #[must_use]
    pub fn uri(&self, domain: &TrustDomain) -> String {
        match self {
            Self::Host(id) => format!("spiffe://{domain}/host/{id}"),
            Self::Operator(name) => format!("spiffe://{domain}/operator/{name}"),
            Self::Controller => format!("spiffe://{domain}/controller"),
        }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(id) => write!(formatter, "host:{id}"),
            Self::Operator(name) => write!(formatter, "operator:{name}"),
            Self::Controller => formatter.write_str("controller"),
        }
    }
}

/// What a certificate says. Made from one whose signature was verified; proves nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The fleet.
    pub trust_domain: TrustDomain,
    /// The party.
    pub identity: PeerIdentity,
    /// Serial number, big-endian, without leading zero bytes.
    pub serial: Vec<u8>,
    /// First instant of validity.
    pub not_before: Timestamp,
    /// Last instant of validity (to the second).
    pub not_after: Timestamp,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
}

impl PeerCertificate {
    /// Reads a certificate of any trust domain.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        let (trust_domain, identity) = PeerIdentity::parse_uri(&one_uri(&certificate)?)?;
        let serial: Vec<u8> = certificate.raw_serial().iter().copied().skip_while(|&byte| byte == 0).collect();
        Ok(Self {
            trust_domain,
            identity,
            serial,
            not_before: Timestamp(certificate.validity().not_before.timestamp().saturating_mul(1000)),
            not_after: Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)),
            fingerprint: Digest::of(der),
        })
    }

    /// Like [`PeerCertificate::parse`], and it must belong to `expected`.
    pub fn parse_in(der: &CertificateDer<'_>, expected: &TrustDomain) -> Result<Self, IdentityError> {
        let parsed = Self::parse(der)?;
        if parsed.trust_domain == *expected {
            Ok(parsed)
        } else {
            Err(IdentityError::ForeignTrustDomain { found: parsed.trust_domain, expected: expected.clone() })
        }
    }

    /// When to renew it: at two thirds of its life, and up to a twentieth of it later, by its (random) serial, so that hosts enrolled
    /// together do not renew together for ever.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        let life_ms = self.not_after.0.saturating_sub(self.not_before.0).max(0);
        let spread = self.serial.last().copied().map_or(0, i64::from);
        Timestamp(self.not_before.0.saturating_add(life_ms / 3 * 2).saturating_add(life_ms / 20 / 256 * spread))
    }

    /// Whether it is past its last second at `now`: the same reading of the last second as the handshake has.
    #[must_use]
    pub fn expired_at(&self, now: Timestamp) -> bool {
        now.0.div_euclid(1000) > self.not_after.0.div_euclid(1000)
    }
}

/// What an authority's own certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    /// The fleet: the certificate's one URI is `spiffe://<trust-domain>`, without a path.
    pub trust_domain: TrustDomain,
    /// Last instant of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
}

impl AuthorityCertificate {
    /// Reads it; a certificate that is no authority's is refused.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        let uri = one_uri(&certificate)?;
        let domain = uri.strip_prefix("spiffe://").and_then(|domain| TrustDomain::parse(domain).ok());
        match domain {
            Some(trust_domain) if certificate.is_ca() => Ok(Self {
                trust_domain,
                not_after: Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)),
                fingerprint: Digest::of(der),
            }),
            _ => Err(IdentityError::NotAnAuthority { uri: clean_text(&uri, 120) }),
        }
    }
}

/// The DNS names and IP addresses of a server's certificate, as text, sorted.
pub fn server_names(der: &CertificateDer<'_>) -> Result<Vec<String>, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut texts: Vec<String> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address_text(octets),
            _ => None,
        })
        .collect();
    texts.sort();
    Ok(texts)
}

fn address_text(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok().map(|address| address.to_string())
}

/// The one URI among the alternative names.
fn one_uri(certificate: &X509Certificate<'_>) -> Result<String, IdentityError> {
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let uris: Vec<&str> = names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None }).collect();
    match uris.as_slice() {
        [uri] => Ok((*uri).to_owned()),
        _ => Err(IdentityError::NotOneUri { found: uris.len() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_identities_read_back_as_they_were_written() {
        let domain = TrustDomain::parse("fleet.example").unwrap();
        for identity in [
            PeerIdentity::Host(HostId::parse("h-7k2m").unwrap()),
            PeerIdentity::Operator(OperatorName::parse("alice@example.org").unwrap()),
            PeerIdentity::Controller,
        ] {
            assert_eq!(PeerIdentity::parse_uri(&identity.uri(&domain)), Ok((domain.clone(), identity)));
        }
    }

    #[test]
    fn everything_but_the_exact_form_is_refused() {
        for uri in [
            "",
            "spiffe://",
            "spiffe:///host/a",
            "spiffe://fleet",
            "spiffe://fleet/",
            "spiffe://fleet/host",
            "spiffe://fleet/host/",
            "spiffe://fleet/host/a/b",
            "spiffe://fleet/host//a",
            "spiffe://fleet//host/a",
            "spiffe://fleet/host/A",
            "spiffe://fleet/host/a%2fb",
            "spiffe://fleet/host/..",
            "spiffe://fleet/host/a?x",
            "spiffe://fleet/host/a#x",
            "spiffe://fleet/host/a\0",
            "spiffe://fleet/controller/",
            "spiffe://fleet/controller/x",
            "spiffe://fleet/Controller",
            "spiffe://fleet:443/controller",
            "spiffe://user@fleet/controller",
            "spiffe://Fleet/controller",
            "SPIFFE://fleet/controller",
            "https://fleet/controller",
            " spiffe://fleet/controller",
            "spiffe://fleet/operator/-rf",
            "spiffe://fleet/workload/a",
        ] {
            assert!(matches!(PeerIdentity::parse_uri(uri), Err(IdentityError::NotOurs { .. })), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_uri_has_two_readings(uri in "spiffe://[a-zA-Z0-9._:@%/?#-]{0,40}") {
            if let Ok((domain, identity)) = PeerIdentity::parse_uri(&uri) {
                prop_assert_eq!(identity.uri(&domain), uri);
            }
        }

        #[test]
        fn near_identities_have_one_reading_or_none(
            domain in "[a-zA-Z0-9.:-]{1,8}", kind in "(host|operator|controller|Host|hosts)", name in "[a-zA-Z0-9@./%-]{0,12}"
        ) {
            let uri = format!("spiffe://{domain}/{kind}/{name}");
            if let Ok((parsed, identity)) = PeerIdentity::parse_uri(&uri) {
                prop_assert_eq!(identity.uri(&parsed), uri);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_fail_otherwise_than_by_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(PeerCertificate::parse(&CertificateDer::from(bytes)).is_err());
        }
    }
}

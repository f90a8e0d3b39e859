//! Certificates and private keys in memory, and the slot that swaps them under live listeners and connectors.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};
use crate::domain::Digest;

/// Bound on the certificates in one PEM file: our chains hold two.
const MAX_CHAIN: usize = 8;

/// The certificates of a PEM text, in order: at least one.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .take(MAX_CHAIN + 1)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Pem { what: "certificate", reason: pem_problem(&error).into() })?;
    match certificates.len() {
        0 => Err(TlsError::Pem { what: "certificate", reason: "no BEGIN CERTIFICATE line".into() }),
        length if length > MAX_CHAIN => Err(TlsError::Pem { what: "certificate", reason: format!("more than {MAX_CHAIN} certificates") }),
        _ => Ok(certificates),
    }
}

/// What is wrong with a PEM text, without its contents: the reader's own words quote them, at any length, and who swaps two files hands us
/// a private key here.
fn pem_problem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a BEGIN line without its END line",
        pem::Error::IllegalSectionStart { .. } => "a malformed BEGIN line",
        pem::Error::Base64Decode(_) => "contents that are not base64",
        _ => "it cannot be read",
    }
}

/// A chain and its private key, both PEM; refused unless the key fits the first certificate.
pub fn certified_key(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates_from_pem(chain_pem)?;
    // The reason is not passed on: it could quote the key.
    let key = PrivateKeyDer::from_pem_slice(key_pem)
        .map_err(|_| TlsError::Pem { what: "private key", reason: "no PEM private key in it".into() })?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Key)?;
    Ok(Arc::new(certified))
}

/// SHA-256 of a certificate in DER: how people compare authorities.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Digest {
    Digest::of(certificate)
}

/// Where a listener or a connector finds its certificate at each handshake. [`KeySlot::replace`] takes effect for the next handshake;
/// connections that are open keep what they have.
pub struct KeySlot(RwLock<Option<Arc<CertifiedKey>>>);

impl KeySlot {
    /// A slot that holds `key`, or nothing: then a client presents no certificate, and a server can serve nobody.
    #[must_use]
    pub fn new(key: Option<Arc<CertifiedKey>>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(key)))
    }

    /// Puts another key in.
    pub fn replace(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// What it holds now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for KeySlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeySlot")
    }
}

impl ResolvesServerCert for KeySlot {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

impl ResolvesClientCert for KeySlot {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current()
    }

    fn has_certs(&self) -> bool {
        self.current().is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_wrong_with_a_pem_text_is_told_without_its_contents() {
        let secret = "S3CRETKEYS3CRETKEY";
        for text in [
            format!("-----BEGIN {secret}"),
            format!("-----BEGIN CERTIFICATE-----\n{secret}\n-----END {secret}-----\n"),
            format!("-----BEGIN CERTIFICATE-----\n{secret}!\n-----END CERTIFICATE-----\n"),
            format!("-----BEGIN {}-----\n", "x\u{1b}".repeat(10_000)),
            secret.to_owned(),
        ] {
            let error = certificates_from_pem(text.as_bytes()).unwrap_err().to_string();
            // Not as text, and not as a list of byte values either.
            assert!(!error.contains("S3CRET") && !error.contains("83, 51, 67") && error.len() < 300, "{error}");
        }
    }
}

//! How agents and the command line judge a controller's certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use super::{FingerprintMismatch, IdentityError, PeerCertificate, PeerIdentity, TrustDomain, fingerprint, provider};
use crate::domain::Digest;

/// The authority that is trusted: the whole certificate, or before enrolment only its fingerprint.
#[derive(Debug)]
pub(super) enum Pin {
    Certificate { roots: RootCertStore, trust_domain: TrustDomain },
    Fingerprint(Digest),
}

/// Accepts a server only if the pinned authority signed its certificate for the name that was asked for, and it names a controller.
///
/// A certificate that is not valid *yet* is accepted: it means that this machine's clock is behind (an empty battery, a restored
/// snapshot), and only through the connection does the controller learn of it and say so. An expired one is refused.
#[derive(Debug)]
pub(super) struct ControllerVerifier {
    pin: Pin,
    provider: Arc<CryptoProvider>,
}

/// The server's certificate is good, and names somebody else than a controller.
#[derive(Debug, thiserror::Error)]
#[error("its certificate names {0}, not a controller")]
struct NotAController(PeerIdentity);

/// Pinned by fingerprint, the server must show the authority's certificate.
#[derive(Debug, thiserror::Error)]
#[error("the server shows no certificate of an authority; hint: is this a Patchwave controller's port?")]
struct NoAuthorityShown;

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

impl ControllerVerifier {
    pub(super) fn new(pin: Pin) -> Arc<Self> {
        Arc::new(Self { pin, provider: provider() })
    }

    fn verify_chain(&self, end_entity: &CertificateDer<'_>, roots: &RootCertStore, now: UnixTime) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verify = |at| verify_server_cert_signed_by_trust_anchor(&parsed, roots, &[], at, algorithms);
        match verify(now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => verify(not_before),
            verdict => verdict,
        }
    }

    /// The certificate among those shown that has the pinned fingerprint, as the only root.
    fn roots_by_fingerprint(expected: Digest, shown: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
        match shown.iter().find(|certificate| fingerprint(certificate) == expected) {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone().into_owned())?;
                Ok(roots)
            }
            None => Err(match shown.last() {
                Some(last) => other(FingerprintMismatch { expected, presented: fingerprint(last) }),
                None => other(NoAuthorityShown),
            }),
        }
    }
}

impl ServerCertVerifier for ControllerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let named: Result<PeerCertificate, IdentityError> = match &self.pin {
            Pin::Certificate { roots, trust_domain } => {
                self.verify_chain(end_entity, roots, now)?;
                PeerCertificate::parse_in(end_entity, trust_domain)
            }
            Pin::Fingerprint(expected) => {
                self.verify_chain(end_entity, &Self::roots_by_fingerprint(*expected, intermediates)?, now)?;
                PeerCertificate::parse(end_entity)
            }
        };
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        match named.map_err(other)?.identity {
            PeerIdentity::Controller => Ok(ServerCertVerified::assertion()),
            somebody => Err(other(NotAController(somebody))),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

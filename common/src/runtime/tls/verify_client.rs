//! How a controller judges the certificates of those who connect.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme};

use super::{PeerCertificate, PeerIdentity, TlsError, TrustDomain, provider};

/// Lets in: nobody's certificate (to enrol), and one that the authority signed for client use and that names a host or an operator of
/// this trust domain, *also after it expired*; the request layer allows such a caller only to renew. Refuses all else.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    strict: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
}

impl CallerVerifier {
    pub(super) fn new(authority: &CertificateDer<'static>, trust_domain: TrustDomain) -> Result<Arc<Self>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(TlsError::Authority)?;
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Authority(Error::General(error.to_string())))?;
        Ok(Arc::new(Self { strict, trust_domain }))
    }
}

impl ClientCertVerifier for CallerVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // The authority signs directly: intermediates that a caller sends are not looked at.
        let verified = match self.strict.verify_client_cert(end_entity, &[], now) {
            // Once more, at the certificate's last second: everything but its age must hold.
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                self.strict.verify_client_cert(end_entity, &[], not_after)
            }
            verdict => verdict,
        }?;
        match PeerCertificate::parse_in(end_entity, &self.trust_domain) {
            Ok(PeerCertificate { identity: PeerIdentity::Host(_) | PeerIdentity::Operator(_), .. }) => Ok(verified),
            Ok(PeerCertificate { identity: PeerIdentity::Controller, .. }) => Err(CertificateError::InvalidPurpose.into()),
            Err(error) => Err(CertificateError::Other(OtherError(Arc::new(error))).into()),
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
        self.strict.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}

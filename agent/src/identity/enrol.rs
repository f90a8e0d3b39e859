//! Enrolment: a join token and the authority's fingerprint become an identity.

use std::time::Duration;

use patchwave_common::domain::{Digest, HostFacts, HostMode};
use patchwave_common::runtime::tls::{ClientTls, KeyRequest, certificates_from_pem, connect, fingerprint};
use patchwave_proto::agent::encode_facts;
use patchwave_proto::fleet::v1::{EnrollRequest, enrolment_service_client::EnrolmentServiceClient};

use super::{HostIdentity, HostIdentityError, IdentityStore, Stored, refused};

/// Time for the controller's answer: it writes to disk once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What enrolment is told.
pub struct Enrolment {
    /// The controller, `https://NAME:PORT`.
    pub url: String,
    /// The join token. A secret: never logged.
    pub token: String,
    /// SHA-256 of the authority's certificate, as the operator passed it on.
    pub fingerprint: Digest,
    /// What this machine is.
    pub facts: HostFacts,
}

/// Enrols this host and keeps its identity. One try: see [`HostIdentityError::is_transient`].
///
/// The answer is written to disk before this returns. Should the host crash between the controller's answer and that, the token has one
/// use less and the controller one host that never connects; enrolling again makes another.
pub async fn enrol(store: &IdentityStore, enrolment: Enrolment) -> Result<HostIdentity, HostIdentityError> {
    match store.load() {
        Ok(HostIdentity { id, url, .. }) => return Err(HostIdentityError::AlreadyEnrolled { id, url, path: store.path.clone() }),
        Err(HostIdentityError::NotEnrolled { .. }) => {}
        // A damaged identity is for its owner to judge, not to be written over.
        Err(error) => return Err(error),
    }
    let key = KeyRequest::new()?;
    let channel = connect(&enrolment.url, &ClientTls::enrolling(enrolment.fingerprint)?).await?;
    let request =
        EnrollRequest { token: enrolment.token, certificate_request: key.request_der, facts: Some(encode_facts(&enrolment.facts)) };
    let mut request = tonic::Request::new(request);
    request.set_timeout(ANSWER_TIMEOUT);
    let answer = EnrolmentServiceClient::new(channel).enroll(request).await.map_err(|status| refused(&status))?.into_inner();

    let mode = HostMode::parse(&answer.mode)?;
    let authority = authority_in(&answer.certificate_chain, enrolment.fingerprint)?;
    let stored = Stored { url: enrolment.url, mode, authority, certificate: answer.certificate_chain, key: key.key_pem };
    let identity = HostIdentity::assemble(stored).map_err(|reason| HostIdentityError::Answer { reason })?;
    if identity.id.as_str() != answer.host_id || identity.authority.trust_domain.as_str() != answer.trust_domain {
        return Err(HostIdentityError::Answer { reason: "its certificate and its words name different hosts".to_owned() });
    }
    store.save(&identity.stored)?;
    Ok(identity)
}

/// The authority's certificate, PEM, from a chain; it must be the one that the operator vouched for.
fn authority_in(chain_pem: &str, expected: Digest) -> Result<String, HostIdentityError> {
    let chain = certificates_from_pem(chain_pem.as_bytes())?;
    let position = chain.iter().position(|certificate| fingerprint(certificate) == expected);
    let pem = position.and_then(|position| {
        const END: &str = "-----END CERTIFICATE-----";
        chain_pem.split_inclusive(END).nth(position).map(|part| format!("{}\n", part.trim()))
    });
    pem.ok_or_else(|| HostIdentityError::Answer { reason: "the chain does not hold the authority with the given fingerprint".to_owned() })
}

//! What can go wrong with certificates and connections, each with the way out.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError};

use super::IdentityError;
use crate::domain::Digest;

/// Why key material cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not the PEM that was expected.
    #[error("cannot read the {what}: {reason}")]
    Pem {
        /// `certificate` or `private key`.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The private key is unusable, or belongs to another certificate.
    #[error("the private key does not fit the certificate: {0}")]
    Key(#[source] rustls::Error),
    /// The authority's certificate cannot be a trust anchor.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(#[source] rustls::Error),
    /// A configuration that rustls refuses.
    #[error("the TLS configuration is refused: {0}")]
    Configuration(#[source] rustls::Error),
    /// The certificate names nobody.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The pinned authority is not the one that the server shows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the controller's authority has the fingerprint {presented}, but {expected} was expected; do not enrol: somebody may sit in between, \
     or the fingerprint belongs to another controller; hint: compare with the one that `patchwave token create` printed"
)]
pub struct FingerprintMismatch {
    /// What the operator gave.
    pub expected: Digest,
    /// What the server showed.
    pub presented: Digest,
}

/// Why no connection came about.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error("\"{url}\" is not a controller's address: {reason}; hint: use https://NAME:PORT")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Name resolution or TCP failed.
    #[error("cannot reach {address}: {source}; hint: check name, port, route and firewall")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// Nothing within the time allowed.
    #[error("no answer from {address} within {seconds} s; hint: check route and firewall")]
    TimedOut {
        /// Host and port.
        address: String,
        /// The time allowed.
        seconds: u64,
    },
    /// Another authority than the pinned one.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintMismatch),
    /// The server could not prove that it is this fleet's controller.
    #[error("{address} is not accepted as the controller: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// TLS failed otherwise.
    #[error("no TLS connection with {address}: {source}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// HTTP/2 failed after TLS was up.
    #[error("{address} broke the connection off: {reason}")]
    Transport {
        /// The URL.
        address: String,
        /// Why, as far as is known.
        reason: String,
    },
}

impl ConnectError {
    /// Whether trying again can help without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Tls { .. } | Self::Transport { .. } => true,
            Self::Url { .. } | Self::Fingerprint(_) | Self::Untrusted { .. } => false,
        }
    }
}

/// Sorts out what a handshake failed with.
pub(super) fn handshake_failed(address: String, source: io::Error) -> ConnectError {
    match rustls_error_in(&source) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => match other.0.downcast_ref::<FingerprintMismatch>() {
            Some(mismatch) => ConnectError::Fingerprint(mismatch.clone()),
            None => ConnectError::Untrusted { address, reason: other.0.to_string() },
        },
        Some(rustls::Error::InvalidCertificate(reason)) => ConnectError::Untrusted { address, reason: explain_certificate(reason) },
        _ => ConnectError::Tls { address, source: Arc::new(source) },
    }
}

fn explain_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not from this fleet's authority; hint: is this the right controller, or was it set up anew?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "{error}; hint: use a name that the certificate holds, or give the controller this one (server names in its configuration)"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{error}; hint: check this machine's clock; a running controller renews its certificate by itself")
        }
        other => other.to_string(),
    }
}

/// The first error of `rustls` in a chain of sources.
fn rustls_error_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|link| link.downcast_ref::<rustls::Error>())
}

/// The [`ConnectError`] in a chain of sources, e.g. of a `tonic::transport::Error` or a `tonic::Status`.
#[must_use]
pub fn connect_error_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ConnectError> {
    chain(error).find_map(|link| link.downcast_ref::<ConnectError>())
}

/// What to tell a caller whose connection the controller broke off, if the chain of sources says so. In TLS 1.3 a server judges the
/// client's certificate after the client holds the connection for ready, so the refusal arrives with the first answer.
#[must_use]
pub fn refusal_hint(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    match rustls_error_in(error)? {
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA | AlertDescription::DecryptError | AlertDescription::BadCertificate => Some(
                "the controller does not know the authority of our certificate; hint: it belongs to another controller, or the controller \
                 was set up anew",
            ),
            AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate | AlertDescription::AccessDenied => {
                Some("the controller refuses our certificate; hint: see the controller's log")
            }
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => Some("the other end does not speak TLS 1.3 as we do"),
            _ => None,
        },
        _ => None,
    }
}

/// An error and its sources. `io::Error` hides what it carries from `source()`, which names only what lies below it.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // No real chain is this long; a cyclic one would otherwise never end.
    std::iter::successors(Some(error), |link| below(*link)).take(32)
}

fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => Some(carried),
        None => error.source(),
    }
}

//! Who this host is: its private key, its certificate, and the controller that it belongs to.
//!
//! One file of the state directory, `identity.toml` (0600), holds all of it, so that enrolment and renewal replace key and certificate in
//! one step: after a crash the old pair is there or the new one. The private key is made here and never leaves the host. What enrolment
//! fixed (authority, host id, mode) changes only by enrolling anew.

mod enrol;
mod renew;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_common::domain::{HostId, HostMode, ParseError};
use patchwave_common::runtime::atomic_file::{self, FileError, MODE_SECRET, SMALL_FILE_MAX_BYTES};
use patchwave_common::runtime::tls::{
    AuthorityCertificate, ClientTls, ConnectError, IdentityError, KeyRequestError, PeerCertificate, PeerIdentity, TlsError,
    certificates_from_pem, certified_key,
};

pub use enrol::{Enrolment, enrol};
pub use renew::{Keeper, renew};

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum HostIdentityError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none.
    #[error("this host is not enrolled ({} is not there); hint: run `patchwave-agent enroll`", path.display())]
    NotEnrolled {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is one already.
    #[error(
        "this host is enrolled already, as {id} at {url}; hint: `patchwave-agent status` shows it; to enrol anew as another host, \
         remove {} first and retire {id} at its controller", path.display()
    )]
    AlreadyEnrolled {
        /// Who it is.
        id: HostId,
        /// At which controller.
        url: String,
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the identity {} cannot be used: {reason}; hint: restore the file, or enrol anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What the controller sent cannot be this host's identity.
    #[error("the controller's answer cannot be used: {reason}")]
    Answer {
        /// What is wrong.
        reason: String,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The controller refuses.
    #[error("the controller refuses: {message}")]
    Refused {
        /// In its words.
        message: String,
    },
    /// The controller cannot answer now.
    #[error("the controller does not answer: {message}")]
    Unavailable {
        /// As far as is known.
        message: String,
    },
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] KeyRequestError),
}

impl HostIdentityError {
    /// Whether trying again can help without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_transient(),
            Self::Unavailable { .. } => true,
            _ => false,
        }
    }
}

/// The stored form.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stored {
    url: String,
    mode: HostMode,
    authority: String,
    certificate: String,
    key: String,
}

/// Who this host is. Everything in it fits together: the key is the certificate's, both belong to the authority's trust domain, and the
/// certificate names a host.
#[derive(Clone)]
pub struct HostIdentity {
    /// The controller, as enrolment was told.
    pub url: String,
    /// What the host agreed to.
    pub mode: HostMode,
    /// The host's id, from the certificate.
    pub id: HostId,
    /// The host's certificate.
    pub certificate: PeerCertificate,
    /// The authority.
    pub authority: AuthorityCertificate,
    stored: Arc<Stored>,
    tls: ClientTls,
}

impl std::fmt::Debug for HostIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HostIdentity({}, {}, {})", self.id, self.mode.as_str(), self.url)
    }
}

impl HostIdentity {
    /// Checks that everything fits together. The reason of a refusal never quotes the key.
    fn assemble(stored: Stored) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let first = |pem: &str| -> Result<_, TlsError> { Ok(certificates_from_pem(pem.as_bytes())?.swap_remove(0)) };
        let authority_der = first(&stored.authority).map_err(|error| text(&error))?;
        let authority = AuthorityCertificate::parse(&authority_der).map_err(|error| text(&error))?;
        let leaf = first(&stored.certificate).map_err(|error| text(&error))?;
        let certificate = PeerCertificate::parse_in(&leaf, &authority.trust_domain).map_err(|error| text(&error))?;
        let PeerIdentity::Host(id) = certificate.identity.clone() else {
            return Err(format!("its certificate names {}, not a host", certificate.identity));
        };
        let key = certified_key(stored.certificate.as_bytes(), stored.key.as_bytes()).map_err(|error| text(&error))?;
        let tls = ClientTls::pinned(&authority_der, authority.trust_domain.clone(), Some(key)).map_err(|error| text(&error))?;
        Ok(Self { url: stored.url.clone(), mode: stored.mode, id, certificate, authority, stored: Arc::new(stored), tls })
    }

    /// What this host's connections trust and present. Clones of one identity share it: after a renewal all present the new certificate.
    #[must_use]
    pub fn tls(&self) -> &ClientTls {
        &self.tls
    }
}

/// The identity in a state directory.
#[derive(Debug, Clone)]
pub struct IdentityStore {
    path: PathBuf,
}

impl IdentityStore {
    /// The identity below this state directory; nothing is read yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join("identity.toml") }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the host is enrolled, as far as a file says.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Reads and checks it.
    pub fn load(&self) -> Result<HostIdentity, HostIdentityError> {
        let bytes = match atomic_file::read_secret(&self.path, SMALL_FILE_MAX_BYTES) {
            Err(error) if error.is_not_found() => return Err(HostIdentityError::NotEnrolled { path: self.path.clone() }),
            read => read?,
        };
        let malformed = |reason: String| HostIdentityError::Malformed { path: self.path.clone(), reason };
        // Only the message: TOML's full error quotes lines, and these hold a key.
        let stored: Stored = toml::from_slice(&bytes).map_err(|error| malformed(error.message().to_owned()))?;
        HostIdentity::assemble(stored).map_err(malformed)
    }

    /// Removes it (`seal`): the next start needs an enrolment.
    pub fn remove(&self) -> Result<(), HostIdentityError> {
        Ok(atomic_file::remove(&self.path)?)
    }

    fn save(&self, stored: &Stored) -> Result<(), HostIdentityError> {
        let text =
            toml::to_string(stored).map_err(|error| HostIdentityError::Malformed { path: self.path.clone(), reason: error.to_string() })?;
        if let Some(directory) = self.path.parent() {
            atomic_file::private_directory(directory)?;
        }
        Ok(atomic_file::write(&self.path, text.as_bytes(), MODE_SECRET)?)
    }
}

/// What a status of the controller means for the caller.
fn refused(status: &tonic::Status) -> HostIdentityError {
    use tonic::Code;
    let message = match patchwave_common::runtime::tls::refusal_hint(status) {
        Some(hint) => hint.to_owned(),
        None => patchwave_common::domain::clean_text(status.message(), 500),
    };
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Cancelled | Code::Unknown => {
            HostIdentityError::Unavailable { message }
        }
        _ => HostIdentityError::Refused { message },
    }
}

impl From<IdentityError> for HostIdentityError {
    fn from(error: IdentityError) -> Self {
        Self::Answer { reason: error.to_string() }
    }
}

impl From<TlsError> for HostIdentityError {
    fn from(error: TlsError) -> Self {
        Self::Answer { reason: error.to_string() }
    }
}

impl From<ParseError> for HostIdentityError {
    fn from(error: ParseError) -> Self {
        Self::Answer { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests;

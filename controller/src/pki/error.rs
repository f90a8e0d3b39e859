//! What can go wrong with the authority and its files.

use std::path::PathBuf;

use patchwave_common::domain::ParseError;
use patchwave_common::runtime::atomic_file::FileError;
use patchwave_common::runtime::tls::{IdentityError, TlsError};

/// Why the authority did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is an authority already.
    #[error(
        "{} holds an authority already; a new one would lock out every enrolled host; hint: use another directory, or move this one away",
        path.display()
    )]
    Exists {
        /// Its certificate.
        path: PathBuf,
    },
    /// There is none.
    #[error("{} holds no authority; hint: run `patchwave init` first, or `patchwave restore` with a backup", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Unusable key material.
    #[error("{}: {source}", path.display())]
    Material {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TlsError,
    },
    /// A certificate that names nobody or somebody else.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: IdentityError,
    },
    /// A certificate request that is refused.
    #[error("the certificate request is refused: {reason}")]
    Request {
        /// Why.
        reason: String,
    },
    /// A name that the server cannot have.
    #[error(transparent)]
    Name(#[from] ParseError),
    /// A backup with something that is not ours.
    #[error("the backup holds \"{name}\", which is no file of an authority")]
    Attachment {
        /// Its name.
        name: String,
    },
    /// The clock shows an instant that no certificate can hold.
    #[error("the clock shows {instant}, which cannot be right; hint: set this machine's clock")]
    Clock {
        /// What it shows.
        instant: patchwave_common::domain::Timestamp,
    },
    /// The cryptography refused.
    #[error("cannot make a certificate: {0}")]
    Signing(#[from] rcgen::Error),
}

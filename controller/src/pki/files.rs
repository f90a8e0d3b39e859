//! Where the authority lives on disk.
//!
//! `authority.key` (0600) and `authority.pem` in one directory (0700); `server.pem` (0600) holds the controller's private key and chain in
//! one file, so that renewal replaces both in one step. `authority.pem` is written last: it says that the authority is complete.

use std::path::{Path, PathBuf};

use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::atomic_file::{self, MODE_PUBLIC, MODE_SECRET, SMALL_FILE_MAX_BYTES};
use patchwave_common::runtime::tls::TrustDomain;

use super::{Authority, Issued, PkiError, ServerCertificate, ServerNames};

const AUTHORITY_CERTIFICATE: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const SERVER: &str = "server.pem";
/// Every file, with its mode, in the order in which they are restored.
const FILES: [(&str, u32); 3] = [(AUTHORITY_KEY, MODE_SECRET), (SERVER, MODE_SECRET), (AUTHORITY_CERTIFICATE, MODE_PUBLIC)];

/// One of the authority's files in a backup: its name and its bytes. Holds secrets.
pub type Attachment = (String, Vec<u8>);

/// The directory of an authority.
#[derive(Debug, Clone)]
pub struct PkiFiles {
    directory: PathBuf,
}

impl PkiFiles {
    /// The authority in this directory; nothing is read yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Makes an authority and the controller's certificate. Refuses where there is an authority already.
    pub fn init(&self, trust_domain: &TrustDomain, names: &ServerNames, now: Timestamp) -> Result<(Authority, Issued), PkiError> {
        self.refuse_existing()?;
        let (authority, key_pem) = Authority::create(trust_domain, now)?;
        atomic_file::private_directory(&self.directory)?;
        atomic_file::write(&self.path(AUTHORITY_KEY), key_pem.as_bytes(), MODE_SECRET)?;
        let issued = ServerCertificate::make(&self.server_path(), &authority, names, now)?;
        atomic_file::write(&self.path(AUTHORITY_CERTIFICATE), authority.certificate_pem().as_bytes(), MODE_PUBLIC)?;
        Ok((authority, issued))
    }

    /// Takes up the authority.
    pub fn load(&self) -> Result<Authority, PkiError> {
        let certificate = match atomic_file::read_text(&self.path(AUTHORITY_CERTIFICATE), SMALL_FILE_MAX_BYTES) {
            Err(error) if error.is_not_found() => return Err(PkiError::Missing { path: self.directory.clone() }),
            read => read?,
        };
        let key = atomic_file::read_secret(&self.path(AUTHORITY_KEY), SMALL_FILE_MAX_BYTES)?;
        Authority::from_pem(&certificate, &String::from_utf8_lossy(&key)).map_err(|error| match error {
            PkiError::Material { source, .. } => PkiError::Material { path: self.directory.clone(), source },
            PkiError::Identity { source, .. } => PkiError::Identity { path: self.path(AUTHORITY_CERTIFICATE), source },
            other => other,
        })
    }

    /// Where the controller's own certificate is.
    #[must_use]
    pub fn server_path(&self) -> PathBuf {
        self.path(SERVER)
    }

    /// Every file, for a backup.
    pub fn attachments(&self) -> Result<Vec<Attachment>, PkiError> {
        FILES.iter().map(|(name, _)| Ok(((*name).to_owned(), atomic_file::read_bounded(&self.path(name), SMALL_FILE_MAX_BYTES)?))).collect()
    }

    /// Puts the files of a backup in place and takes up the authority. Refuses where there is an authority already, and files that are not
    /// an authority's.
    pub fn restore(&self, attachments: &[Attachment]) -> Result<Authority, PkiError> {
        self.refuse_existing()?;
        if let Some((name, _)) = attachments.iter().find(|(name, _)| FILES.iter().all(|(known, _)| known != name)) {
            return Err(PkiError::Attachment { name: patchwave_common::domain::clean_text(name, 80) });
        }
        atomic_file::private_directory(&self.directory)?;
        for (name, mode) in FILES {
            match attachments.iter().find(|(have, _)| have == name) {
                Some((_, bytes)) => atomic_file::write(&self.path(name), bytes, mode)?,
                // The server's certificate can be made anew.
                None if name == SERVER => {}
                None => return Err(PkiError::Missing { path: self.path(name) }),
            }
        }
        self.load()
    }

    fn refuse_existing(&self) -> Result<(), PkiError> {
        let path = self.path(AUTHORITY_CERTIFICATE);
        if path.exists() { Err(PkiError::Exists { path }) } else { Ok(()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

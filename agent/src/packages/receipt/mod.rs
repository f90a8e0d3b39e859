//! The receipt: what was recorded before anything changed, and what a host returns to (rule 12).
//!
//! On disk a receipt is a directory, private to the agent's user: `receipt.json`, written last; `blobs/` with the bytes of saved files,
//! each named by its digest, mode 0600; `originals/` with the files from which the installed versions were installed. Nothing outside
//! the directory is needed for the return.
//!
//! Out of its reach, and not promised: what maintainer scripts did beside the packages' own files.

mod saved;
mod writer;

use std::path::{Path, PathBuf};

use patchwave_common::domain::{InstalledPackage, PackageId, PackageVersion, TargetSet, UnitName};
use patchwave_common::runtime::atomic_file;

use super::{PackageError, StagedFile};

pub use saved::{PathRole, PathState, SavedPath};
pub(crate) use saved::{capture, compare, inside, remove, restore};
pub(crate) use writer::{Findings, Found, Hashing, file_digest, write};

/// Version of the form on disk; a receipt of another form is refused, never guessed at.
pub const RECEIPT_FORMAT: u32 = 1;

/// Bound on `receipt.json`: a kernel or office suite has some 20,000 files of about 150 bytes each; this is twenty times that.
const RECEIPT_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a host was before a transaction.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: u32,
    /// The receipt's directory, absolute.
    pub directory: PathBuf,
    /// What the transaction was to reach.
    pub targets: TargetSet,
    /// Every package that the transaction replaces, removes or configures, as it was. Ordered.
    pub packages: Vec<PackageRecord>,
    /// Packages that the transaction brings and that were not installed. Ordered.
    pub additions: Vec<Addition>,
    /// Every path whose bytes, mode, owner, attributes or absence are put back.
    pub paths: Vec<SavedPath>,
    /// Units that the concerned packages ship, to be restarted after a return: they started with the wrong configuration.
    pub units: Vec<UnitName>,
}

/// One package as it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackageRecord {
    /// Version, state and marks.
    pub package: InstalledPackage,
    /// Its conffiles as the package manager lists them, with the recorded hash and flags; compared after a return.
    pub conffiles: Vec<String>,
    /// Its other files.
    pub files: Vec<PackagedFile>,
    /// The file to return to, or why there is none.
    pub original: Original,
}

/// Whether the way back to a version is certain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Original {
    /// The transaction does not replace this version.
    NotNeeded,
    /// Kept in the receipt's `originals/`.
    Kept(StagedFile),
    /// Could not be had; the detail says why.
    Missing(String),
}

/// A file of a package that is no conffile.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackagedFile {
    /// Absolute path inside the root.
    pub path: String,
    /// `md5:HEX` of a regular file (the hash that dpkg itself keeps: it finds damage, it does not stop an attacker),
    /// `link:TARGET` of a symbolic link, `absent`, or `other`.
    pub content: String,
}

/// A package that the transaction brings.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Addition {
    /// The package.
    pub id: PackageId,
    /// The version that is brought.
    pub version: PackageVersion,
    /// It had been removed before and its configuration was still there: the return removes it and keeps that.
    pub residual: bool,
}

/// One way in which a host differs from what it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// The package or path, and the property, e.g. `nginx:amd64 version`.
    pub subject: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} is {}, should be {}", self.subject, self.found, self.expected)
    }
}

impl PackageRecord {
    /// Whether the transaction replaces or removes this version.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.original != Original::NotNeeded
    }
}

impl Receipt {
    /// Originals that the receipt lacks; empty if the way back is certain.
    pub fn missing_originals(&self) -> impl Iterator<Item = (&InstalledPackage, &str)> {
        self.packages.iter().filter_map(|record| match &record.original {
            Original::Missing(detail) => Some((&record.package, detail.as_str())),
            Original::NotNeeded | Original::Kept(_) => None,
        })
    }

    /// The originals to return to.
    pub fn kept_originals(&self) -> impl Iterator<Item = &StagedFile> {
        self.packages.iter().filter_map(|record| match &record.original {
            Original::Kept(file) => Some(file),
            Original::NotNeeded | Original::Missing(_) => None,
        })
    }

    /// Where originals lie.
    #[must_use]
    pub fn originals_directory(&self) -> PathBuf {
        self.directory.join("originals")
    }

    /// Where the bytes of saved files lie.
    #[must_use]
    pub fn blobs_directory(&self) -> PathBuf {
        self.directory.join("blobs")
    }

    /// Writes `receipt.json`, synced: from then on the receipt counts.
    pub fn save(&self) -> Result<(), PackageError> {
        let path = receipt_file(&self.directory);
        let json = serde_json::to_vec(self).map_err(|error| PackageError::Io {
            action: "write",
            path: path.clone(),
            source: std::io::Error::other(error),
        })?;
        Ok(atomic_file::write(&path, &json, atomic_file::MODE_SECRET)?)
    }

    /// Reads the receipt in a directory; `None` where none was completed.
    pub fn load(directory: &Path) -> Result<Option<Self>, PackageError> {
        let path = receipt_file(directory);
        let json = match atomic_file::read_bounded(&path, RECEIPT_MAX_BYTES) {
            Ok(json) => json,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |detail: String| PackageError::Damaged {
            path: path.clone(),
            detail,
            hint: "restore the packages by hand; the originals lie beside it",
        };
        let mut receipt: Self = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        if receipt.format != RECEIPT_FORMAT {
            return Err(damaged(format!("it has format {}, this agent reads {RECEIPT_FORMAT}", receipt.format)));
        }
        // The directory may have moved with the state directory.
        receipt.directory = directory.to_owned();
        Ok(Some(receipt))
    }
}

fn receipt_file(directory: &Path) -> PathBuf {
    directory.join("receipt.json")
}

/// Makes an empty receipt directory, private; what an interrupted snapshot left goes first.
pub(crate) fn prepare(directory: &Path) -> Result<(), PackageError> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(PackageError::io("delete", directory)(error)),
    }
    for each in [directory.to_owned(), directory.join("blobs"), directory.join("originals")] {
        atomic_file::private_directory(&each)?;
    }
    Ok(())
}

/// Deletes the conffiles that the target brought and the earlier version does not have, so that a downgrade forgets them instead of
/// keeping them as obsolete ones. `is_brought` tells those: a file of the administrator's own that stands there without the package
/// knowing of it is left alone. One that became the package's goes too; its bytes are in the receipt and come back.
pub(crate) fn delete_new_conffiles(root: &Path, receipt: &Receipt, is_brought: impl Fn(&SavedPath) -> bool) -> Result<(), PackageError> {
    let new = receipt.paths.iter().filter(|saved| saved.role == PathRole::NewConffile && saved.state != PathState::Other);
    new.filter(|saved| is_brought(saved)).try_for_each(|saved| remove(&inside(root, &saved.path)))
}

/// Puts back every saved path.
pub(crate) fn restore_paths(root: &Path, receipt: &Receipt) -> Result<(), PackageError> {
    receipt.paths.iter().try_for_each(|saved| restore(root, saved, receipt))
}

/// How the saved paths differ from what is there.
pub(crate) fn unlike_paths(root: &Path, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
    receipt.paths.iter().filter_map(|saved| compare(root, saved).transpose()).collect()
}

/// Reads the receipt that an action names; an action without one was built for a receipt that was since deleted.
pub(crate) fn required(directory: &Path) -> Result<Receipt, PackageError> {
    Receipt::load(directory)?.ok_or_else(|| PackageError::Damaged {
        path: directory.to_owned(),
        detail: "it holds no complete receipt".to_owned(),
        hint: "the receipt was deleted; the way back is by hand",
    })
}

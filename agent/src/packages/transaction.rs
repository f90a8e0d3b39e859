//! What is staged, what a transaction would change, and why it cannot be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use patchwave_common::domain::{Digest, Mark, NotStagedReason, PackageId, PackageVersion, RefusalReason, TargetSet};

use super::PackageError;

/// One file in the stage directory, named by its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StagedFile {
    /// The package in it.
    pub id: PackageId,
    /// Its exact version.
    pub version: PackageVersion,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Length in bytes.
    pub size_bytes: u64,
}

impl StagedFile {
    /// Where the file lies below `directory`.
    #[must_use]
    pub fn path(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.deb", self.sha256))
    }
}

/// An installed version whose original cannot be had, so that returning to it is not certain (rule 12).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MissingOriginal {
    /// The package.
    pub id: PackageId,
    /// Its installed version.
    pub version: PackageVersion,
    /// Why its file cannot be had, without credentials.
    pub detail: String,
}

/// Everything that a transaction and its way back need, on this host's disk.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StagedSet {
    /// What the plan wants.
    pub targets: TargetSet,
    /// The stage directory, absolute.
    pub directory: PathBuf,
    /// Files that the transaction installs: targets and new dependencies. Ordered.
    pub files: Vec<StagedFile>,
    /// Files of what is installed now and would be replaced or removed. Ordered.
    pub originals: Vec<StagedFile>,
    /// Originals that cannot be had.
    pub missing_originals: Vec<MissingOriginal>,
}

impl StagedSet {
    /// Whether every original was had, so that the way back is certain.
    #[must_use]
    pub fn way_back(&self) -> bool {
        self.missing_originals.is_empty()
    }

    /// Bytes on disk for this set, originals included; a file that is both counts once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let files: BTreeSet<_> = self.files.iter().chain(&self.originals).map(|file| (file.sha256, file.size_bytes)).collect();
        files.into_iter().map(|(_, size_bytes)| size_bytes).sum()
    }

    /// The digests of all its files, for [`super::clean_stage`].
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.files.iter().chain(&self.originals).map(|file| file.sha256)
    }

    /// The staged file of a package that the transaction installs.
    #[must_use]
    pub fn file(&self, id: &PackageId) -> Option<&StagedFile> {
        self.files.iter().find(|file| file.id == *id)
    }
}

/// Why something could not be staged. Never harm (rule 18).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct NotStaged {
    /// The kind of reason.
    pub reason: NotStagedReason,
    /// In plain words, without credentials.
    pub detail: String,
}

/// Why a transaction must not be carried out. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refused {
    /// The kind of reason.
    pub reason: RefusalReason,
    /// In plain words, with the way out, without credentials.
    pub detail: String,
}

/// What happens to one package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It was not there.
    Install,
    /// To a higher version.
    Upgrade,
    /// To a lower version.
    Downgrade,
    /// It goes.
    Remove,
    /// It is only configured: an earlier transaction did not.
    Configure,
}

/// One package's change in a transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// The package.
    pub id: PackageId,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The version before; `None` for an installation.
    pub from: Option<PackageVersion>,
    /// The version after; `None` for a removal.
    pub to: Option<PackageVersion>,
    /// The mark before; `None` for an installation (a new dependency becomes [`Mark::Auto`]).
    pub mark: Option<Mark>,
}

/// A transaction as the package manager would carry it out, within the rules.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Simulation {
    /// Every change, ordered; never empty.
    pub changes: Vec<Change>,
}

impl Simulation {
    /// The changes of one kind.
    pub fn of(&self, kind: ChangeKind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.kind == kind)
    }
}

pub(super) fn clean_stage(stage_dir: &Path, keep: &BTreeSet<Digest>) -> Result<u64, PackageError> {
    let entries = match std::fs::read_dir(stage_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(PackageError::io("read", stage_dir)(error)),
    };
    let mut freed = 0;
    for entry in entries {
        let entry = entry.map_err(PackageError::io("read", stage_dir))?;
        let name = entry.file_name();
        let digest = name
            .to_str()
            .and_then(|name| name.strip_suffix(".deb").or(name.strip_suffix(".json")))
            .and_then(|digest| Digest::parse(digest).ok());
        if digest.is_some_and(|digest| keep.contains(&digest)) {
            continue;
        }
        let metadata = entry.metadata().map_err(PackageError::io("read", entry.path()))?;
        if metadata.is_dir() {
            std::fs::remove_dir_all(entry.path()).map_err(PackageError::io("delete", entry.path()))?;
        } else {
            freed += metadata.len();
            std::fs::remove_file(entry.path()).map_err(PackageError::io("delete", entry.path()))?;
        }
    }
    Ok(freed)
}

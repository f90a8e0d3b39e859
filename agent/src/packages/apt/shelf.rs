//! The stage directory: files named by their digest, each with a small note of what it is, so that a version that left the archive is
//! found again. Entries appear whole or not at all.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use patchwave_common::domain::{Digest, PackageId, PackageVersion};
use patchwave_common::runtime::atomic_file;

use crate::packages::receipt::file_digest;
use crate::packages::{PackageError, StagedFile};

/// Bound on a note: a name, a version, a digest.
const NOTE_MAX_BYTES: u64 = 16 * 1024;
/// Files looked at when the directory is searched; its byte bound makes more than this impossible in practice.
const ENTRIES_MAX: usize = 50_000;

/// The stage directory.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    pub(crate) fn open(directory: &Path) -> Result<Self, PackageError> {
        atomic_file::private_directory(directory)?;
        let directory = directory.canonicalize().map_err(PackageError::io("resolve", directory))?;
        Ok(Self { directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Bytes of all entries.
    pub(crate) fn bytes(&self) -> Result<u64, PackageError> {
        Ok(self.entries()?.map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len())).sum())
    }

    /// The file of this digest, if it is there and sound; a damaged one is deleted.
    pub(crate) fn get(&self, id: &PackageId, version: &PackageVersion, sha256: Digest) -> Result<Option<StagedFile>, PackageError> {
        let path = self.directory.join(format!("{sha256}.deb"));
        let Ok(metadata) = fs::metadata(&path) else {
            return Ok(None);
        };
        if file_digest(&path)? != sha256 {
            fs::remove_file(&path).map_err(PackageError::io("delete", &path))?;
            return Ok(None);
        }
        Ok(Some(StagedFile { id: id.clone(), version: version.clone(), sha256, size_bytes: metadata.len() }))
    }

    /// A file of this version, whatever its digest.
    pub(crate) fn find(&self, id: &PackageId, version: &PackageVersion) -> Result<Option<StagedFile>, PackageError> {
        for path in self.entries()? {
            let Ok(note) = atomic_file::read_bounded(&path.with_extension("json"), NOTE_MAX_BYTES) else {
                continue;
            };
            let Ok(note) = serde_json::from_slice::<StagedFile>(&note) else {
                continue;
            };
            if note.id == *id
                && note.version == *version
                && let Some(file) = self.get(id, version, note.sha256)?
            {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Takes a file in: by renaming where it lies on the same file system, else by a copy. Its digest is proved after that.
    pub(crate) fn take(&self, path: &Path, id: &PackageId, version: &PackageVersion, copy: bool) -> Result<StagedFile, PackageError> {
        let temporary = self.directory.join(format!(".taking-{}", path.file_name().unwrap_or_default().to_string_lossy()));
        let _ = fs::remove_file(&temporary);
        if copy || fs::rename(path, &temporary).is_err() {
            fs::copy(path, &temporary).map_err(PackageError::io("copy", path))?;
        }
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).map_err(PackageError::io("set the mode of", &temporary))?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&temporary, Some(0), Some(0)).map_err(PackageError::io("set the owner of", &temporary))?;
        }
        let file = File::open(&temporary).map_err(PackageError::io("open", &temporary))?;
        file.sync_all().map_err(PackageError::io("sync", &temporary))?;
        let size_bytes = file.metadata().map_err(PackageError::io("examine", &temporary))?.len();
        let staged = StagedFile { id: id.clone(), version: version.clone(), sha256: file_digest(&temporary)?, size_bytes };
        let target = staged.path(&self.directory);
        let note = serde_json::to_vec(&staged).map_err(|error| PackageError::io("write", &target)(error.into()))?;
        atomic_file::write(&target.with_extension("json"), &note, atomic_file::MODE_SECRET)?;
        fs::rename(&temporary, &target).map_err(PackageError::io("rename to", &target))?;
        Ok(staged)
    }

    /// Forgets an entry.
    pub(crate) fn drop_file(&self, file: &StagedFile) {
        let path = file.path(&self.directory);
        // One that stays is cleaned later: it is not in any staged set.
        let _ = fs::remove_file(path.with_extension("json"));
        let _ = fs::remove_file(path);
    }

    fn entries(&self) -> Result<impl Iterator<Item = PathBuf>, PackageError> {
        let entries = fs::read_dir(&self.directory).map_err(PackageError::io("read", &self.directory))?;
        let paths = entries.take(ENTRIES_MAX).flatten().map(|entry| entry.path());
        Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "deb")))
    }
}

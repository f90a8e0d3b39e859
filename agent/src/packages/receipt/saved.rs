//! Paths whose exact state is recorded and put back: bytes, mode, owner, extended attributes, or absence.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use patchwave_common::domain::Digest;
use patchwave_common::runtime::atomic_file;

use super::{Difference, Receipt};
use crate::packages::PackageError;

/// Bound on one saved file. Conffiles are kilobytes; a changed packaged binary may be some tens of megabytes. More than this is refused
/// before anything changes, since a receipt that cannot hold the bytes cannot give them back.
const SAVED_FILE_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Bound on the names and on each value of extended attributes; the kernel itself allows 64 KiB.
const XATTR_MAX_BYTES: usize = 64 * 1024;

/// Why a path is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathRole {
    /// A conffile of an installed version.
    Conffile,
    /// A conffile of the target version or of an addition that no installed version has.
    NewConffile,
    /// A file that dpkg may leave beside a conffile, e.g. `x.dpkg-dist`.
    Leftover,
    /// A packaged file that the administrator changed or deleted.
    ChangedFile,
}

/// One path as it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedPath {
    /// Absolute path inside the root.
    pub path: PathBuf,
    /// Why it is saved.
    pub role: PathRole,
    /// What was there.
    pub state: PathState,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathState {
    /// Nothing.
    Absent,
    /// A regular file; its bytes lie in the receipt's `blobs/`.
    File {
        /// Digest of the bytes and name of the blob.
        sha256: Digest,
        /// Length in bytes.
        size_bytes: u64,
        /// Permission bits.
        mode: u32,
        /// Owner.
        user: u32,
        /// Group.
        group: u32,
        /// Extended attributes, access control lists included.
        attributes: BTreeMap<String, Vec<u8>>,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: PathBuf,
        /// Owner.
        user: u32,
        /// Group.
        group: u32,
    },
    /// A directory or a special file: cannot be put back, only compared.
    Other,
}

impl std::fmt::Display for PathState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => formatter.write_str("absent"),
            Self::File { sha256, size_bytes, mode, user, group, attributes } => {
                let hash: String = sha256.to_string().chars().take(12).collect();
                write!(formatter, "a file of {size_bytes} bytes (sha256 {hash}…), mode {mode:o}, owner {user}:{group}")?;
                if attributes.is_empty() { Ok(()) } else { write!(formatter, ", {} extended attributes", attributes.len()) }
            }
            Self::Link { target, user, group } => write!(formatter, "a link to {}, owner {user}:{group}", target.display()),
            Self::Other => formatter.write_str("a directory or special file"),
        }
    }
}

/// `path` inside `root`.
pub(crate) fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Records what is at `path`; its bytes go to `blobs`, where they are kept under their digest.
pub(crate) fn capture(root: &Path, path: &Path, role: PathRole, blobs: &Path) -> Result<SavedPath, PackageError> {
    let (state, bytes) = examine(&inside(root, path))?;
    if let PathState::File { sha256, .. } = &state {
        let blob = blobs.join(sha256.to_string());
        if !blob.exists() {
            atomic_file::write(&blob, &bytes, atomic_file::MODE_SECRET)?;
        }
    }
    Ok(SavedPath { path: path.to_owned(), role, state })
}

/// How `saved` differs from what is there now.
pub(crate) fn compare(root: &Path, saved: &SavedPath) -> Result<Option<Difference>, PackageError> {
    let (now, _) = examine(&inside(root, &saved.path))?;
    Ok((now != saved.state).then(|| Difference {
        subject: saved.path.display().to_string(),
        expected: saved.state.to_string(),
        found: now.to_string(),
    }))
}

/// Puts `saved` back; a path that is already as it was is not touched.
pub(crate) fn restore(root: &Path, saved: &SavedPath, receipt: &Receipt) -> Result<(), PackageError> {
    let path = inside(root, &saved.path);
    if examine(&path)?.0 == saved.state {
        return Ok(());
    }
    match &saved.state {
        PathState::Absent => remove(&path),
        PathState::File { sha256, .. } => {
            let blob = receipt.blobs_directory().join(sha256.to_string());
            let bytes = atomic_file::read_bounded(&blob, SAVED_FILE_MAX_BYTES)?;
            if Digest::of(&bytes) != *sha256 {
                return Err(PackageError::Damaged {
                    path: blob,
                    detail: "its bytes do not have the digest in its name".to_owned(),
                    hint: "the disk may be failing; put the file back from a backup",
                });
            }
            replace(&path, |temporary| write_file(temporary, &bytes, &saved.state))
        }
        PathState::Link { target, user, group } => replace(&path, |temporary| {
            std::os::unix::fs::symlink(target, temporary).map_err(PackageError::io("link", temporary))?;
            std::os::unix::fs::lchown(temporary, Some(*user), Some(*group)).map_err(PackageError::io("set the owner of", temporary))
        }),
        PathState::Other => Err(PackageError::Damaged {
            path,
            detail: "a directory or special file stood here".to_owned(),
            hint: "put it back by hand: Patchwave keeps files and links alone",
        }),
    }
}

/// Deletes a file or link; one that is not there is no error, and a directory is left for the comparison to tell.
pub(crate) fn remove(path: &Path) -> Result<(), PackageError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_dir() => Ok(atomic_file::remove(path)?),
        _ => Ok(()),
    }
}

fn examine(path: &Path) -> Result<(PathState, Vec<u8>), PackageError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok((PathState::Absent, Vec::new())),
        Err(error) => return Err(PackageError::io("examine", path)(error)),
    };
    let (user, group) = (metadata.uid(), metadata.gid());
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(PackageError::io("read", path))?;
        return Ok((PathState::Link { target, user, group }, Vec::new()));
    }
    if !metadata.is_file() {
        return Ok((PathState::Other, Vec::new()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(PackageError::io("open", path))?;
    file.take(SAVED_FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(PackageError::io("read", path))?;
    if bytes.len() as u64 > SAVED_FILE_MAX_BYTES {
        return Err(PackageError::TooLarge { path: path.to_owned(), max_bytes: SAVED_FILE_MAX_BYTES });
    }
    let state = PathState::File {
        sha256: Digest::of(&bytes),
        size_bytes: bytes.len() as u64,
        mode: metadata.mode() & 0o7777,
        user,
        group,
        attributes: attributes(path)?,
    };
    Ok((state, bytes))
}

/// A path below something that is no directory is as absent as one in an empty directory.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn attributes(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, PackageError> {
    let mut names = vec![0; XATTR_MAX_BYTES];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        // A file system without extended attributes has none to keep.
        Err(rustix::io::Errno::NOTSUP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(PackageError::io("list the attributes of", path)(error.into())),
    };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; XATTR_MAX_BYTES];
        match rustix::fs::lgetxattr(path, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                found.insert(String::from_utf8_lossy(name).into_owned(), value);
            }
            Err(rustix::io::Errno::NODATA) => {}
            Err(error) => return Err(PackageError::io("read the attributes of", path)(error.into())),
        }
    }
    Ok(found)
}

/// Builds the new state beside `path` and renames it over, so that the path is never half-written.
fn replace(path: &Path, make: impl FnOnce(&Path) -> Result<(), PackageError>) -> Result<(), PackageError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(PackageError::io("make", parent))?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.patchwave-restore"));
    remove(&temporary)?;
    let made = make(&temporary).and_then(|()| fs::rename(&temporary, path).map_err(PackageError::io("rename to", path)));
    if made.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    made
}

/// Owner before mode (a change of owner clears set-user-id bits), attributes last (access control lists follow the mode).
fn write_file(path: &Path, bytes: &[u8], state: &PathState) -> Result<(), PackageError> {
    let PathState::File { mode, user, group, attributes: wanted, .. } = state else {
        return Ok(());
    };
    let mut file = File::options().write(true).create_new(true).open(path).map_err(PackageError::io("create", path))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(PackageError::io("set the mode of", path))?;
    file.write_all(bytes).map_err(PackageError::io("write", path))?;
    let now = file.metadata().map_err(PackageError::io("examine", path))?;
    if (now.uid(), now.gid()) != (*user, *group) {
        std::os::unix::fs::fchown(&file, Some(*user), Some(*group)).map_err(PackageError::io("set the owner of", path))?;
    }
    file.set_permissions(fs::Permissions::from_mode(*mode)).map_err(PackageError::io("set the mode of", path))?;
    // A new file may inherit attributes from its directory; those that were not there go.
    let inherited = attributes(path)?;
    for name in inherited.keys().filter(|name| !wanted.contains_key(*name)) {
        rustix::fs::lremovexattr(path, name.as_str()).map_err(|error| PackageError::io("set the attributes of", path)(error.into()))?;
    }
    for (name, value) in wanted.iter().filter(|(name, value)| inherited.get(*name) != Some(value)) {
        rustix::fs::lsetxattr(path, name.as_str(), value, rustix::fs::XattrFlags::empty())
            .map_err(|error| PackageError::io("set the attributes of", path)(error.into()))?;
    }
    file.sync_all().map_err(PackageError::io("sync", path))
}

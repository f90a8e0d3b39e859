//! Small files that must be whole or absent: keys, certificates, identity, configuration.
//!
//! Writing goes to a temporary file in the same directory, is synced, renamed over the old one, and the directory is synced, so that
//! after a crash or a power cut the file holds the old bytes or the new ones and nothing between. Reading is bounded. These functions block;
//! on the runtime's threads they are for files of a few kilobytes, at start and at renewal.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Mode of a file that only its owner may read.
pub const MODE_SECRET: u32 = 0o600;
/// Mode of a file that everybody may read.
pub const MODE_PUBLIC: u32 = 0o644;
/// Bound on PEM and identity files: a certificate chain is about 2 KB, so 256 KiB is generous, and a mistaken path (a log, a device)
/// cannot fill the memory.
pub const SMALL_FILE_MAX_BYTES: u64 = 256 * 1024;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is longer than the bound.
    #[error("{} is longer than {max_bytes} bytes; is this the right file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The bound.
        max_bytes: u64,
    },
    /// A secret that others can read or write.
    #[error("{} holds a secret but has mode {mode:o}; hint: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl FileError {
    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError::Io { action, path: path.to_owned(), source }
}

/// Puts `bytes` at `path` with permission bits `mode` (whatever the umask is), replacing what was there in one step. On an error the old
/// file is untouched.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = directory_of(path);
    let temporary = temporary_beside(path);
    let result = write_synced(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path).map_err(failed("rename to", path)));
    if let Err(error) = result {
        // The first error is the one to tell; a temporary file that cannot be removed harms nobody.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(directory)
}

/// Removes a file and syncs the directory; a file that is not there is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(directory_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Reads a whole file of at most `max_bytes`.
pub fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    read_open(File::open(path).map_err(failed("open", path))?, path, max_bytes)
}

/// Like [`read_bounded`], and the file must be UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, FileError> {
    String::from_utf8(read_bounded(path, max_bytes)?)
        .map_err(|error| failed("read", path)(io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())))
}

/// Like [`read_bounded`], for keys and tokens: refused if anybody but the owner may read or write the file.
pub fn read_secret(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(failed("open", path))?;
    // Asked of the open file, so it is the same file that is read.
    let mode = file.metadata().map_err(failed("examine", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    read_open(file, path, max_bytes)
}

/// Makes a directory (and those above it) that only the owner may enter; one that exists is narrowed to that.
pub fn private_directory(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create directory", path))?;
    let mode = fs::metadata(path).map_err(failed("examine", path))?.mode() & 0o777;
    if mode != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("narrow the mode of", path))?;
    }
    Ok(())
}

fn read_open(file: File, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if read as u64 > max_bytes {
        return Err(FileError::TooLong { path: path.to_owned(), max_bytes });
    }
    Ok(bytes)
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    // Born with the narrowest mode: a secret is never readable, not even for a moment.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE_SECRET).open(path).map_err(failed("create", path))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    file.sync_all().map_err(failed("sync", path))
}

fn sync_directory(directory: &Path) -> Result<(), FileError> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(failed("sync directory", directory))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name that no other writer has: hidden, so that directory scanners (`agent.conf.d/*.toml`, say) pass over a leftover.
fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory_of(path).join(format!(".{name}.{:016x}.tmp", rand::random::<u64>()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_written_file_has_the_bytes_and_the_mode_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write(&path, b"one", MODE_SECRET).unwrap();
        write(&path, b"two", MODE_SECRET).unwrap();
        assert_eq!((read_secret(&path, 10).unwrap(), mode_of(&path)), (b"two".to_vec(), 0o600));
        write(&path, b"three", MODE_PUBLIC).unwrap();
        assert_eq!(mode_of(&path), 0o644);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(write(&path, b"one", MODE_SECRET).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for mode in [0o644, 0o640, 0o602] {
            write(&path, b"one", mode).unwrap();
            let error = read_secret(&path, 10).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_longer_than_the_bound_is_refused_and_one_of_exactly_the_bound_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, b"12345", MODE_PUBLIC).unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_bounded(&path, 4), Err(FileError::TooLong { max_bytes: 4, .. })));
        assert!(matches!(read_bounded("/dev/zero".as_ref(), 4), Err(FileError::TooLong { .. })), "an endless file ends");
    }

    #[test]
    fn a_private_directory_is_narrowed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        private_directory(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_directory(&path).unwrap();
        assert_eq!(mode_of(&path), 0o700);
        remove(&path.join("absent")).unwrap();
        assert!(read_bounded(&path.join("absent"), 1).unwrap_err().is_not_found());
    }
}

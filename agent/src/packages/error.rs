//! What can go wrong with a package manager. Every text of a tool is redacted and bounded before it gets in here.

use std::path::PathBuf;

use patchwave_common::domain::Manager;
use patchwave_common::runtime::atomic_file::FileError;

/// Every failure names the file, tool or source concerned.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file of the agent's own could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{} is damaged: {detail} (hint: {hint})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
        /// The way out.
        hint: &'static str,
    },
    /// A file is larger than its bound.
    #[error("{} is larger than {max_bytes} bytes, which no sound file of its kind is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        max_bytes: u64,
    },
    /// A tool is absent or could not be started.
    #[error("cannot run {tool}: {source} (hint: it belongs to Debian's essential packages; is it in PATH?)")]
    ToolMissing {
        /// The program's name.
        tool: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A tool ran and refused.
    #[error("{tool} failed ({status}): {detail}")]
    ToolFailed {
        /// The program's name.
        tool: String,
        /// Its exit status in words.
        status: String,
        /// The end of what it said, without credentials.
        detail: String,
    },
    /// A tool ran for too long and was stopped.
    #[error("{tool} did not end within {limit_secs} s and was stopped (hint: is the mirror or the disk stuck?)")]
    Timeout {
        /// The program's name.
        tool: String,
        /// The bound.
        limit_secs: u64,
    },
    /// A tool said more than a sound run of it does.
    #[error("{tool} wrote more than {max_bytes} bytes and was stopped")]
    TooMuchOutput {
        /// The program's name.
        tool: String,
        /// The bound.
        max_bytes: u64,
    },
    /// An archive's index could not be fetched.
    #[error("the package source {name} could not be read: {detail} (hint: {hint})")]
    BrokenSource {
        /// The source as the host's configuration names it, without credentials.
        name: String,
        /// What the package manager said.
        detail: String,
        /// The way out.
        hint: &'static str,
    },
    /// Someone else works on the packages.
    #[error("another program holds the package manager's lock {}: {holder}", lock.display())]
    LockHeld {
        /// The lock file.
        lock: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// This agent has no such package manager.
    #[error("this agent has no package manager {}", manager.as_str())]
    NoSuchManager {
        /// Its name.
        manager: Manager,
    },
}

impl PackageError {
    /// Whether a file is simply not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// Wraps an I/O error with what was tried on which path; for use in `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let (Self::Io { source, .. } | Self::File(FileError::Io { source, .. })) = self else {
            return false;
        };
        matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}

//! What can go wrong while building packages or writing a repository.

use std::path::PathBuf;

/// Every failure names the path, tool or field concerned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("{action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A tool is absent or could not be started.
    #[error("cannot run {tool}: {source} (hint: it belongs to Debian's essential packages dpkg and apt)")]
    ToolMissing {
        /// The program's name.
        tool: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A tool ran and refused.
    #[error("{tool} failed ({status}): {stderr}")]
    ToolFailed {
        /// The program's name.
        tool: String,
        /// Its exit status in words.
        status: String,
        /// The end of its standard error, bounded.
        stderr: String,
    },
    /// A package's description is not one that Debian accepts.
    #[error("package {package}: {field} is not valid: {value:?} (hint: {hint})")]
    InvalidPackage {
        /// The package's name as given.
        package: String,
        /// The field at fault.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        hint: &'static str,
    },
    /// Another file with other contents is already there under this name.
    #[error("{path} is already in the repository with other contents (hint: raise the version)", path = path.display())]
    Conflict {
        /// The file in the pool.
        path: PathBuf,
    },
    /// The repository's index does not list this package in this version.
    #[error("{name} {version} is not in the repository's index")]
    NotListed {
        /// The binary package's name.
        name: String,
        /// The version asked for.
        version: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried on which path; for use in `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

//! What can go wrong with a store, and the way out.

use std::path::{Path, PathBuf};

use super::Guard;

/// Why a read or a write was not done. A write that gives an error left nothing behind, except where [`StoreError::Io`] says that it
/// could not be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A guard did not hold: somebody else was first. Read again and decide again.
    #[error("{guard} does not hold: {found}")]
    Guard {
        /// The guard.
        guard: Guard,
        /// What the store has instead.
        found: String,
    },
    /// The record to be changed does not exist.
    #[error("there is no {what} {id}")]
    Missing {
        /// Kind of record, e.g. `host`.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// A record that never changes is there already.
    #[error("there is already a {what} {id}, and it never changes")]
    AlreadyThere {
        /// Kind of record.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// A write asks for more than a store takes.
    #[error("{what} is {size}, and the store takes at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound, in the same unit.
        limit: usize,
    },
    /// What is stored cannot be read.
    #[error(
        "the store {} is damaged: {detail} (hint: stop the controller, move the store aside and bring back a backup with `patchwave restore`)",
        path.display()
    )]
    Damaged {
        /// The store's file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The store was written by a newer release.
    #[error("the store {} has format {found} and this release knows {known} (hint: run the release that wrote it, or a newer one)", path.display())]
    UnknownFormat {
        /// The store's file or folder.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format known.
        known: u64,
    },
    /// No room is left on the disk.
    #[error("no room is left for the store {} (hint: free space on that disk; what was acknowledged is safe)", path.display())]
    Full {
        /// The store's file or folder.
        path: PathBuf,
    },
    /// Another process has the store open.
    #[error("the store {} is in use by another process (hint: only one controller may run on an embedded store; stop the other one)", path.display())]
    InUse {
        /// The store's file or folder.
        path: PathBuf,
    },
    /// There is already a store where one is to be made.
    #[error("there is already a store at {} (hint: move it aside first; nothing was changed)", path.display())]
    Exists {
        /// The store's file or folder.
        path: PathBuf,
    },
    /// There is no store of this kind.
    #[error("\"{kind}\" is not a kind of store (hint: one of {known})")]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// The operating system or the engine failed. Whether a write in progress took place cannot be told; the store takes no more of them
    /// until it was opened again, which tells.
    #[error(
        "the store {} failed: {detail} (hint: look at that disk and the system's log, then start the controller again; if it does not open, bring back a backup with `patchwave restore`)",
        path.display()
    )]
    Io {
        /// The store's file or folder.
        path: PathBuf,
        /// What failed.
        detail: String,
    },
    /// The store was shut down. Nothing was written.
    #[error("the store is shut down")]
    Closed,
}

impl StoreError {
    /// Something stored that cannot be read.
    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), detail: detail.into() }
    }

    /// A failure of the operating system; a full disk is told apart.
    pub(crate) fn io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), detail: format!("{doing}: {error}") },
        }
    }

    /// Whether the store takes nothing more until it was opened again.
    #[must_use]
    pub fn needs_reopening(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Damaged { .. })
    }

    /// Whether somebody else was first, so that reading and deciding again can help.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Guard { .. })
    }
}

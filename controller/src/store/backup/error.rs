//! What can go wrong with a backup, and the way out.

use std::path::PathBuf;

use crate::store::StoreError;

/// Why a backup was not made or not restored. A failed restore leaves nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream or a file.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not begin as a backup does.
    #[error("this is no backup of Patchwave (hint: give a file that `patchwave backup` wrote)")]
    NotABackup,
    /// A newer release wrote it.
    #[error("the backup has format {found} and this release knows {known} (hint: restore with the release that wrote it, or a newer one)")]
    UnknownFormat {
        /// The format found.
        found: u32,
        /// The format known.
        known: u32,
    },
    /// Its end is missing.
    #[error("the backup is cut off after {at} bytes (hint: nothing was restored; use another backup)")]
    CutOff {
        /// Bytes read.
        at: u64,
    },
    /// It is not as it was written.
    #[error("the backup is damaged at byte {at}: {detail} (hint: nothing was restored; use another backup)")]
    Damaged {
        /// Where the frame begins.
        at: u64,
        /// What is wrong.
        detail: String,
    },
    /// A file beside the store that cannot be part of a backup.
    #[error("the file \"{name}\" cannot be part of a backup: {detail}")]
    Attachment {
        /// Its name.
        name: String,
        /// Why not.
        detail: &'static str,
    },
    /// There is a file already.
    #[error("{} exists already (hint: give another name; nothing was changed)", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A backup cannot be restored into this kind of store.
    #[error("a store of kind \"{kind}\" is not kept on disk (hint: restore into redb or sled)")]
    NotOnDisk {
        /// The kind.
        kind: String,
    },
}

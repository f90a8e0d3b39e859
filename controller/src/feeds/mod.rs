//! How what is known of holes comes in: from files, directories and archives that others wrote. [`FORMATS`] lists the kinds of feeds.
//!
//! Terms: a *source* is a file, a directory of files or an archive; a *record* is one document in it, with the name that the source gives
//! it. Nothing of a source is believed: every size is bounded ([`Limits`]) before it is held, names are for people only and never become
//! paths, and a record that cannot be read is handed on with its reason instead of ending the reading.

mod content;
#[cfg(test)]
mod contract;
mod format;
mod limits;
mod packed;
mod records;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use content::{Content, Delta};
pub use format::{FORMATS, FeedFormat, FeedReader, Flaws};
pub use limits::Limits;
pub use packed::{Packer, unpack};
pub use records::{Record, Unreadable, read_records};

/// Why a source as a whole could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {source} (hint: check the path and who may read it)")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is an archive that cannot be taken apart.
    #[error("{path} is a damaged zip archive: {reason} (hint: fetch it again; it may have been cut off)")]
    Archive {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It holds more than is read.
    #[error("{path} holds more than {limit} {what} (hint: give a smaller part of it, such as one distribution's archive)")]
    TooMuch {
        /// Where.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// It holds nothing that could be a record.
    #[error("{path} holds no records (hint: a directory or a zip archive needs files that end in .json)")]
    Empty {
        /// Where.
        path: PathBuf,
    },
}

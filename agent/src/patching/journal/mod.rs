//! The journal of a case: append-only, each record with a checksum and synced before anybody acts on it.
//!
//! A torn tail (the write that a crash interrupted) is dropped: nothing was done on it. Damage anywhere else is refused with the file's
//! name and the way out, since a wrong guess could change packages twice. Files are 0600 in directories 0700.

mod frame;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use patchwave_common::runtime::atomic_file::{self, FileError};

use super::machine::Record;

/// Bound on a journal. A case takes some twenty records, of which the first, the order, is by far the largest.
const JOURNAL_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Room taken on disk at creation, so that a disk that fills up later cannot keep the end of a transaction from being recorded: twenty
/// small records and a baseline of a few hundred units fit several times.
const RESERVED_BYTES: u64 = 256 * 1024;

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {action} the journal {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file around the journal cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The journal does not hold what was written to it.
    #[error(
        "the journal {} is damaged at byte {offset}: {detail}. What was begun is unknown, so this host takes no order (hint: compare its \
         packages with the receipt in {}, put right what differs, move that directory away, and restart patchwave-agent)",
        path.display(), path.parent().unwrap_or(path).display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
    /// A record cannot be written.
    #[error("the journal {} cannot take a record: {detail}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

/// A journal that can be appended to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    next_index: u32,
    /// Set when a failed append could not be undone: then nothing may follow it.
    broken: bool,
}

impl Journal {
    /// Makes an empty journal and its directory, both synced.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        if let Some(directory) = path.parent() {
            atomic_file::private_directory(directory)?;
        }
        atomic_file::write(path, frame::MARK, atomic_file::MODE_SECRET)?;
        let journal = Self::open(path)?.0;
        reserve(&journal.file).map_err(failed("reserve room for", path))?;
        // The directory above must know the new directory, or a power cut takes both.
        if let Some(above) = path.parent().and_then(Path::parent) {
            File::open(above).and_then(|directory| directory.sync_all()).map_err(failed("sync the directory of", path))?;
        }
        Ok(journal)
    }

    /// Reads a journal and makes it ready to be appended to; a torn tail is cut off.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let decoded = decode_file(path)?;
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(failed("open", path))?;
        let records = decoded.records;
        let next_index = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let mut journal = Self { file, path: path.to_owned(), length: decoded.sound_bytes, next_index, broken: false };
        // Only where there is a torn end: cutting also gives back the room taken beyond the end.
        if journal.file.metadata().map_err(failed("examine", path))?.len() != journal.length {
            journal.cut().map_err(failed("cut the torn end of", path))?;
        }
        if journal.length == 0 {
            journal.write(frame::MARK).map_err(failed("write", path))?;
        }
        Ok((journal, records))
    }

    /// Reads a journal's records and changes nothing.
    pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
        decode_file(path).map(|decoded| decoded.records)
    }

    /// Appends a record; when this returns, it is on disk. On an error the journal is as before.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let refused = |detail: String| JournalError::Refused { path: self.path.clone(), detail };
        if self.broken {
            return Err(refused("an earlier record could not be written, nor taken back (hint: restart patchwave-agent)".to_owned()));
        }
        let frame = frame::encode(self.next_index, record).map_err(refused)?;
        if self.length.saturating_add(frame.len() as u64) > JOURNAL_MAX_BYTES {
            return Err(refused(format!("it would be longer than {JOURNAL_MAX_BYTES} bytes")));
        }
        if let Err(source) = self.write(&frame) {
            // After a failed sync nobody knows what is on disk; cutting back and syncing that makes it known again.
            self.broken = self.cut().is_err();
            return Err(JournalError::Io { action: "append to", path: self.path.clone(), source });
        }
        self.next_index += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_data()
    }
}

impl JournalError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        let (Self::Io { source, .. } | Self::File(FileError::Io { source, .. })) = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { action, path: path.to_owned(), source }
}

fn decode_file(path: &Path) -> Result<frame::Decoded, JournalError> {
    let bytes = atomic_file::read_bounded(path, JOURNAL_MAX_BYTES)?;
    let damaged = |damage: frame::Damage| JournalError::Damaged { path: path.to_owned(), offset: damage.offset, detail: damage.detail };
    frame::decode(&bytes).map_err(damaged)
}

/// Takes blocks beyond the end without changing the length. A file system that cannot is no reason to fail.
fn reserve(file: &File) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, RESERVED_BYTES) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

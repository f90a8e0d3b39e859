//! Backup and restore, independent of the kind of store.
//!
//! A backup is a stream: eight bytes [`MAGIC`], a format number, then *frames*. A frame is a kind byte, a length, a message of
//! `proto/store/v1/backup.proto`, and a CRC-32 over the three. The first frame is the header, the last the trailer with the number of
//! entries and a SHA-256 over everything before it; between them stand the attachments (files beside the store, such as the authority's
//! key) and then the records. A backup that lacks its trailer is no backup.
//!
//! The stream holds secrets: whoever writes it to a file gives that mode 0600 ([`backup_to_file`] does).

mod error;
mod export;
mod frame;
#[cfg(test)]
mod golden;
mod restore;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use patchwave_common::domain::Timestamp;
use patchwave_proto::store::v1;
use prost::Message as _;

pub use error::BackupError;
pub use restore::{Refilled, Restore, refill, restore, verify_backup};

use self::frame::{FrameKind, FrameWriter};
use super::codec::Stored;
use super::{Entry, Store};

/// How a backup begins.
pub const MAGIC: &[u8; 8] = b"PWBACKUP";
/// The format that this release writes and reads.
pub const FORMAT: u32 = 1;
/// Most attachments, and most bytes of one: the authority's files are three of some kilobytes.
pub const MAX_ATTACHMENTS: usize = 64;
/// See [`MAX_ATTACHMENTS`].
pub const MAX_ATTACHMENT_BYTES: usize = 1 << 20;

/// A file beside the store: its name and its bytes. May hold secrets.
pub type Attachment = (String, Vec<u8>);

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it was made.
    pub made_at: Timestamp,
    /// The release that made it.
    pub release: String,
    /// The store revision that it shows.
    pub revision: u64,
    /// Epoch of the store that it was made of.
    pub epoch: u32,
    /// Records.
    pub entries: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Writes a consistent copy of the store as of now; the store goes on meanwhile.
pub fn backup(store: &dyn Store, attachments: &[Attachment], at: Timestamp, out: &mut dyn Write) -> Result<BackupSummary, BackupError> {
    check_attachments(attachments)?;
    let snapshot = store.snapshot()?;
    let identity = snapshot.identity()?;
    let header = v1::BackupHeader {
        store_id: identity.store_id.0.to_vec(),
        epoch: identity.epoch,
        revision: snapshot.revision()?,
        made_at_ms: at.0,
        release: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut frames = FrameWriter::begin(out)?;
    frames.write(FrameKind::Header, &header.encode_to_vec())?;
    for (name, content) in attachments {
        let attachment = v1::BackupAttachment { name: name.clone(), content: content.clone() };
        let entry = v1::BackupEntry { entry: Some(v1::backup_entry::Entry::Attachment(attachment)) };
        frames.write(FrameKind::Entry, &entry.encode_to_vec())?;
    }
    let mut entries = 0;
    export::export(snapshot.as_ref(), &mut |entry: Entry| {
        entries += 1;
        frames.write(FrameKind::Entry, &entry.encode())
    })?;
    let bytes = frames.finish(entries)?;
    Ok(BackupSummary { made_at: at, release: header.release, revision: header.revision, epoch: header.epoch, entries, bytes })
}

/// Writes a backup to a new file of mode 0600, whole and synced or not at all. Refuses where there is a file already.
pub fn backup_to_file(store: &dyn Store, attachments: &[Attachment], at: Timestamp, path: &Path) -> Result<BackupSummary, BackupError> {
    let io = |source| BackupError::Io { doing: format!("write {}", path.display()), source };
    if path.exists() {
        return Err(BackupError::Exists { path: path.to_owned() });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".backup-").tempfile_in(folder).map_err(io)?;
    let mut buffered = std::io::BufWriter::new(file.as_file_mut());
    let summary = backup(store, attachments, at, &mut buffered)?;
    buffered.flush().map_err(io)?;
    drop(buffered);
    file.as_file().sync_all().map_err(io)?;
    file.persist_noclobber(path).map_err(|error| io(error.error))?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(summary)
}

/// A name is a plain file name, so that no backup can write elsewhere.
fn check_attachments(attachments: &[Attachment]) -> Result<(), BackupError> {
    if attachments.len() > MAX_ATTACHMENTS {
        return Err(BackupError::Attachment { name: format!("number {MAX_ATTACHMENTS}"), detail: "there are too many" });
    }
    attachments.iter().try_for_each(|(name, content)| check_attachment(name, content))
}

fn check_attachment(name: &str, content: &[u8]) -> Result<(), BackupError> {
    let refuse = |detail| Err(BackupError::Attachment { name: patchwave_common::domain::clean_text(name, 80), detail });
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return refuse("it is no plain file name");
    }
    if content.len() > MAX_ATTACHMENT_BYTES { refuse("it is too large") } else { Ok(()) }
}

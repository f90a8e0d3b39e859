//! Restoring a backup: all of it is read, checked and written beside the wanted place before anything stands in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use patchwave_common::domain::Timestamp;
use patchwave_proto::store::v1;
use patchwave_proto::store::v1::backup_entry;
use prost::Message as _;

use super::frame::{Frame, FrameKind, FrameReader};
use super::{Attachment, BackupError, BackupSummary, MAX_ATTACHMENTS, check_attachment};
use crate::records::{AuditBreak, AuditRecord, verify_audit_chain};
use crate::store::codec::Stored;
use crate::store::{Entry, MAX_PAGE, Store, StoreError, open};

/// Entries that are written with one sync.
const BATCH_ENTRIES: usize = 2_000;
/// A batch is written once it has this many bytes.
const BATCH_BYTES: usize = 16 << 20;

/// A restored store that does not stand in its place yet. Dropped without [`Restore::finish`], it leaves nothing behind.
pub struct Restore {
    folder: tempfile::TempDir,
    path: PathBuf,
    attachments: Vec<Attachment>,
    /// What the backup held.
    pub summary: BackupSummary,
    /// The new epoch: agents refuse whatever the lost controller had ordered.
    pub epoch: u32,
    /// Where the audit log does not hold; it was so before the backup.
    pub audit_break: Option<AuditBreak>,
}

impl std::fmt::Debug for Restore {
    /// Without the attachments: they hold keys.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Restore").field("path", &self.path).field("summary", &self.summary).finish_non_exhaustive()
    }
}

impl Restore {
    /// The files that were beside the store; to be put in place before [`Self::finish`].
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// Puts the store in its place, durably.
    pub fn finish(self) -> Result<(), BackupError> {
        let built = built_path(&self.folder);
        // Also where somebody made a store in the meantime.
        rustix::fs::renameat_with(rustix::fs::CWD, &built, rustix::fs::CWD, &self.path, rustix::fs::RenameFlags::NOREPLACE).map_err(
            |error| match error {
                rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY => {
                    BackupError::Store(StoreError::Exists { path: self.path.clone() })
                }
                error => BackupError::Io { doing: format!("put the store in place at {}", self.path.display()), source: error.into() },
            },
        )?;
        std::fs::File::open(folder_of(&self.path))
            .and_then(|folder| folder.sync_all())
            .map_err(|source| BackupError::Io { doing: format!("sync the folder of {}", self.path.display()), source })
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn built_path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("store")
}

/// Reads a backup, writes it to a new store beside `path`, and verifies all of it: every checksum, the trailer's count and digest, every
/// row of the new store, and every inventory against its digest. Then the epoch is raised. Refuses where there is something at `path`.
pub fn restore(input: &mut dyn Read, kind: &str, path: &Path) -> Result<Restore, BackupError> {
    if path.symlink_metadata().is_ok() {
        return Err(StoreError::Exists { path: path.to_owned() }.into());
    }
    if kind == "memory" {
        return Err(BackupError::NotOnDisk { kind: kind.to_owned() });
    }
    let folder = tempfile::Builder::new()
        .prefix(".restoring-")
        .tempdir_in(folder_of(path))
        .map_err(|source| BackupError::Io { doing: format!("make a folder beside {}", path.display()), source })?;
    let store = open(kind, &built_path(&folder))?;
    let Refilled { attachments, summary, epoch, audit_break } = refill(input, store.as_ref())?;
    Ok(Restore { folder, path: path.to_owned(), attachments, summary, epoch, audit_break })
}

/// What came out of a backup beside the records.
pub struct Refilled {
    /// The files that were beside the store.
    pub attachments: Vec<Attachment>,
    /// What the backup held.
    pub summary: BackupSummary,
    /// The new epoch.
    pub epoch: u32,
    /// Where the audit log does not hold.
    pub audit_break: Option<AuditBreak>,
}

/// [`restore`] into a new store that is open already and that nobody uses: writes, verifies, raises the epoch.
pub fn refill(input: &mut dyn Read, store: &dyn Store) -> Result<Refilled, BackupError> {
    let mut importer = Importer { store, batch: Vec::new(), bytes: 0 };
    let (attachments, summary) = read(input, &mut |entry, bytes| importer.take(entry, bytes))?;
    importer.write()?;
    store.verify()?;
    verify_inventories(store)?;
    let audit_break = audit_break(store)?;
    let epoch = store.raise_epoch(0)?;
    Ok(Refilled { attachments, summary, epoch, audit_break })
}

/// Reads a backup and checks that it is whole, without restoring it.
pub fn verify_backup(input: &mut dyn Read) -> Result<BackupSummary, BackupError> {
    read(input, &mut |_, _| Ok(())).map(|(_, summary)| summary)
}

/// Gathers entries into batches.
struct Importer<'a> {
    store: &'a dyn Store,
    batch: Vec<Entry>,
    bytes: usize,
}

impl Importer<'_> {
    fn take(&mut self, entry: Entry, bytes: usize) -> Result<(), BackupError> {
        self.batch.push(entry);
        self.bytes += bytes;
        if self.batch.len() >= BATCH_ENTRIES || self.bytes >= BATCH_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), BackupError> {
        self.bytes = 0;
        Ok(self.store.import(std::mem::take(&mut self.batch))?)
    }
}

/// Reads a whole backup and hands on its entries with their lengths in bytes.
fn read(
    input: &mut dyn Read,
    take: &mut dyn FnMut(Entry, usize) -> Result<(), BackupError>,
) -> Result<(Vec<Attachment>, BackupSummary), BackupError> {
    let mut frames = FrameReader::begin(input)?;
    let first = frames.next()?;
    if first.kind != FrameKind::Header {
        return Err(BackupError::Damaged { at: first.at, detail: "the header is missing".into() });
    }
    let header: v1::BackupHeader = first.decode()?;
    let (mut attachments, mut entries) = (Vec::new(), 0);
    loop {
        let frame = frames.next()?;
        match frame.kind {
            FrameKind::Header => return Err(BackupError::Damaged { at: frame.at, detail: "a second header".into() }),
            FrameKind::Entry => read_entry(&frame, &mut attachments, &mut entries, take)?,
            FrameKind::Trailer => {
                check_trailer(&frame, entries)?;
                break;
            }
        }
    }
    frames.end()?;
    let summary = BackupSummary {
        made_at: Timestamp(header.made_at_ms),
        release: patchwave_common::domain::clean_text(&header.release, 80),
        revision: header.revision,
        epoch: header.epoch,
        entries,
        bytes: frames.bytes(),
    };
    Ok((attachments, summary))
}

fn read_entry(
    frame: &Frame,
    attachments: &mut Vec<Attachment>,
    entries: &mut u64,
    take: &mut dyn FnMut(Entry, usize) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let message = v1::BackupEntry::decode(frame.message.as_slice())
        .map_err(|error| BackupError::Damaged { at: frame.at, detail: error.to_string() })?;
    if let Some(backup_entry::Entry::Attachment(attachment)) = message.entry {
        check_attachment(&attachment.name, &attachment.content)?;
        if attachments.len() >= MAX_ATTACHMENTS {
            return Err(BackupError::Damaged { at: frame.at, detail: "it has too many files".into() });
        }
        attachments.push((attachment.name, attachment.content));
        return Ok(());
    }
    let entry = Entry::from_message(message).map_err(|error| BackupError::Damaged { at: frame.at, detail: error.to_string() })?;
    *entries += 1;
    take(entry, frame.message.len())
}

fn check_trailer(frame: &Frame, entries: u64) -> Result<(), BackupError> {
    let trailer: v1::BackupTrailer = frame.decode()?;
    let damaged = |detail: String| Err(BackupError::Damaged { at: frame.at, detail });
    if trailer.entries != entries {
        return damaged(format!("it has {entries} records and should have {}", trailer.entries));
    }
    if trailer.digest != frame.digest_before { damaged("its digest does not fit".into()) } else { Ok(()) }
}

/// Every inventory that a host has gives its digest.
fn verify_inventories(store: &dyn Store) -> Result<(), BackupError> {
    let mut checked = std::collections::BTreeSet::new();
    let mut hosts = store.hosts(None, MAX_PAGE)?;
    loop {
        for digest in hosts.iter().filter_map(|host| host.inventory) {
            if checked.insert(digest) && store.inventory(&digest)?.is_none_or(|inventory| inventory.digest() != digest) {
                return Err(BackupError::Damaged { at: 0, detail: format!("inventory {digest} is not the one that its digest names") });
            }
        }
        match hosts.last() {
            Some(last) if hosts.len() >= MAX_PAGE => hosts = store.hosts(Some(&last.id), MAX_PAGE)?,
            _ => return Ok(()),
        }
    }
}

/// A broken audit chain is told, and no reason to refuse a backup in need.
fn audit_break(store: &dyn Store) -> Result<Option<AuditBreak>, BackupError> {
    let mut end = (0, AuditRecord::START);
    loop {
        let page = store.audit(end.0, MAX_PAGE)?;
        end = match verify_audit_chain(end, &page) {
            Ok(end) => end,
            Err(found) => return Ok(Some(found)),
        };
        if page.len() < MAX_PAGE {
            return Ok(None);
        }
    }
}

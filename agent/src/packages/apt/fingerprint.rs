//! Marks of the present state, from `stat` alone: when a mark is unchanged, nothing is parsed and no process started.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use patchwave_common::domain::DigestBuilder;

use super::layout::Layout;
use crate::packages::{Fingerprint, PackageError};

/// Entries of a directory that are looked at. A host with more index files than this is beyond anything seen (hundreds).
const ENTRIES_MAX: usize = 20_000;

/// The installed packages: status, pending records, marks.
pub(crate) fn of_packages(layout: &Layout) -> Result<Fingerprint, PackageError> {
    let mut builder = DigestBuilder::default();
    file(&mut builder, &layout.status())?;
    directory(&mut builder, &layout.updates())?;
    file(&mut builder, &layout.extended_states())?;
    Ok(Fingerprint(builder.finish()))
}

/// All that apt's choice of candidates depends on: packages, indexes, configuration, pins and sources.
pub(crate) fn of_candidates(layout: &Layout) -> Result<Fingerprint, PackageError> {
    let mut builder = DigestBuilder::default();
    builder.field(&of_packages(layout)?.0.0);
    directory(&mut builder, &layout.lists())?;
    let etc = layout.etc();
    for name in ["apt.conf", "preferences", "sources.list"] {
        file(&mut builder, &etc.join(name))?;
    }
    for name in ["apt.conf.d", "preferences.d", "sources.list.d"] {
        directory(&mut builder, &etc.join(name))?;
    }
    Ok(Fingerprint(builder.finish()))
}

/// Inode and change time tell a replaced file from the old one even where size and time of writing agree.
fn file(builder: &mut DigestBuilder, path: &Path) -> Result<(), PackageError> {
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let numbers = [metadata.ino(), metadata.size(), metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()];
            let changed = [metadata.ctime().cast_unsigned(), metadata.ctime_nsec().cast_unsigned()];
            for number in numbers.into_iter().chain(changed) {
                builder.field(&number.to_be_bytes());
            }
            Ok(())
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            builder.field(b"absent");
            Ok(())
        }
        Err(error) => Err(PackageError::io("examine", path)(error)),
    }
}

/// The plain files in a directory, by name. The directory's own times change with every lock file, so they do not count.
fn directory(builder: &mut DigestBuilder, path: &Path) -> Result<(), PackageError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            builder.field(b"absent");
            return Ok(());
        }
        Err(error) => return Err(PackageError::io("read", path)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries.take(ENTRIES_MAX) {
        let entry = entry.map_err(PackageError::io("read", path))?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_directory && entry.file_name() != "lock" && entry.file_name() != "tmp.i" {
            paths.push(entry.path());
        }
    }
    paths.sort();
    builder.field(&(paths.len() as u64).to_be_bytes());
    for path in paths {
        builder.field(path.as_os_str().as_encoded_bytes());
        file(builder, &path)?;
    }
    Ok(())
}

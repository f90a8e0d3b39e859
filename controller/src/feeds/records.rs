//! The records of a source, one after another.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use patchwave_common::domain::clean_text;

use super::{Limits, SourceError};

/// Longest name of a record that is shown.
const NAME_MAX_CHARS: usize = 200;
/// What a record's file ends in, in a directory and in an archive.
const RECORD_SUFFIX: &str = ".json";
const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One record as the source has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The source's name for it; for people.
    pub name: &'a str,
    /// Its bytes, or why there are none.
    pub bytes: Result<&'a [u8], Unreadable>,
}

/// Why a record's bytes could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is larger than a record may be.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// Unpacking it failed: cut off, damaged, or packed in a way that is not read.
    #[error("it cannot be unpacked: {0}")]
    Damaged(String),
}

/// Shows each record of a source to `take`, in the order of their names in a directory and in the order of the archive in an archive. A
/// plain or gzipped file is one record.
pub fn read_records(path: &Path, limits: &Limits, take: &mut dyn FnMut(Record<'_>)) -> Result<(), SourceError> {
    let mut reading = Reading { root: path, limits, take, records: 0, bytes: 0, buffer: Vec::new() };
    let metadata = std::fs::metadata(path).map_err(reading.io(path))?;
    if metadata.is_dir() {
        reading.directory(path, 0)?
    } else {
        reading.file(path)?
    }
    if reading.records == 0 {
        return Err(SourceError::Empty { path: path.to_owned() });
    }
    Ok(())
}

struct Reading<'a> {
    root: &'a Path,
    limits: &'a Limits,
    take: &'a mut dyn FnMut(Record<'_>),
    records: u64,
    bytes: u64,
    /// One record's bytes; kept, so that a hundred thousand records need one piece of memory.
    buffer: Vec<u8>,
}

impl Reading<'_> {
    fn io(&self, path: &Path) -> impl Fn(std::io::Error) -> SourceError + use<> {
        let path = path.to_owned();
        move |source| SourceError::Io { path: path.clone(), source }
    }

    fn too_much(&self, what: &'static str, limit: u64) -> SourceError {
        SourceError::TooMuch { path: self.root.to_owned(), what, limit }
    }

    /// Files of a directory and of the directories in it. Links to directories are not followed: they could lead in a circle.
    fn directory(&mut self, path: &Path, depth: u32) -> Result<(), SourceError> {
        if depth > self.limits.depth {
            return Err(self.too_much("levels of directories", u64::from(self.limits.depth)));
        }
        let mut entries: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(self.io(path))? {
            entries.push(entry.map_err(self.io(path))?.path());
            if entries.len() as u64 > self.limits.records {
                return Err(self.too_much("records", self.limits.records));
            }
        }
        entries.sort();
        for entry in entries {
            let metadata = std::fs::symlink_metadata(&entry).map_err(self.io(&entry))?;
            if metadata.is_dir() {
                self.directory(&entry, depth + 1)?;
            } else if is_record_name(&entry.to_string_lossy()) && std::fs::metadata(&entry).is_ok_and(|metadata| metadata.is_file()) {
                let file = File::open(&entry).map_err(self.io(&entry))?;
                let name = entry.strip_prefix(self.root).unwrap_or(&entry).to_string_lossy().into_owned();
                self.record(&name, file)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), SourceError> {
        let mut file = File::open(path).map_err(self.io(path))?;
        let mut head = [0; 4];
        let length = read_up_to(&mut file, &mut head).map_err(self.io(path))?;
        file.rewind().map_err(self.io(path))?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        match &head[..length.min(head.len())] {
            magic if magic.starts_with(&ZIP_MAGIC) => self.archive(path, file),
            magic if magic.starts_with(&GZIP_MAGIC) => self.record(&name, flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            _ => self.record(&name, file),
        }
    }

    fn archive(&mut self, path: &Path, file: File) -> Result<(), SourceError> {
        if file.metadata().map_err(self.io(path))?.len() > self.limits.archive_bytes {
            return Err(self.too_much("bytes", self.limits.archive_bytes));
        }
        let damaged =
            |error: zip::result::ZipError| SourceError::Archive { path: path.to_owned(), reason: clean_text(&error.to_string(), 200) };
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        if archive.len() as u64 > self.limits.records {
            return Err(self.too_much("records", self.limits.records));
        }
        for index in 0..archive.len() {
            let entry = match archive.by_index(index) {
                Ok(entry) => entry,
                Err(error) => {
                    self.hand_on(&format!("entry {index}"), Err(Unreadable::Damaged(clean_text(&error.to_string(), 200))))?;
                    continue;
                }
            };
            // A name in no known encoding is no reason to leave a record out.
            let name = entry.name().map_or_else(|_| format!("entry {index}{RECORD_SUFFIX}"), |name| name.into_owned());
            if entry.is_file() && is_record_name(&name) {
                self.record(&name, entry)?;
            }
        }
        Ok(())
    }

    /// Reads one record and hands it on; only a bound on the whole ends the reading.
    fn record(&mut self, name: &str, mut content: impl Read) -> Result<(), SourceError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        // One byte more tells whether it ended; what is left of a larger one is never unpacked.
        let read = (&mut content).take(self.limits.record_bytes + 1).read_to_end(&mut buffer);
        self.bytes += buffer.len() as u64;
        if self.bytes > self.limits.total_bytes {
            return Err(self.too_much("bytes, unpacked", self.limits.total_bytes));
        }
        let bytes = match read {
            Err(error) => Err(Unreadable::Damaged(clean_text(&error.to_string(), 200))),
            Ok(_) if buffer.len() as u64 > self.limits.record_bytes => Err(Unreadable::TooLarge { limit: self.limits.record_bytes }),
            Ok(_) => Ok(buffer.as_slice()),
        };
        let handed = self.hand_on(name, bytes);
        self.buffer = buffer;
        handed
    }

    fn hand_on(&mut self, name: &str, bytes: Result<&[u8], Unreadable>) -> Result<(), SourceError> {
        self.records += 1;
        if self.records > self.limits.records {
            return Err(self.too_much("records", self.limits.records));
        }
        (self.take)(Record { name: &clean_text(name, NAME_MAX_CHARS), bytes });
        Ok(())
    }
}

fn is_record_name(name: &str) -> bool {
    name.len() > RECORD_SUFFIX.len() && name.ends_with(RECORD_SUFFIX)
}

/// As many bytes as there are, up to the buffer's length.
fn read_up_to(source: &mut impl Read, buffer: &mut [u8; 4]) -> std::io::Result<usize> {
    let mut head = Vec::with_capacity(buffer.len());
    source.take(buffer.len() as u64).read_to_end(&mut head)?;
    for (place, byte) in buffer.iter_mut().zip(&head) {
        *place = *byte;
    }
    Ok(head.len())
}

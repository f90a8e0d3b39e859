//! A row's value: one format byte, the encoded record, and a CRC-32 over key, format and record.
//!
//! The checksum covers the key, so a value that an engine gives back under another key is found too.

use crate::store::codec::Stored;

use std::path::Path;

use crate::store::{Result, StoreError};

/// Format of values that this release writes.
const FORMAT: u8 = 1;

/// The value to store for an encoded record.
pub(crate) fn seal(key: &[u8], encoded: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(encoded.len() + 5);
    value.push(FORMAT);
    value.extend_from_slice(encoded);
    let checksum = checksum(key, &value);
    value.extend_from_slice(&checksum.to_be_bytes());
    value
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// The checksum that a sealed value carries; 0 where it is too short to carry one.
pub(crate) fn stored_checksum(value: &[u8]) -> u32 {
    value.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Checks a value and gives the encoded record.
pub(crate) fn unseal<'a>(path: &Path, key: &[u8], value: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = |detail: &str| StoreError::damaged(path, format!("{detail} in row {}", show_key(key)));
    let (body, _) = value.split_last_chunk::<4>().ok_or_else(|| damaged("a value is cut off"))?;
    if checksum(key, body) != stored_checksum(value) {
        return Err(damaged("a checksum does not fit"));
    }
    match body.split_first() {
        Some((&FORMAT, encoded)) => Ok(encoded),
        Some((&format, _)) => Err(StoreError::UnknownFormat { path: path.to_owned(), found: u64::from(format), known: u64::from(FORMAT) }),
        None => Err(damaged("a value is empty")),
    }
}

/// Checks and decodes a value.
pub(crate) fn open<T: Stored>(path: &Path, key: &[u8], value: &[u8]) -> Result<T> {
    T::decode(unseal(path, key, value)?).map_err(|error| StoreError::damaged(path, format!("{error} in row {}", show_key(key))))
}

/// A key as an error shows it: the table's number and the printable part.
pub(crate) fn show_key(key: &[u8]) -> String {
    let Some((table, rest)) = key.split_first() else { return "(empty)".into() };
    let printable = |byte: &u8| byte.is_ascii_graphic();
    let shown = if rest.iter().all(printable) {
        String::from_utf8_lossy(rest).into_owned()
    } else {
        rest.iter().take(48).map(|byte| format!("{byte:02x}")).collect()
    };
    format!("{table}/{shown}")
}

//! What fuzz targets need of the journal: its bytes without a file.

use super::super::machine::Record;
use super::frame;

/// First bytes of a journal.
pub const MARK: &[u8] = frame::MARK;

/// The records in a journal's bytes and the length of what is whole; or where and why it makes no sense.
///
/// # Errors
/// Damage: its offset, and what is wrong.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Record>, u64), (u64, String)> {
    frame::decode(bytes).map(|decoded| (decoded.records, decoded.sound_bytes)).map_err(|damage| (damage.offset, damage.detail))
}

/// The frame of one record.
///
/// # Errors
/// A record that no journal takes.
pub fn encode(index: u32, record: &Record) -> Result<Vec<u8>, String> {
    frame::encode(index, record)
}

//! How records lie in a journal: a mark at the start of the file, then frames of header and payload. Pure.
//!
//! The header holds the payload's length, the record's index, a checksum of those two, and the payload's checksum. Because the header
//! has a checksum of its own, a length is believed only where it was written so; what follows is then either whole, or torn, or damaged:
//! *torn* is what a crash in the middle of the last write leaves (a prefix of the frame, perhaps with zeros after it), and is dropped;
//! *damaged* is anything else, and is never guessed at.

use patchwave_common::domain::clean_text;

use super::super::machine::Record;

/// First bytes of a journal; the digits are the version of the form.
pub(super) const MARK: &[u8; 8] = b"PWJRNL01";
const HEADER_BYTES: usize = 16;
/// Bound on one record. An order for 3,000 packages is about 1 MiB of JSON; this is sixteen times that.
pub(super) const RECORD_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bound on what is told of a record that cannot be read; it stands in a log line.
const DETAIL_MAX_CHARS: usize = 300;

/// What a journal's bytes hold.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    /// The records, in order.
    pub(super) records: Vec<Record>,
    /// Length of the mark and the whole frames; what lies beyond is torn.
    pub(super) sound_bytes: u64,
}

/// Where and why a journal makes no sense.
#[derive(Debug, PartialEq)]
pub(super) struct Damage {
    pub(super) offset: u64,
    pub(super) detail: String,
}

/// The frame of one record.
pub(super) fn encode(index: u32, record: &Record) -> Result<Vec<u8>, String> {
    let payload = serde_json::to_vec(record).map_err(|error| error.to_string())?;
    if payload.len() > RECORD_MAX_BYTES {
        return Err(format!("a record of {} bytes is beyond the bound of {RECORD_MAX_BYTES}", payload.len()));
    }
    let length = u32::try_from(payload.len()).map_err(|error| error.to_string())?;
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&index.to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame[..8]).to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    frame.extend_from_slice(&payload);
    Ok(frame)
}

/// Reads a journal's bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Damage> {
    let mut decoded = Decoded { records: Vec::new(), sound_bytes: 0 };
    if !bytes.starts_with(MARK) {
        // Creation torn: a prefix of the mark, perhaps with zeros after it.
        let written = bytes.iter().zip(MARK).take_while(|(byte, mark)| byte == mark).count();
        let rest_is_empty = bytes[written..].iter().all(|byte| *byte == 0);
        let damage = || Damage { offset: 0, detail: "it does not start as a journal of this form does".to_owned() };
        return rest_is_empty.then_some(decoded).ok_or_else(damage);
    }
    let mut offset = MARK.len();
    while offset < bytes.len() {
        match next(&bytes[offset..], decoded.records.len()) {
            Frame::Whole(record, length) => {
                decoded.records.push(*record);
                offset += length;
            }
            Frame::Torn => break,
            Frame::Damaged(detail) => return Err(Damage { offset: offset as u64, detail }),
        }
    }
    decoded.sound_bytes = offset as u64;
    Ok(decoded)
}

enum Frame {
    Whole(Box<Record>, usize),
    Torn,
    Damaged(String),
}

fn next(bytes: &[u8], index: usize) -> Frame {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes);
    let header_is_sound = bytes.len() >= HEADER_BYTES && crc32fast::hash(&bytes[..8]) == word(8);
    if !header_is_sound {
        // A torn header is shorter than a header, or has zeros from somewhere on to the end of the file.
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let torn = bytes.len() < HEADER_BYTES || written < HEADER_BYTES;
        return if torn { Frame::Torn } else { Frame::Damaged("a record's header does not have its checksum".to_owned()) };
    }
    let length = word(0) as usize;
    if word(4) as usize != index {
        return Frame::Damaged(format!("record {} stands where record {index} should", word(4)));
    }
    if length > RECORD_MAX_BYTES {
        return Frame::Damaged(format!("a record says that it has {length} bytes"));
    }
    let end = HEADER_BYTES + length;
    let Some(payload) = bytes.get(HEADER_BYTES..end) else { return Frame::Torn };
    if crc32fast::hash(payload) != word(12) {
        // Only the last write can be torn; with anything written after it, it is damage.
        let is_last = bytes[end..].iter().all(|byte| *byte == 0);
        return if is_last { Frame::Torn } else { Frame::Damaged("a record does not have its checksum".to_owned()) };
    }
    match serde_json::from_slice(payload) {
        Ok(record) => Frame::Whole(Box::new(record), end),
        // The reader's words quote the record.
        Err(error) => {
            let detail = clean_text(&error.to_string(), DETAIL_MAX_CHARS);
            Frame::Damaged(format!("a record is not one that this release knows: {detail}"))
        }
    }
}

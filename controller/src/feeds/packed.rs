//! Records as they are kept: exactly as the feed wrote them, many to a segment, deflated. They are read again by the parsers that read them
//! first, so that a later release that understands more of a record finds all of it.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Bytes of records after which a segment ends. Advisories deflate to a tenth, so a segment is a write of some hundred KB; one record that is
/// larger has a segment of its own.
const SEGMENT_BYTES: usize = 4 << 20;
/// Longest name of a record.
const NAME_MAX_BYTES: usize = 1_024;

/// Packs records into segments.
pub struct Packer {
    encoder: DeflateEncoder<Vec<u8>>,
    held: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::fast()), held: 0 }
    }
}

impl Packer {
    /// Takes a record; gives a segment where it is full with it.
    pub fn push(&mut self, name: &str, record: &[u8]) -> std::io::Result<Option<Bytes>> {
        let name = name.as_bytes();
        let name = name.get(..NAME_MAX_BYTES).unwrap_or(name);
        for part in [name, record] {
            let length = u32::try_from(part.len()).map_err(std::io::Error::other)?;
            self.encoder.write_all(&length.to_be_bytes())?;
            self.encoder.write_all(part)?;
            self.held += part.len() + 4;
        }
        if self.held >= SEGMENT_BYTES { self.finish() } else { Ok(None) }
    }

    /// The segment of what was taken since the last one; nothing where there is nothing.
    pub fn finish(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.held == 0 {
            return Ok(None);
        }
        let full = std::mem::take(self);
        Ok(Some(full.encoder.finish()?.into()))
    }
}

/// Shows each record of a segment to `take`; none may be longer than `record_bytes`.
///
/// # Errors
/// What is wrong with the segment.
pub fn unpack(segment: &[u8], record_bytes: u64, take: &mut dyn FnMut(&str, &[u8])) -> Result<(), String> {
    let mut decoder = DeflateDecoder::new(segment);
    let (mut name, mut record) = (Vec::new(), Vec::new());
    loop {
        let Some(length) = length(&mut decoder)? else { return Ok(()) };
        part(&mut decoder, length, NAME_MAX_BYTES as u64, &mut name)?;
        let length = self::length(&mut decoder)?.ok_or("it ends within a record")?;
        part(&mut decoder, length, record_bytes, &mut record)?;
        take(&String::from_utf8_lossy(&name), &record);
    }
}

/// The length of the next part; none at the end.
fn length(decoder: &mut DeflateDecoder<&[u8]>) -> Result<Option<u64>, String> {
    let mut bytes = Vec::with_capacity(4);
    decoder.take(4).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    match bytes.as_slice() {
        [] => Ok(None),
        &[a, b, c, d] => Ok(Some(u64::from(u32::from_be_bytes([a, b, c, d])))),
        _ => Err("it ends within a length".into()),
    }
}

fn part(decoder: &mut DeflateDecoder<&[u8]>, length: u64, most: u64, buffer: &mut Vec<u8>) -> Result<(), String> {
    if length > most {
        return Err(format!("a part of {length} bytes is longer than {most}"));
    }
    buffer.clear();
    decoder.take(length).read_to_end(buffer).map_err(|error| error.to_string())?;
    if buffer.len() as u64 == length { Ok(()) } else { Err("it ends within a record".into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn unpacked(segments: &[Bytes]) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for segment in segments {
            unpack(segment, 1 << 20, &mut |name, record| all.push((name.to_owned(), record.to_vec()))).unwrap();
        }
        all
    }

    #[test]
    fn a_long_feed_has_many_segments_and_every_record_once() {
        let mut packer = Packer::default();
        let records: Vec<(String, Vec<u8>)> = (0..12).map(|number| (format!("{number}.json"), vec![number; 1 << 20])).collect();
        let mut segments = Vec::new();
        for (name, record) in &records {
            segments.extend(packer.push(name, record).unwrap());
        }
        segments.extend(packer.finish().unwrap());
        assert_eq!(packer.finish().unwrap(), None);
        assert_eq!(segments.len(), 3);
        assert_eq!(unpacked(&segments), records);
    }

    #[test]
    fn a_record_longer_than_the_bound_is_never_held() {
        let mut packer = Packer::default();
        packer.push("a", &[0; 1_000]).unwrap();
        let segment = packer.finish().unwrap().unwrap();
        assert!(unpack(&segment, 999, &mut |_, _| ()).unwrap_err().contains("longer than 999"));
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(records in proptest::collection::vec(("[a-z]{0,9}", proptest::collection::vec(any::<u8>(), 0..99)), 1..20)) {
            let mut packer = Packer::default();
            for (name, record) in &records {
                prop_assert!(packer.push(name, record).unwrap().is_none());
            }
            let segment: Vec<Bytes> = packer.finish().unwrap().into_iter().collect();
            prop_assert_eq!(unpacked(&segment), records);
        }

        #[test]
        fn noise_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes, 1_000, &mut |_, _| ());
        }
    }
}

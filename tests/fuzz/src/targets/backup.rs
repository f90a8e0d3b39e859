//! A backup's stream. The first byte says how the rest is meant: a stream as it is, or frames that are given sound lengths and checksums
//! (each a kind byte and a message), with or without a sound trailer; else nothing beyond the first checksum would ever be reached.
//!
//! Holds: a stream is whole or refused; a whole one has all its bytes counted; cut short anywhere, or with anything after its end, it is
//! refused.

use patchwave::store::backup::{FORMAT, MAGIC, verify_backup};
use patchwave_common::domain::Digest;
use patchwave_proto::store::v1::BackupTrailer;
use prost::Message as _;

use crate::clean::assert_fit;
use crate::pieces;

const GOLDEN: &[u8] = include_bytes!("../../../../controller/src/store/backup/golden-0.1.0.backup");
/// Magic and format.
const HEAD_BYTES: usize = 12;
/// Kind, length and checksum of a frame.
const FRAME_BYTES: usize = 9;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((kind, rest)) = pieces::choice(data, 3) else { return };
    let stream = match kind {
        0 => rest.to_vec(),
        kind => framed(rest, kind == 2),
    };
    let read = |mut bytes: &[u8]| verify_backup(&mut bytes);
    match read(&stream) {
        Ok(summary) => {
            assert_eq!(summary.bytes, stream.len() as u64);
            assert_fit(&summary.release, 80);
            assert!(read(&stream[..stream.len() - 1]).is_err());
            assert!(read(&[stream.as_slice(), &[0]].concat()).is_err());
        }
        Err(error) => assert_fit(&error.to_string(), 1000),
    }
}

fn frame(kind: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let checksum = crc32fast::hash(&frame);
    frame.extend(checksum.to_be_bytes());
    frame
}

fn framed(data: &[u8], ended: bool) -> Vec<u8> {
    let mut stream = [MAGIC.as_slice(), &FORMAT.to_be_bytes()].concat();
    let mut entries = 0;
    for piece in pieces::split(data) {
        let Some((&kind, message)) = piece.split_first() else { continue };
        stream.extend(frame(kind, message));
        entries += u64::from(kind == 2);
    }
    if ended {
        let digest = Digest::of(&stream).0.to_vec();
        stream.extend(frame(3, &BackupTrailer { entries, digest }.encode_to_vec()));
    }
    stream
}

/// The frames of the stored backup of release 0.1.0, each with its kind.
fn golden_frames() -> Vec<(u8, &'static [u8])> {
    let (mut frames, mut rest) = (Vec::new(), &GOLDEN[HEAD_BYTES..]);
    while rest.len() >= FRAME_BYTES {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        frames.push((rest[0], &rest[5..5 + length]));
        rest = &rest[FRAME_BYTES + length..];
    }
    frames
}

/// The messages of its entries.
pub(super) fn golden_entries() -> Vec<&'static [u8]> {
    golden_frames().into_iter().filter(|(kind, _)| *kind == 2).map(|(_, message)| message).collect()
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let piece = |(kind, message): &(u8, &[u8])| [&[*kind], *message].concat();
    let frames = golden_frames();
    let without_trailer = frames.iter().filter(|(kind, _)| *kind != 3).map(piece);
    let mut seeds = vec![
        [&[0], GOLDEN].concat(),
        [vec![1], pieces::join(frames.iter().map(piece))].concat(),
        [vec![2], pieces::join(without_trailer)].concat(),
    ];
    // Small ones, of a header and one entry each.
    for entry in frames.iter().filter(|(kind, _)| *kind == 2) {
        seeds.push([vec![2], pieces::join([piece(&frames[0]), piece(entry)])].concat());
    }
    seeds
}

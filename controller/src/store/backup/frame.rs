//! Frames: how messages stand in a backup, and how damage shows.

use std::io::{Read, Write};

use patchwave_proto::store::v1;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{BackupError, FORMAT, MAGIC};
use crate::store::MAX_VALUE_BYTES;

/// Longest message: the largest value and what stands around it.
const MAX_FRAME_BYTES: usize = MAX_VALUE_BYTES + (1 << 20);

/// What a frame holds. The numbers stand in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    Header = 1,
    Entry = 2,
    Trailer = 3,
}

impl FrameKind {
    fn parse(byte: u8) -> Option<Self> {
        [Self::Header, Self::Entry, Self::Trailer].into_iter().find(|&kind| kind as u8 == byte)
    }
}

fn checksum(kind: u8, length: [u8; 4], message: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&length);
    hasher.update(message);
    hasher.finalize().to_be_bytes()
}

/// Writes frames and keeps the digest of all.
pub(super) struct FrameWriter<'a> {
    out: &'a mut dyn Write,
    digest: Sha256,
    bytes: u64,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn begin(out: &'a mut dyn Write) -> Result<Self, BackupError> {
        let mut writer = Self { out, digest: Sha256::new(), bytes: 0 };
        writer.raw(MAGIC)?;
        writer.raw(&FORMAT.to_be_bytes())?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, kind: FrameKind, message: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.raw(&[kind as u8])?;
        self.raw(&length)?;
        self.raw(message)?;
        self.raw(&checksum(kind as u8, length, message))
    }

    /// Writes the trailer; gives the length of all.
    pub(super) fn finish(mut self, entries: u64) -> Result<u64, BackupError> {
        let digest = self.digest.clone().finalize().to_vec();
        self.write(FrameKind::Trailer, &v1::BackupTrailer { entries, digest }.encode_to_vec())?;
        self.out.flush().map_err(|source| BackupError::Io { doing: "write the backup".into(), source })?;
        Ok(self.bytes)
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.out.write_all(bytes).map_err(|source| BackupError::Io { doing: "write the backup".into(), source })?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// A frame as read.
pub(super) struct Frame {
    pub kind: FrameKind,
    pub message: Vec<u8>,
    /// Where it begins.
    pub at: u64,
    /// Digest of everything before it.
    pub digest_before: [u8; 32],
}

impl Frame {
    /// The message in it.
    pub(super) fn decode<M: Message + Default>(&self) -> Result<M, BackupError> {
        M::decode(self.message.as_slice()).map_err(|error| BackupError::Damaged { at: self.at, detail: error.to_string() })
    }
}

/// Reads frames and checks each.
pub(super) struct FrameReader<'a> {
    input: &'a mut dyn Read,
    digest: Sha256,
    bytes: u64,
}

impl<'a> FrameReader<'a> {
    pub(super) fn begin(input: &'a mut dyn Read) -> Result<Self, BackupError> {
        let mut reader = Self { input, digest: Sha256::new(), bytes: 0 };
        let magic = reader.take(MAGIC.len())?;
        if magic != MAGIC {
            return Err(BackupError::NotABackup);
        }
        let found = u32::from_be_bytes(reader.array()?);
        if found == FORMAT { Ok(reader) } else { Err(BackupError::UnknownFormat { found, known: FORMAT }) }
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn next(&mut self) -> Result<Frame, BackupError> {
        let at = self.bytes;
        let damaged = |detail: &str| BackupError::Damaged { at, detail: detail.to_owned() };
        let digest_before = self.digest.clone().finalize().into();
        let [kind_byte] = self.array()?;
        let length_bytes = self.array()?;
        let length = u32::from_be_bytes(length_bytes) as usize;
        let kind = FrameKind::parse(kind_byte).ok_or_else(|| damaged("an unknown kind of frame"))?;
        if length > MAX_FRAME_BYTES {
            return Err(damaged("a frame is longer than any can be"));
        }
        let message = self.take(length)?;
        if self.array::<4>()? != checksum(kind_byte, length_bytes, &message) {
            return Err(damaged("a checksum does not fit"));
        }
        Ok(Frame { kind, message, at, digest_before })
    }

    /// Fails where anything follows.
    pub(super) fn end(&mut self) -> Result<(), BackupError> {
        let mut rest = [0; 1];
        match self.input.read(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BackupError::Damaged { at: self.bytes, detail: "something follows its end".into() }),
            Err(source) => Err(BackupError::Io { doing: "read the backup".into(), source }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| BackupError::CutOff { at: self.bytes })
    }

    /// Reads exactly so many bytes; takes memory only as they come, so that a garbled length costs nothing.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::new();
        let read = self.input.take(length as u64).read_to_end(&mut bytes);
        let read = read.map_err(|source| BackupError::Io { doing: "read the backup".into(), source })?;
        self.bytes += read as u64;
        self.digest.update(&bytes);
        if read == length { Ok(bytes) } else { Err(BackupError::CutOff { at: self.bytes }) }
    }
}

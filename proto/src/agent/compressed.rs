//! Large messages of agents, compressed: the first inventory of a host is most of what it ever sends.
//!
//! Only what is large is compressed, so that a heartbeat costs nothing; and only for a controller whose welcome says that it reads it.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use prost::Message as _;

use super::lines::{from_lines, to_lines};
use super::{MAX_MESSAGE_BYTES, WireError};
use crate::fleet::v1 as wire;
use wire::agent_message::Message;

/// Below this a message goes as it is: it fits into one packet or two, and most of it are digests.
const WORTH_IT_BYTES: usize = 2_048;
/// What compressed bytes may swell to, as a multiple of them. Lists of packages are four to eight times as large; a bomb is a thousand.
const SWELLS_AT_MOST: usize = 32;

/// The message, compressed where that makes it shorter.
#[must_use]
pub fn compressed(message: wire::AgentMessage) -> wire::AgentMessage {
    if message.encoded_len() < WORTH_IT_BYTES {
        return message;
    }
    let plain = with_lines(&message).encode_to_vec();
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::default());
    // Neither can fail: the encoder writes into memory.
    match encoder.write_all(&plain).and_then(|()| encoder.finish()) {
        Ok(bytes) if bytes.len() < plain.len() => wire::AgentMessage { message: Some(Message::Compressed(bytes)) },
        _ => message,
    }
}

/// The message with its packages as lines, which zlib makes more of.
fn with_lines(message: &wire::AgentMessage) -> Cow<'_, wire::AgentMessage> {
    let Some(Message::Inventory(delta)) = &message.message else { return Cow::Borrowed(message) };
    let Some(lines) = to_lines(&delta.changed) else { return Cow::Borrowed(message) };
    let delta = wire::InventoryDelta {
        base_digest: delta.base_digest.clone(),
        digest: delta.digest.clone(),
        manager: delta.manager.clone(),
        changed: Vec::new(),
        removed: delta.removed.clone(),
        lines,
    };
    Cow::Owned(wire::AgentMessage { message: Some(Message::Inventory(delta)) })
}

/// What was compressed. Reads no more than a message may have, and no more than an honest one swells to.
pub(super) fn expanded(bytes: &[u8]) -> Result<Message, WireError> {
    let mut plain = Vec::new();
    let limit = bytes.len().saturating_mul(SWELLS_AT_MOST).min(MAX_MESSAGE_BYTES);
    ZlibDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut plain).map_err(|_| WireError::Unknown("compression"))?;
    if plain.len() > limit {
        return Err(WireError::TooMany { field: "compressed message (bytes)", count: plain.len(), limit });
    }
    match wire::AgentMessage::decode(plain.as_slice()).ok().and_then(|message| message.message) {
        // Once is enough; a message within a message within a message would be a way to take time.
        None | Some(Message::Compressed(_)) => Err(WireError::Unknown("compressed message")),
        Some(Message::Inventory(mut delta)) if !delta.lines.is_empty() => {
            delta.changed.append(&mut from_lines(&std::mem::take(&mut delta.lines))?);
            Ok(Message::Inventory(delta))
        }
        Some(message) => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn large() -> wire::AgentMessage {
        let package = |number: u32| wire::Package { name: format!("package-{number}"), version: "1.0-1".into(), ..Default::default() };
        let delta = wire::InventoryDelta { changed: (0..500).map(package).collect(), ..Default::default() };
        wire::AgentMessage { message: Some(Message::Inventory(delta)) }
    }

    fn bytes_of(message: wire::AgentMessage) -> Vec<u8> {
        match message.message {
            Some(Message::Compressed(bytes)) => bytes,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn what_is_large_comes_out_as_it_went_in_and_what_is_small_goes_as_it_is() {
        let bytes = bytes_of(compressed(large()));
        assert!(bytes.len() * 4 < large().encoded_len(), "{} bytes", bytes.len());
        assert_eq!(Some(expanded(&bytes).unwrap()), large().message);
        let beat = wire::AgentMessage { message: Some(Message::Heartbeat(wire::Heartbeat::default())) };
        assert_eq!(compressed(beat.clone()), beat);
    }

    #[test]
    fn a_bomb_a_message_in_a_message_and_rubbish_are_refused() {
        let zlib = |plain: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        };
        for size in [100_000, MAX_MESSAGE_BYTES + 1] {
            let error = expanded(&zlib(&vec![0; size])).expect_err("a bomb");
            assert!(matches!(error, WireError::TooMany { count, .. } if count < size), "{error}");
        }
        let nested = zlib(&compressed(large()).encode_to_vec());
        assert!(expanded(&nested).is_err());
        let whole = bytes_of(compressed(large()));
        assert!(expanded(&whole[..whole.len() / 2]).is_err());
        assert!(expanded(b"rubbish").is_err() && expanded(&[]).is_err());
    }
}

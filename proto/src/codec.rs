//! Messages as protobuf, in buffers that fit what agents say to each other all day.
//!
//! tonic's own codec sets 8 KiB aside for each direction of each stream, for as long as the stream lives; a controller holds thousands of
//! streams on which a few bytes go every half minute. Here a buffer begins small and grows by the size of the message that needs it.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf as _, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf};
use tonic_prost::ProstCodec;

/// First size of a buffer: a heartbeat and its answer take 20 bytes, a welcome 60. A larger message makes room for itself at once.
const BUFFER_BYTES: usize = 128;
/// Messages that are ready at once go out together up to this size, as with tonic's own codec.
const YIELD_BYTES: usize = 32 * 1024;
/// A message from this size on does not keep its room.
const LARGE_BYTES: usize = 2 * 1024;

/// The codec of every method.
#[derive(Debug, Clone)]
pub struct SmallBuffers<Encode, Decode>(PhantomData<(Encode, Decode)>);

impl<Encode, Decode> Default for SmallBuffers<Encode, Decode> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Encode, Decode> Codec for SmallBuffers<Encode, Decode>
where
    Encode: Message + Send + 'static,
    Decode: Message + Default + Send + 'static,
{
    type Encode = Encode;
    type Decode = Decode;
    type Encoder = <ProstCodec<Encode, Decode> as Codec>::Encoder;
    type Decoder = Decoder<Decode>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Encode, Decode>::raw_encoder(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        Decoder { large: None, message: PhantomData }
    }
}

/// Reads messages, and gives back the memory of a large one.
#[derive(Debug)]
pub struct Decoder<Decode> {
    /// The last message, if it was large. tonic's buffer is shared with it for as long as it is kept here; when the next message needs room,
    /// the buffer is left to it and a small one taken, where otherwise a stream would hold the room of its largest message to its end.
    large: Option<Bytes>,
    message: PhantomData<Decode>,
}

impl<Decode: Message + Default> tonic::codec::Decoder for Decoder<Decode> {
    type Item = Decode;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Decode>, Status> {
        self.large = None;
        let length = buffer.remaining();
        let decoded = if length < LARGE_BYTES {
            Decode::decode(buffer)
        } else {
            let bytes = buffer.copy_to_bytes(length);
            self.large = Some(bytes.clone());
            Decode::decode(bytes)
        };
        // As tonic's own codec says it.
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

//! HTTP/2 frames by hand (RFC 9113, RFC 7541), for what no honest library sends.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::FromAgent;
use patchwave_proto::agent::encode_from_agent;
use prost::Message as _;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub const SESSION: &str = "/patchwave.fleet.v1.AgentService/Session";
pub const ENROLL: &str = "/patchwave.fleet.v1.EnrolmentService/Enroll";
/// SETTINGS_INITIAL_WINDOW_SIZE.
pub const WINDOW: u16 = 4;

/// A connection after the preface and these settings; what the other end says is yet to be read.
pub async fn open(
    tls: Arc<ClientConfig>,
    from: std::net::Ipv4Addr,
    server: std::net::SocketAddr,
    settings: &[(u16, u32)],
) -> std::io::Result<(ReadHalf<TlsStream<TcpStream>>, WriteHalf<TlsStream<TcpStream>>)> {
    let (read, mut write) = tokio::io::split(patchwave_tests::load::dial(tls, from, server).await?);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings: Vec<u8> = settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    bytes.extend(frame(4, 0, 0, &settings));
    write.write_all(&bytes).await?;
    Ok((read, write))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a gRPC call, whose body is yet to come. Nothing is compressed and nothing put into the table.
pub fn call(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x87]; // :method POST, :scheme https
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    };
    literal(&[0x04], path); // :path
    literal(&[0x01], "127.0.0.1"); // :authority
    literal(&[0x0f, 0x10], "application/grpc"); // content-type
    literal(&[0x00, 0x02, b't', b'e'], "trailers");
    frame(1, 4, stream, &block)
}

/// Bytes of a call's body.
pub fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0, 0, stream, bytes)
}

/// RST_STREAM with CANCEL.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

/// PING, which the other end has to answer.
pub fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[7; 8])
}

/// A gRPC message with its prefix.
pub fn message(message: &FromAgent) -> Vec<u8> {
    let body = encode_from_agent(message).encode_to_vec();
    [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// Reads and forgets until the other end closes; true where that happens in time.
pub async fn ended(read: &mut (impl tokio::io::AsyncRead + Unpin), limit: Duration) -> bool {
    let mut buffer = [0; 4096];
    let reading = async { while !matches!(read.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(limit, reading).await.is_ok()
}

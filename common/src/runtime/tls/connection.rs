//! One accepted connection, and what the request layer learns of its other end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::slots::Slot;
use super::{PeerCertificate, PeerIdentity};

/// The other end of a connection; stands in the extensions of every request on it. Says who somebody is, not what they may do: the
/// request layer asks the certificate's age, revocation and role anew for each request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it connects from. An attribute, never an identity.
    pub address: SocketAddr,
    /// The certificate that it proved to hold, signed by our authority, possibly expired; `None` if it showed none.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// What a connection occupies until it is dropped.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) _connection: OwnedSemaphorePermit,
    pub(super) _of_identity: Option<Slot<PeerIdentity>>,
    pub(super) _of_address: Option<Slot<IpAddr>>,
}

/// An accepted TLS connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    restricted: Option<Box<Restricted>>,
    _places: Places,
}

/// Bounds of a caller who may do next to nothing.
struct Restricted {
    /// When the connection ends whatever happens.
    deadline: Pin<Box<Sleep>>,
    /// What it may still send, in bytes.
    left: usize,
}

impl Restricted {
    fn ended(&mut self, context: &mut Context<'_>) -> Option<&'static str> {
        if self.left == 0 {
            return Some("a caller without a valid certificate has sent more than it has to say");
        }
        self.deadline.as_mut().poll(context).is_ready().then_some("the time for a caller without a valid certificate is over")
    }
}

/// What a caller with next to no rights may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restriction {
    pub(super) lifetime: Duration,
    pub(super) bytes: usize,
}

impl Connection {
    pub(super) fn new(stream: TlsStream<TcpStream>, peer: Peer, restriction: Option<Restriction>, places: Places) -> Self {
        let restricted =
            restriction.map(|bounds| Box::new(Restricted { deadline: Box::pin(tokio::time::sleep(bounds.lifetime)), left: bounds.bytes }));
        Self { stream, peer, restricted, _places: places }
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The TLS session, for tests and diagnostics.
    #[must_use]
    pub fn session(&self) -> &rustls::ServerConnection {
        self.stream.get_ref().1
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(why) = self.restricted.as_mut().and_then(|restricted| restricted.ended(context)) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(restricted) = &mut self.restricted {
            restricted.left = restricted.left.saturating_sub(buffer.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

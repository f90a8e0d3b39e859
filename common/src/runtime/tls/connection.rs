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
    /// When it ends whatever happens; only for callers who may do next to nothing.
    deadline: Option<Pin<Box<Sleep>>>,
    _places: Places,
}

impl Connection {
    pub(super) fn new(stream: TlsStream<TcpStream>, peer: Peer, lifetime: Option<Duration>, places: Places) -> Self {
        let deadline = lifetime.map(|span| Box::pin(tokio::time::sleep(span)));
        Self { stream, peer, deadline, _places: places }
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
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the time for a caller without a valid certificate is over")));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
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

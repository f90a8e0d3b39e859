//! A controller's listener: TCP connections become TLS connections, within bounds, and come out as a stream for
//! `tonic::transport::Server::serve_with_incoming`.
//!
//! A listener that anybody can reach must cost a stranger more than it costs us. So: few handshakes at once, a time limit on each, limits
//! by address for those without a certificate and by identity for those with one, and a short life for connections that may do next to
//! nothing. Whoever exceeds a limit is closed at once, without a handshake where possible.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::connection::{Connection, Peer, Places, Restriction};
use super::slots::{Slot, Slots, address_key};
use super::verify_client::CallerVerifier;
use super::{KeySlot, PeerCertificate, PeerIdentity, TlsError, TrustDomain, provider, socket};
use crate::runtime::clock::Clock;
use crate::runtime::throttle::Throttle;

/// Descriptors that are not for connections: the store, logs, the metrics listener, sockets being accepted.
const RESERVED_DESCRIPTORS: u64 = 500;
/// Where even the limit on descriptors is unknown.
const FALLBACK_CONNECTIONS: usize = 10_000;
/// Finished handshakes that may wait for the server to take them; it takes them at once unless it is overloaded, and then nobody new
/// should come in.
const READY_QUEUE: usize = 64;
/// Pause after the system refuses to accept (no descriptors left): without it the loop would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Failed handshakes and refused connections that are warned of in a minute; strangers cause them, and must not fill the log.
const REPORTS_A_MINUTE: u32 = 60;

/// How much a listener takes on.
#[derive(Debug, Clone)]
pub struct AcceptLimits {
    /// Connections open at once, handshakes included.
    pub connections: usize,
    /// Handshakes at once. One costs about a millisecond of CPU, so more than a few hundred only wait for each other; the rest waits in
    /// the kernel's queue.
    pub handshakes: usize,
    /// Handshakes at once from one address (IPv6: one /64), so that one address cannot take all. A site behind one address with 100 ms of
    /// round trip still brings 2,500 hosts a second.
    pub handshakes_per_address: usize,
    /// Time for one handshake: three round trips on the worst line, and no more, since each holds a place.
    pub handshake_timeout: Duration,
    /// The same while others wait for a place. When a whole fleet comes back at once, a handshake takes as long as it takes to do a
    /// thousand of them, below a second; what takes longer is not being worked on.
    pub crowded_handshake_timeout: Duration,
    /// Connections without a certificate from one address: each is one enrolment, which takes well under a second.
    pub strangers_per_address: usize,
    /// Life of a connection that may only enrol or renew.
    pub restricted_lifetime: Duration,
    /// What such a connection may send, in bytes: an enrolment of 64 KiB at most, with room for HTTP/2's own. Whoever opens and resets calls
    /// without end (HTTP/2 rapid reset) has to shake hands again every few thousand.
    pub restricted_bytes: usize,
    /// Connections of one identity: an agent has one, two while it reconnects; an operator's scripts run side by side.
    pub per_identity: usize,
}

impl AcceptLimits {
    /// The limits for this machine: connections up to this process's limit on file descriptors, less a reserve.
    #[must_use]
    pub fn for_this_process() -> Self {
        let connections = match getrlimit(Resource::Nofile).current {
            Some(descriptors) => usize::try_from(descriptors.saturating_sub(RESERVED_DESCRIPTORS)).unwrap_or(FALLBACK_CONNECTIONS).max(64),
            None => FALLBACK_CONNECTIONS,
        };
        Self {
            connections,
            handshakes: 1024,
            handshakes_per_address: 256,
            handshake_timeout: Duration::from_secs(10),
            crowded_handshake_timeout: Duration::from_secs(2),
            strangers_per_address: 64,
            restricted_lifetime: Duration::from_secs(60),
            restricted_bytes: 128 * 1024,
            per_identity: 64,
        }
    }
}

/// Counts since the listener began.
#[derive(Debug, Default)]
pub struct AcceptStatistics {
    accepted: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl AcceptStatistics {
    /// Handshakes that succeeded.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
    /// Handshakes that failed or ran out of time.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
    /// Connections closed because of a limit.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The controller's side of TLS. `authority` is the fleet's CA certificate; `key` must hold the server's certificate and then the
/// authority's, which enrolling agents compare with the fingerprint that they were given.
pub fn server_config(
    authority: &CertificateDer<'static>,
    trust_domain: TrustDomain,
    key: Arc<KeySlot>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(ClockTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Configuration)?
        .with_client_cert_verifier(CallerVerifier::new(authority, trust_domain)?)
        .with_cert_resolver(key);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // No resumption: a ticket would carry an identity past its certificate's revocation or renewal, to save half a millisecond.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A clock of ours for rustls.
pub(super) struct ClockTime(pub(super) Arc<dyn Clock>);

impl fmt::Debug for ClockTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClockTime")
    }
}

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(self.0.now().0).ok().map(|ms| UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}

/// Accepts connections until the returned stream is dropped. Never yields an error: a failed handshake is the caller's trouble.
#[must_use]
pub fn accept(listener: TcpListener, config: Arc<ServerConfig>, clock: Arc<dyn Clock>, limits: AcceptLimits) -> Incoming {
    let (ready, finished) = mpsc::channel(READY_QUEUE);
    let statistics = Arc::new(AcceptStatistics::default());
    let shared = Arc::new(Shared {
        acceptor: TlsAcceptor::from(config),
        clock,
        connections: Arc::new(Semaphore::new(limits.connections)),
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        crowded: watch::Sender::new(false),
        handshakes_by_address: Slots::new(),
        strangers_by_address: Slots::new(),
        by_identity: Slots::new(),
        limits,
        statistics: Arc::clone(&statistics),
        reports: Throttle::new(REPORTS_A_MINUTE, 60_000),
        ready,
    });
    let task = tokio::spawn(shared.run(listener));
    Incoming { finished, statistics, task }
}

/// The accepted connections. Dropping it closes the listener; connections already given out live on.
pub struct Incoming {
    finished: mpsc::Receiver<Connection>,
    statistics: Arc<AcceptStatistics>,
    task: JoinHandle<()>,
}

impl Incoming {
    /// The listener's counts; lives on with the listener.
    #[must_use]
    pub fn statistics(&self) -> Arc<AcceptStatistics> {
        Arc::clone(&self.statistics)
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.finished.poll_recv(context).map(|connection| connection.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every handshake of a listener needs.
struct Shared {
    acceptor: TlsAcceptor,
    clock: Arc<dyn Clock>,
    limits: AcceptLimits,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// All places are taken, so that whoever comes now waits for one.
    crowded: watch::Sender<bool>,
    handshakes_by_address: Slots<IpAddr>,
    strangers_by_address: Slots<IpAddr>,
    by_identity: Slots<PeerIdentity>,
    statistics: Arc<AcceptStatistics>,
    reports: Throttle,
    ready: mpsc::Sender<Connection>,
}

/// The places that a handshake holds.
struct HandshakePlaces {
    connection: OwnedSemaphorePermit,
    _handshake: OwnedSemaphorePermit,
    _of_address: Slot<IpAddr>,
}

impl Shared {
    async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            // Before accepting: while all places are taken, new connections wait in the kernel's bounded queue.
            let Some(handshake) = self.handshake_place().await else { return };
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let connection = Arc::clone(&self.connections).try_acquire_owned().ok();
            let of_address = self.handshakes_by_address.take(address_key(address.ip()), self.limits.handshakes_per_address);
            let (Some(connection), Some(of_address)) = (connection, of_address) else {
                self.refuse(address, "too many connections or handshakes");
                continue;
            };
            let places = HandshakePlaces { connection, _handshake: handshake, _of_address: of_address };
            tokio::spawn(Arc::clone(&self).handshake(stream, address, places));
        }
    }

    async fn handshake_place(&self) -> Option<OwnedSemaphorePermit> {
        let free = Arc::clone(&self.handshakes).try_acquire_owned();
        if let Ok(place) = free {
            return Some(place);
        }
        self.crowded.send_replace(true);
        let place = Arc::clone(&self.handshakes).acquire_owned().await;
        self.crowded.send_replace(false);
        place.ok()
    }

    /// Ends when a handshake has had its time.
    async fn time_for_a_handshake(&self) {
        let (most, crowded) = (self.limits.handshake_timeout, self.limits.crowded_handshake_timeout);
        tokio::time::sleep(crowded.min(most)).await;
        let mut others_wait = self.crowded.subscribe();
        let _ = tokio::time::timeout(most.saturating_sub(crowded), others_wait.wait_for(|wait| *wait)).await;
    }

    async fn handshake(self: Arc<Self>, stream: TcpStream, address: SocketAddr, places: HandshakePlaces) {
        let shaken = async {
            socket::tune(&stream)?;
            self.acceptor.accept(stream).await
        };
        let shaken = tokio::select! {
            shaken = shaken => shaken,
            () = self.time_for_a_handshake() => return self.fail(address, &"timed out"),
        };
        let stream = match shaken {
            Ok(stream) => stream,
            Err(error) => return self.fail(address, &error),
        };
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return self.fail(address, &"the caller does not speak HTTP/2 (ALPN)");
        }
        let certificate = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(PeerCertificate::parse) {
            None => None,
            Some(Ok(certificate)) => Some(Arc::new(certificate)),
            // The verifier parsed the same bytes; this cannot be, and must not become "no certificate".
            Some(Err(error)) => return self.fail(address, &error),
        };
        let (of_identity, of_address) = match &certificate {
            Some(certificate) => (self.by_identity.take(certificate.identity.clone(), self.limits.per_identity), None),
            None => (None, self.strangers_by_address.take(address_key(address.ip()), self.limits.strangers_per_address)),
        };
        if of_identity.is_none() && of_address.is_none() {
            return self.refuse(address, "too many connections of this caller");
        }
        let restricted = certificate.as_ref().is_none_or(|certificate| certificate.expired_at(self.clock.now()));
        let bounds = Restriction { lifetime: self.limits.restricted_lifetime, bytes: self.limits.restricted_bytes };
        let held = Places { _connection: places.connection, _of_identity: of_identity, _of_address: of_address };
        self.statistics.accepted.fetch_add(1, Ordering::Relaxed);
        // The receiver is gone only when the server shuts down.
        let _ = self.ready.send(Connection::new(stream, Peer { address, certificate }, restricted.then_some(bounds), held)).await;
    }

    fn fail(&self, address: SocketAddr, reason: &dyn fmt::Display) {
        self.statistics.failed.fetch_add(1, Ordering::Relaxed);
        self.report(address, "handshake failed", reason);
    }

    fn refuse(&self, address: SocketAddr, reason: &'static str) {
        self.statistics.refused.fetch_add(1, Ordering::Relaxed);
        self.report(address, "connection refused", &reason);
    }

    fn report(&self, address: SocketAddr, what: &'static str, reason: &dyn fmt::Display) {
        if let Some(left_out) = self.reports.admit(self.clock.boottime_ms()) {
            tracing::warn!(%address, %reason, left_out, "{what}");
        } else {
            tracing::debug!(%address, %reason, "{what}");
        }
    }
}

//! A fleet in miniature: an authority, certificates with any contents, a listener that echoes.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt as _;

use super::super::*;
use crate::domain::Timestamp;
use crate::runtime::clock::ManualClock;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY_SECS: i64 = 86_400;
/// Far beyond what anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What goes into a leaf.
pub struct Leaf<'a> {
    pub uris: &'a [&'a str],
    pub dns: &'a [&'a str],
    pub usage: ExtendedKeyUsagePurpose,
    pub from_day: i64,
    pub to_day: i64,
}

impl Default for Leaf<'_> {
    fn default() -> Self {
        Self { uris: &["spiffe://fleet/host/h-1"], dns: &[], usage: ExtendedKeyUsagePurpose::ClientAuth, from_day: -1, to_day: 30 }
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    pub fn issue(&self, leaf: &Leaf<'_>) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::default();
        params.subject_alt_names.extend(leaf.uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.subject_alt_names.extend(leaf.dns.iter().map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        }));
        params.extended_key_usages = vec![leaf.usage.clone()];
        let day = |number: i64| {
            let seconds = u64::try_from(NOW.0 / 1000 + number * DAY_SECS).unwrap();
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (day(leaf.from_day), day(leaf.to_day));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        certified_key((certificate.pem() + &self.issuer.pem()).as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    pub fn host(&self) -> Arc<CertifiedKey> {
        self.issue(&Leaf::default())
    }

    pub fn server(&self) -> Arc<CertifiedKey> {
        self.issue(&server_leaf())
    }
}

pub fn server_leaf() -> Leaf<'static> {
    Leaf {
        uris: &["spiffe://fleet/controller"],
        dns: &["localhost", "127.0.0.1"],
        usage: ExtendedKeyUsagePurpose::ServerAuth,
        from_day: -1,
        to_day: 90,
    }
}

pub fn fleet() -> TrustDomain {
    TrustDomain::parse("fleet").unwrap()
}

pub fn small_limits() -> AcceptLimits {
    AcceptLimits {
        connections: 100,
        handshakes: 50,
        handshakes_per_address: 50,
        handshake_timeout: PATIENCE,
        crowded_handshake_timeout: PATIENCE,
        strangers_per_address: 20,
        restricted_lifetime: PATIENCE,
        restricted_bytes: 1 << 20,
        per_identity: 20,
    }
}

/// An echoing listener on loopback.
pub struct Listener {
    pub port: u16,
    pub key: Arc<KeySlot>,
    pub statistics: Arc<AcceptStatistics>,
    pub peers: mpsc::Receiver<Accepted>,
}

pub struct Accepted {
    pub peer: Peer,
    pub group: Option<rustls::NamedGroup>,
    pub version: Option<rustls::ProtocolVersion>,
}

impl Listener {
    pub async fn start(authority: &Authority, server: Arc<CertifiedKey>, limits: AcceptLimits) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let key = KeySlot::new(Some(server));
        let config = server_config(&authority.certificate(), fleet(), Arc::clone(&key), clock.clone()).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut incoming = accept(socket, config, clock.clone(), limits);
        let statistics = incoming.statistics();
        #[allow(clippy::disallowed_methods)] // As many as the test opens connections.
        let (seen, peers) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Some(Ok(mut connection)) = incoming.next().await {
                let session = connection.session();
                let group = session.negotiated_key_exchange_group().map(|group| group.name());
                let _ = seen.try_send(Accepted { peer: connection.peer().clone(), group, version: session.protocol_version() });
                tokio::spawn(async move {
                    let mut byte = [0];
                    while connection.read_exact(&mut byte).await.is_ok() {
                        connection.write_all(&byte).await.unwrap();
                        connection.flush().await.unwrap();
                    }
                });
            }
        });
        Self { port, key, statistics, peers }
    }

    pub fn url(&self, host: &str) -> http::Uri {
        format!("https://{host}:{}", self.port).parse().unwrap()
    }

    pub async fn next_peer(&mut self) -> Accepted {
        tokio::time::timeout(PATIENCE, self.peers.recv()).await.unwrap().unwrap()
    }
}

/// A client on the fixture's clock.
pub fn client(authority: &Authority, key: Option<Arc<CertifiedKey>>) -> ClientTls {
    client_at(authority, key, NOW)
}

pub fn client_at(authority: &Authority, key: Option<Arc<CertifiedKey>>, now: Timestamp) -> ClientTls {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let trust = super::super::verify_server::Pin::Certificate { roots, trust_domain: fleet() };
    ClientTls::with(trust, key, Arc::new(ManualClock::new(now))).unwrap()
}

pub fn enrolling(fingerprint: crate::domain::Digest) -> ClientTls {
    ClientTls::with(super::super::verify_server::Pin::Fingerprint(fingerprint), None, Arc::new(ManualClock::new(NOW))).unwrap()
}

/// Sends a byte and gets it back: in TLS 1.3 only this shows that the server accepted the client.
pub async fn echo(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    let exchange = async {
        stream.write_all(&[7]).await?;
        stream.flush().await?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map(drop)
    };
    tokio::time::timeout(PATIENCE, exchange).await.expect("an answer or an end")
}

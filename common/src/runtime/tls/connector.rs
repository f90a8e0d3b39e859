//! The other side: connections of agents and of the command line to a controller.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::acceptor::ClockTime;
use super::error::handshake_failed;
use super::verify_server::{ControllerVerifier, Pin as Trust};
use super::{ConnectError, KeySlot, TlsError, TrustDomain, connect_error_in, provider, socket};
use crate::domain::Digest;
use crate::runtime::clock::{Clock, SystemClock};

/// Time for name resolution, TCP and TLS together; a retry with backoff follows, so a slow line gets more chances.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// An idle connection is pinged this often …
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// … and given up when no answer comes within this time.
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// What a client trusts and who it says it is. Clones share the key slot.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    key: Arc<KeySlot>,
}

impl ClientTls {
    /// Trusts controllers of `trust_domain` whose certificate `authority` signed, and presents `key`.
    pub fn pinned(
        authority: &CertificateDer<'static>,
        trust_domain: TrustDomain,
        key: Option<Arc<CertifiedKey>>,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(TlsError::Authority)?;
        Self::with(Trust::Certificate { roots, trust_domain }, key, Arc::new(SystemClock::new()))
    }

    /// For enrolment: trusts the authority with this fingerprint, which the server must show, and presents no certificate.
    pub fn enrolling(authority_fingerprint: Digest) -> Result<Self, TlsError> {
        Self::with(Trust::Fingerprint(authority_fingerprint), None, Arc::new(SystemClock::new()))
    }

    pub(super) fn with(trust: Trust, key: Option<Arc<CertifiedKey>>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let key = KeySlot::new(key);
        let mut config = ClientConfig::builder_with_details(provider(), Arc::new(ClockTime(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Configuration)?
            .dangerous()
            .with_custom_certificate_verifier(ControllerVerifier::new(trust))
            .with_client_cert_resolver(Arc::clone(&key) as Arc<_>);
        config.alpn_protocols = vec![b"h2".to_vec()];
        // The server gives no tickets; see there.
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), key })
    }

    /// Presents another certificate from the next connection on, e.g. after a renewal.
    pub fn replace_key(&self, key: Arc<CertifiedKey>) {
        self.key.replace(key);
    }

    /// For `Endpoint::connect_with_connector`.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector { config: Arc::clone(&self.config) }
    }
}

/// Makes TLS connections; a tower service from a URI.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl Connector {
    /// Connects to `https://host[:port]`.
    pub async fn dial(&self, uri: &Uri) -> Result<TlsStream<TcpStream>, ConnectError> {
        let (host, port) = host_and_port(uri)?;
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| ConnectError::Url { url: uri.to_string(), reason: "the host is neither a DNS name nor an IP address".into() })?;
        let connecting = async {
            // Tries every address of the name in turn.
            let tcp = TcpStream::connect((host.as_str(), port)).await;
            let tcp = tcp.and_then(|tcp| socket::tune(&tcp).map(|()| tcp));
            let tcp = tcp.map_err(|source| ConnectError::Unreachable { address: address.clone(), source: Arc::new(source) })?;
            let tls = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await;
            tls.map_err(|source| handshake_failed(address.clone(), source))
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| ConnectError::TimedOut { address: address.clone(), seconds: CONNECT_TIMEOUT.as_secs() })??;
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Ok(stream)
        } else {
            Err(ConnectError::Untrusted { address, reason: "it does not speak HTTP/2; hint: is a proxy in between that ends TLS?".into() })
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.dial(&uri).await.map(TokioIo::new) })
    }
}

/// The port of a controller where a URL names none.
const DEFAULT_PORT: u16 = 7443;

fn host_and_port(uri: &Uri) -> Result<(String, u16), ConnectError> {
    let refuse = |reason: &str| ConnectError::Url { url: uri.to_string(), reason: reason.to_owned() };
    if uri.scheme_str() != Some("https") {
        return Err(refuse("it does not begin with https://; there is no plaintext port"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
    if authority.as_str().contains('@') || uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
        return Err(refuse("a controller has no user and no path in its address"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || (authority.host().starts_with('[') && host.parse::<IpAddr>().is_err()) {
        return Err(refuse("it names no host"));
    }
    Ok((host.to_owned(), authority.port_u16().unwrap_or(DEFAULT_PORT)))
}

/// A checked controller URL with the timeouts and pings of our connections.
pub fn endpoint(url: &str) -> Result<Endpoint, ConnectError> {
    let refuse = |reason: String| ConnectError::Url { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| refuse(error.to_string()))?;
    host_and_port(&uri)?;
    Endpoint::from(uri)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .user_agent(concat!("patchwave/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| refuse(error.to_string()))
}

/// Connects now and says exactly why not. The channel reconnects by itself later; a caller that wants its own backoff connects anew.
pub async fn connect(url: &str, tls: &ClientTls) -> Result<Channel, ConnectError> {
    let endpoint = endpoint(url)?;
    match endpoint.connect_with_connector(tls.connector()).await {
        Ok(channel) => Ok(channel),
        Err(error) => Err(explain(url, &error)),
    }
}

/// tonic wraps what the connector said; takes it out again.
fn explain(url: &str, error: &tonic::transport::Error) -> ConnectError {
    match connect_error_in(error) {
        Some(found) => found.clone(),
        None => {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                reason = format!("{reason}: {inner}");
                source = inner.source();
            }
            ConnectError::Transport { address: url.to_owned(), reason }
        }
    }
}

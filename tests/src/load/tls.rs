//! The simulated agents' side of TLS: real handshakes with a certificate of its own for each, made from the fleet's authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hyper_util::rt::TokioIo;
use patchwave::pki::{Authority, HOST_LIFETIME};
use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::tls::{KeyRequest, KeySlot, certified_key, provider};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::world::host_id;

/// Makes the certificates. One key serves all agents of a worker: what a handshake costs does not depend on whose key it is.
pub struct Certificates {
    authority: Authority,
    key: KeyRequest,
    verifier: Arc<WebPkiServerVerifier>,
    now: Timestamp,
}

impl Certificates {
    /// Of this authority.
    ///
    /// # Errors
    /// If its certificate is none.
    pub fn new(authority: Authority, now: Timestamp) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Self { authority, key: KeyRequest::new()?, verifier, now })
    }

    /// What an agent connects with.
    ///
    /// # Errors
    /// If the authority does not sign.
    pub fn agent(&self, number: u32) -> Result<Arc<ClientConfig>> {
        self.client(Some(self.key(number)?))
    }

    /// An agent's key with a certificate of this authority.
    ///
    /// # Errors
    /// If the authority does not sign.
    pub fn key(&self, number: u32) -> Result<Arc<CertifiedKey>> {
        let issued = self.authority.issue_host(&self.key.request_der, &host_id(number)?, HOST_LIFETIME, self.now)?;
        Ok(certified_key(issued.chain_pem.as_bytes(), self.key.key_pem.as_bytes())?)
    }

    /// What somebody with this key, or none, connects with; the server has to be this authority's.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn client(&self, key: Option<Arc<CertifiedKey>>) -> Result<Arc<ClientConfig>> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone())
            .with_client_cert_resolver(KeySlot::new(key));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// A TLS connection from one address of this machine to a server.
///
/// # Errors
/// Whatever TCP and TLS run into.
pub async fn dial(config: Arc<ClientConfig>, from: Ipv4Addr, server: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from, 0)))?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::IpAddress(server.ip().into());
    TlsConnector::from(config).connect(name, stream).await
}

/// Connects from one address of this machine to a server.
pub async fn connect(config: Arc<ClientConfig>, from: Ipv4Addr, server: SocketAddr) -> Result<Channel> {
    let dial = tower::service_fn(move |_: http::Uri| {
        let config = config.clone();
        async move { std::io::Result::Ok(TokioIo::new(dial(config, from, server).await?)) }
    });
    Endpoint::from_static("https://127.0.0.1").connect_with_connector(dial).await.context("cannot connect")
}

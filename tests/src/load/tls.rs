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
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
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
    pub fn new(authority: Authority, now: Timestamp) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        Ok(Self { authority, key: KeyRequest::new()?, verifier, now })
    }

    /// What an agent connects with.
    pub fn agent(&self, number: u32) -> Result<Arc<ClientConfig>> {
        let issued = self.authority.issue_host(&self.key.request_der, &host_id(number)?, HOST_LIFETIME, self.now)?;
        let key = certified_key(issued.chain_pem.as_bytes(), self.key.key_pem.as_bytes())?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone())
            .with_client_cert_resolver(KeySlot::new(Some(key)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// Connects from one address of this machine to a server.
pub async fn connect(config: Arc<ClientConfig>, from: Ipv4Addr, server: SocketAddr) -> Result<Channel> {
    let dial = tower::service_fn(move |_: http::Uri| {
        let config = config.clone();
        async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((from, 0)))?;
            let stream = socket.connect(server).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::IpAddress(server.ip().into());
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            std::io::Result::Ok(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("https://127.0.0.1").connect_with_connector(dial).await.context("cannot connect")
}

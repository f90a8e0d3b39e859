//! What is negotiated, and how the request layer sees each caller.

use rustls::{NamedGroup, ProtocolVersion};
use tokio_rustls::TlsConnector;

use super::super::*;
use super::fixture::*;
use crate::domain::HostId;

#[tokio::test]
async fn a_host_is_known_by_its_certificate_over_tls_1_3_with_hybrid_key_exchange() {
    let authority = Authority::new();
    let mut listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let mut stream = client(&authority, Some(authority.host())).connector().dial(&listener.url("localhost")).await.unwrap();
    echo(&mut stream).await.unwrap();
    let accepted = listener.next_peer().await;
    assert_eq!(accepted.group, Some(NamedGroup::X25519MLKEM768));
    assert_eq!(accepted.version, Some(ProtocolVersion::TLSv1_3));
    let certificate = accepted.peer.certificate.expect("a certificate");
    assert_eq!(certificate.identity, PeerIdentity::Host(HostId::parse("h-1").unwrap()));
    assert!(!certificate.expired_at(NOW));
}

#[tokio::test]
async fn a_client_that_speaks_only_tls_1_2_is_refused() {
    let authority = Authority::new();
    let listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let old = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = tokio::net::TcpStream::connect(("127.0.0.1", listener.port)).await.unwrap();
    let error = TlsConnector::from(std::sync::Arc::new(old)).connect("localhost".try_into().unwrap(), tcp).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn a_caller_without_a_certificate_gets_in_and_is_marked() {
    let authority = Authority::new();
    let mut listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let mut stream = client(&authority, None).connector().dial(&listener.url("127.0.0.1")).await.unwrap();
    echo(&mut stream).await.unwrap();
    assert!(listener.next_peer().await.peer.certificate.is_none());
}

#[tokio::test]
async fn an_expired_certificate_gets_in_and_is_marked() {
    let authority = Authority::new();
    let mut listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let old = authority.issue(&Leaf { from_day: -60, to_day: -30, ..Leaf::default() });
    let mut stream = client(&authority, Some(old)).connector().dial(&listener.url("localhost")).await.unwrap();
    echo(&mut stream).await.unwrap();
    let certificate = listener.next_peer().await.peer.certificate.expect("a certificate");
    assert!(certificate.expired_at(NOW));
    assert_eq!(certificate.identity, PeerIdentity::Host(HostId::parse("h-1").unwrap()));
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_the_next_connection_on_both_sides() {
    let authority = Authority::new();
    let mut listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let agent = client(&authority, Some(authority.host()));
    let url = listener.url("localhost");
    let shown =
        |stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>| fingerprint(&stream.get_ref().1.peer_certificates().unwrap()[0]);
    let mut first = agent.connector().dial(&url).await.unwrap();
    let before = (shown(&first), listener.next_peer().await.peer.certificate.unwrap().fingerprint);

    listener.key.replace(authority.server());
    agent.replace_key(authority.host());
    let second = agent.connector().dial(&url).await.unwrap();
    let after = (shown(&second), listener.next_peer().await.peer.certificate.unwrap().fingerprint);
    assert!(before.0 != after.0 && before.1 != after.1);
    echo(&mut first).await.expect("the open connection lives on");
}

#[tokio::test]
async fn an_http2_server_runs_over_the_accepted_connections() {
    use tower::ServiceExt as _;
    let authority = Authority::new();
    let clock = std::sync::Arc::new(crate::runtime::clock::SystemClock::new());
    let to_day = 365 * 50;
    let server = authority.issue(&Leaf { from_day: -365 * 50, to_day, ..server_leaf() });
    let config = server_config(&authority.certificate(), fleet(), KeySlot::new(Some(server)), clock.clone()).unwrap();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", socket.local_addr().unwrap().port());
    let incoming = accept(socket, config, clock, small_limits());
    tokio::spawn(tonic::transport::Server::builder().add_routes(tonic::service::Routes::default()).serve_with_incoming(incoming));

    let agent = ClientTls::pinned(&authority.certificate(), fleet(), None).unwrap();
    let channel = connect(&url, &agent).await.unwrap();
    let request = http::Request::post(format!("{url}/no.Service/Method")).body(tonic::body::Body::empty()).unwrap();
    let response = channel.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "12", "a gRPC server answered: unimplemented");
}

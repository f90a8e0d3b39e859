//! Who is refused, and with which words.

use rcgen::ExtendedKeyUsagePurpose;

use super::super::*;
use super::fixture::*;
use crate::domain::Digest;

/// The client's view of a server that refuses it: the handshake succeeds, the first answer is an alert.
async fn refused_by_server(authority: &Authority, key: std::sync::Arc<rustls::sign::CertifiedKey>) -> std::io::Error {
    let listener = Listener::start(authority, authority.server(), small_limits()).await;
    let mut stream = client(authority, Some(key)).connector().dial(&listener.url("localhost")).await.unwrap();
    let error = echo(&mut stream).await.expect_err("refused");
    assert_eq!((listener.statistics.accepted(), listener.statistics.failed()), (0, 1));
    error
}

#[tokio::test]
async fn a_certificate_of_a_foreign_authority_is_refused_also_when_expired() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    for (from_day, to_day) in [(-1, 30), (-60, -30)] {
        let error = refused_by_server(&authority, foreign.issue(&Leaf { from_day, to_day, ..Leaf::default() })).await;
        let hint = refusal_hint(&error).expect("a hint");
        assert!(hint.contains("another controller"), "{error}: {hint}");
    }
}

#[tokio::test]
async fn a_certificate_that_names_nobody_or_two_or_another_fleet_is_refused() {
    let authority = Authority::new();
    let cases: [&[&str]; 5] = [
        &[],
        &["spiffe://fleet/host/h-1", "spiffe://fleet/operator/root"],
        &["spiffe://other/host/h-1"],
        &["https://fleet/host/h-1"],
        &["spiffe://fleet/controller"],
    ];
    for uris in cases {
        let error = refused_by_server(&authority, authority.issue(&Leaf { uris, dns: &["x"], ..Leaf::default() })).await;
        assert!(refusal_hint(&error).is_some(), "{uris:?}: {error}");
    }
}

#[tokio::test]
async fn a_certificate_for_servers_and_one_not_yet_valid_are_refused_from_callers() {
    let authority = Authority::new();
    refused_by_server(&authority, authority.issue(&Leaf { usage: ExtendedKeyUsagePurpose::ServerAuth, ..Leaf::default() })).await;
    refused_by_server(&authority, authority.issue(&Leaf { from_day: 1, ..Leaf::default() })).await;
}

async fn dial_error(server: std::sync::Arc<rustls::sign::CertifiedKey>, agent: &ClientTls, host: &str) -> ConnectError {
    let listener = Listener::start(&Authority::new(), server, small_limits()).await;
    agent.connector().dial(&listener.url(host)).await.expect_err("refused")
}

#[tokio::test]
async fn a_server_of_another_authority_another_fleet_or_no_controller_is_refused() {
    let authority = Authority::new();
    let agent = client(&authority, None);
    let error = dial_error(Authority::new().server(), &agent, "localhost").await;
    assert!(error.to_string().contains("not from this fleet's authority") && !error.is_transient(), "{error}");

    let other_fleet = authority.issue(&Leaf { uris: &["spiffe://other/controller"], ..server_leaf() });
    let error = dial_error(other_fleet, &agent, "localhost").await;
    assert!(error.to_string().contains("\"other\", not to \"fleet\""), "{error}");

    let host = authority.issue(&Leaf { uris: &["spiffe://fleet/host/h-1"], ..server_leaf() });
    let error = dial_error(host, &agent, "localhost").await;
    assert!(error.to_string().contains("names host:h-1, not a controller"), "{error}");

    let caller = authority.issue(&Leaf { usage: ExtendedKeyUsagePurpose::ClientAuth, ..server_leaf() });
    assert!(matches!(dial_error(caller, &agent, "localhost").await, ConnectError::Untrusted { .. }));
}

#[tokio::test]
async fn a_server_under_another_name_is_refused_with_the_names_it_has() {
    let authority = Authority::new();
    let server = authority.issue(&Leaf { dns: &["controller.example"], ..server_leaf() });
    let error = dial_error(server, &client(&authority, None), "localhost").await;
    assert!(error.to_string().contains("controller.example") && error.to_string().contains("localhost"), "{error}");
}

#[tokio::test]
async fn an_expired_server_is_refused_but_a_clock_that_is_behind_is_no_obstacle() {
    let authority = Authority::new();
    let expired = authority.issue(&Leaf { from_day: -60, to_day: -1, ..server_leaf() });
    let error = dial_error(expired, &client(&authority, None), "localhost").await;
    assert!(error.to_string().contains("check this machine's clock"), "{error}");

    let behind = client_at(&authority, None, crate::domain::Timestamp(86_400_000));
    let listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let mut stream = behind.connector().dial(&listener.url("localhost")).await.expect("reaches the controller, which will see the clock");
    echo(&mut stream).await.unwrap();
}

#[tokio::test]
async fn enrolment_trusts_exactly_the_authority_with_the_given_fingerprint() {
    let authority = Authority::new();
    let listener = Listener::start(&authority, authority.server(), small_limits()).await;
    let right = fingerprint(&authority.certificate());
    let mut stream = enrolling(right).connector().dial(&listener.url("localhost")).await.unwrap();
    echo(&mut stream).await.unwrap();

    let wrong = Digest::of(b"another authority");
    let error = enrolling(wrong).connector().dial(&listener.url("localhost")).await.expect_err("refused");
    assert!(
        matches!(&error, ConnectError::Fingerprint(FingerprintMismatch { expected, presented }) if *expected == wrong && *presented == right)
    );
    for part in [wrong.to_string(), right.to_string()] {
        assert!(error.to_string().contains(&part), "{error}");
    }
}

#[tokio::test]
async fn showing_the_right_authority_does_not_help_an_impostor() {
    // The authority's certificate is public: somebody in between can show it beside a certificate of their own.
    let (authority, impostor) = (Authority::new(), Authority::new());
    let own = impostor.server();
    let mixed = rustls::sign::CertifiedKey::new(vec![own.cert[0].clone(), authority.certificate()], own.key.clone());
    let error = dial_error(std::sync::Arc::new(mixed), &enrolling(fingerprint(&authority.certificate())), "localhost").await;
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
}

#[test]
fn an_address_that_is_no_controllers_is_refused_with_the_reason() {
    for (url, part) in [
        ("http://localhost:7443", "no plaintext port"),
        ("localhost:7443", "https://"),
        ("https://", "https://NAME:PORT"),
        ("https://host/path", "no path"),
        ("https://user@host", "no user"),
        ("https://[not-an-address]:1", "https://NAME:PORT"),
    ] {
        let error = endpoint(url).expect_err(url).to_string();
        assert!(error.contains(part), "{url}: {error}");
    }
    for url in ["https://controller.example", "https://192.0.2.1:7443", "https://[2001:db8::1]:7443/"] {
        assert!(endpoint(url).is_ok(), "{url}");
    }
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_refused() {
    let pem = |label: &str| {
        let made = rcgen::generate_simple_self_signed([label.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let ((chain, key), (_, foreign)) = (pem("a"), pem("b"));
    assert!(certified_key(chain.as_bytes(), key.as_bytes()).is_ok());
    let error = certified_key(chain.as_bytes(), foreign.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    let error = certified_key(key.as_bytes(), key.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("BEGIN CERTIFICATE") && !error.contains("PRIVATE"), "{error}");
}

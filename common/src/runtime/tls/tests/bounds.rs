//! What strangers can take, and what stays for others.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::super::*;
use super::fixture::*;

/// Waits until the listener's counts satisfy `test`; they change without an event that a test could wait for.
async fn eventually(test: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !test() {
        assert!(tokio::time::Instant::now() < deadline, "not within the time allowed");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn silent(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

#[tokio::test]
async fn silent_connections_beyond_the_limit_of_an_address_are_closed_and_the_rest_ends_in_time() {
    let authority = Authority::new();
    let limits = AcceptLimits { handshakes_per_address: 5, handshake_timeout: Duration::from_millis(300), ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let mut flood = Vec::new();
    for _ in 0..40 {
        flood.push(silent(listener.port).await);
    }
    eventually(|| listener.statistics.refused() >= 35).await;
    eventually(|| listener.statistics.failed() == 5).await;
    // After the flood's handshakes ran out of time there is room again.
    let mut stream = client(&authority, Some(authority.host())).connector().dial(&listener.url("localhost")).await.unwrap();
    echo(&mut stream).await.unwrap();
    let mut byte = [0];
    for stream in &mut flood {
        assert!(matches!(stream.read(&mut byte).await, Ok(0) | Err(_)), "closed");
    }
}

#[tokio::test]
async fn while_all_handshakes_are_taken_the_next_waits_and_then_succeeds() {
    let authority = Authority::new();
    let limits =
        AcceptLimits { handshakes: 3, handshakes_per_address: 100, handshake_timeout: Duration::from_millis(200), ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let mut flood = Vec::new();
    for _ in 0..9 {
        flood.push(silent(listener.port).await);
    }
    let mut stream = client(&authority, Some(authority.host())).connector().dial(&listener.url("localhost")).await.unwrap();
    echo(&mut stream).await.unwrap();
    // It came after most of them; the last ones may still be on.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while listener.statistics.failed() < 9 {
        assert!(tokio::time::Instant::now() < deadline, "{} handshakes ended", listener.statistics.failed());
        tokio::task::yield_now().await;
    }
    assert_eq!((listener.statistics.failed(), listener.statistics.refused()), (9, 0));
}

#[tokio::test]
async fn handshakes_that_stand_still_make_room_when_others_wait_and_not_before() {
    let authority = Authority::new();
    let crowded_handshake_timeout = Duration::from_millis(50);
    let limits = AcceptLimits { handshakes: 4, crowded_handshake_timeout, ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let mut flood = vec![silent(listener.port).await, silent(listener.port).await];
    let dial = || async {
        let mut stream = client(&authority, Some(authority.host())).connector().dial(&listener.url("localhost")).await.unwrap();
        echo(&mut stream).await.unwrap();
    };
    // Others come and go for twice the time that a crowd would leave.
    let began = tokio::time::Instant::now();
    while began.elapsed() < 2 * crowded_handshake_timeout {
        dial().await;
    }
    assert_eq!(listener.statistics.failed(), 0, "there is room: slow ones may go on");
    flood.extend([silent(listener.port).await, silent(listener.port).await]);
    dial().await;
    assert!(listener.statistics.failed() > 0);
}

#[tokio::test]
async fn strangers_are_limited_by_address_and_known_callers_by_identity() {
    let authority = Authority::new();
    let limits = AcceptLimits { strangers_per_address: 2, per_identity: 3, ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let (stranger, host) = (client(&authority, None), client(&authority, Some(authority.host())));
    let url = listener.url("localhost");
    for (who, allowed) in [(&stranger, 2), (&host, 3)] {
        let mut open = Vec::new();
        for _ in 0..allowed {
            let mut stream = who.connector().dial(&url).await.unwrap();
            echo(&mut stream).await.unwrap();
            open.push(stream);
        }
        let mut one_more = who.connector().dial(&url).await.unwrap();
        assert!(echo(&mut one_more).await.is_err());
        // A place that is given back serves the next.
        drop(open);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut next = who.connector().dial(&url).await.unwrap();
            if echo(&mut next).await.is_ok() {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline);
        }
    }
}

#[tokio::test]
async fn connections_beyond_the_total_are_closed() {
    let authority = Authority::new();
    let listener = Listener::start(&authority, authority.server(), AcceptLimits { connections: 2, ..small_limits() }).await;
    let host = client(&authority, Some(authority.host()));
    let url = listener.url("localhost");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = host.connector().dial(&url).await.unwrap();
        echo(&mut stream).await.unwrap();
        open.push(stream);
    }
    assert!(host.connector().dial(&url).await.is_err());
    assert_eq!(listener.statistics.refused(), 1);
}

#[tokio::test]
async fn a_stranger_may_send_little_and_a_known_caller_much() {
    let authority = Authority::new();
    let limits = AcceptLimits { restricted_bytes: 10, ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let url = listener.url("localhost");
    for (key, may) in [(None, false), (Some(authority.host()), true)] {
        let mut stream = client(&authority, key).connector().dial(&url).await.unwrap();
        echo(&mut stream).await.unwrap();
        let mut goes_on = true;
        for _ in 0..10 {
            goes_on = goes_on && echo(&mut stream).await.is_ok();
        }
        assert_eq!(goes_on, may);
    }
}

#[tokio::test]
async fn the_connection_of_a_stranger_and_of_an_expired_host_ends_by_itself() {
    let authority = Authority::new();
    let limits = AcceptLimits { restricted_lifetime: Duration::from_millis(50), ..small_limits() };
    let listener = Listener::start(&authority, authority.server(), limits).await;
    let expired = authority.issue(&Leaf { from_day: -60, to_day: -30, ..Leaf::default() });
    let url = listener.url("localhost");
    let mut known = client(&authority, Some(authority.host())).connector().dial(&url).await.unwrap();
    for key in [None, Some(expired)] {
        let mut stream = client(&authority, key).connector().dial(&url).await.unwrap();
        let mut byte = [0];
        let ended = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await.expect("ends");
        assert!(matches!(ended, Ok(0) | Err(_)));
    }
    echo(&mut known).await.expect("a valid one lives on");
}

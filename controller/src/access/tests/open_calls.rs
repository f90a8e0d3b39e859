//! A right that ends while a call is open ends the call, within five seconds.

use std::time::Duration;

use patchwave_proto::fleet::v1::agent_service_client::AgentServiceClient;
use patchwave_proto::operator::v1::operator_service_client::OperatorServiceClient;
use patchwave_proto::operator::v1::{EventsRequest, RetireHostRequest, RevokeOperatorRequest};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use super::fixture::{Controller, DAY, PATIENCE};

/// Within which revocation must bite.
const BITE: Duration = Duration::from_secs(5);

/// Reads a stream to its end and tells how it ended, and how long that took.
async fn end_of<T>(mut stream: Streaming<T>) -> (Result<(), Status>, Duration) {
    let began = Instant::now();
    let reading = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(status) => return Err(status),
            }
        }
    };
    let ended = timeout(PATIENCE, reading).await.expect("the stream ends");
    (ended, began.elapsed())
}

async fn follow_events(controller: &Controller, caller: &str) -> Streaming<patchwave_proto::operator::v1::FleetEvent> {
    let request = EventsRequest { follow: true, after: 0, limit: 1 };
    OperatorServiceClient::new(controller.connect_as(caller).await).events(request).await.unwrap().into_inner()
}

/// Opens a session and says nothing: the handler waits for a hello longer than revocation may take.
async fn silent_session(controller: &Controller, caller: &str) -> Streaming<patchwave_proto::fleet::v1::ControllerMessage> {
    let nothing = tokio_stream::pending();
    AgentServiceClient::new(controller.connect_as(caller).await).session(nothing).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_operators_open_stream_ends_within_five_seconds_and_says_why() {
    let controller = Controller::start().await;
    let (revoked, other) = (follow_events(&controller, "viewer").await, follow_events(&controller, "operator").await);
    let mut admin = OperatorServiceClient::new(controller.connect_as("admin").await);
    admin.revoke_operator(RevokeOperatorRequest { name: "viewer".into() }).await.unwrap();
    let (ended, after) = end_of(revoked).await;
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("revoked"), "{status}");
    assert!(after < BITE, "{after:?}");
    let mut other = other;
    assert!(timeout(BITE, async { while other.message().await.unwrap().is_some() {} }).await.is_err(), "another's stream goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_hosts_open_stream_ends_within_five_seconds() {
    let controller = Controller::start().await;
    let session = silent_session(&controller, "managed").await;
    let mut admin = OperatorServiceClient::new(controller.connect_as("operator").await);
    admin.retire_host(RetireHostRequest { host: "managed".into(), reason: "sold".into() }).await.unwrap();
    let (ended, after) = end_of(session).await;
    assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    assert!(after < BITE, "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_holds_a_bounded_number_of_calls_open_and_the_place_of_one_that_ends_is_free() {
    let controller = Controller::start().await;
    let channel = controller.connect_as("managed").await;
    let open = || async { AgentServiceClient::new(channel.clone()).session(tokio_stream::pending()).await };
    let mut sessions = Vec::new();
    for _ in 0..12 {
        sessions.push(open().await.unwrap());
    }
    let refused = open().await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let _of_another = silent_session(&controller, "report-only").await;
    sessions.clear();
    let freed = async { while open().await.is_err() {} };
    timeout(PATIENCE, freed).await.expect("a place is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_does_not_outlive_the_certificate_that_opened_it() {
    let controller = Controller::start().await;
    let session = silent_session(&controller, "report-only").await;
    controller.clock.advance(DAY * 30);
    let (ended, _) = end_of(session).await;
    let status = ended.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("may only renew"), "{status}");
}

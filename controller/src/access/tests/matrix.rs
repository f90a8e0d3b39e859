//! The grid below says once more, independently of the table, who may call what; a method of the proto that is missing in either fails.

use std::collections::BTreeSet;

use patchwave_common::runtime::tls::{connect, refusal_hint};
use prost::Message as _;
use tonic::transport::Channel;
use tower::ServiceExt as _;

use super::super::{REFUSED_HEADER, TABLE};
use super::fixture::{CALLERS, Controller, PATIENCE};

/// Columns: anonymous, expired host, report-only host, managed host, viewer, operator, approver, admin.
const GRID: &str = "
    patchwave.fleet.v1.EnrolmentService/Enroll             x . . . . . . .
    patchwave.fleet.v1.AgentService/Session                . . x x . . . .
    patchwave.fleet.v1.AgentService/Renew                  . x x x . . . .
    patchwave.operator.v1.OperatorService/WhoAmI           . . . . x x x x
    patchwave.operator.v1.OperatorService/CreateOperator   . . . . . . . x
    patchwave.operator.v1.OperatorService/ListOperators    . . . . x x x x
    patchwave.operator.v1.OperatorService/RevokeOperator   . . . . . . . x
    patchwave.operator.v1.OperatorService/CreateToken      . . . . . x x x
    patchwave.operator.v1.OperatorService/ListTokens       . . . . x x x x
    patchwave.operator.v1.OperatorService/RevokeToken      . . . . . x x x
    patchwave.operator.v1.OperatorService/ListHosts        . . . . x x x x
    patchwave.operator.v1.OperatorService/ShowHost         . . . . x x x x
    patchwave.operator.v1.OperatorService/RefreshHosts     . . . . . x x x
    patchwave.operator.v1.OperatorService/LabelHosts       . . . . . x x x
    patchwave.operator.v1.OperatorService/RetireHost       . . . . . x x x
    patchwave.operator.v1.OperatorService/ReplaceHost      . . . . . x x x
    patchwave.operator.v1.OperatorService/ListPackages     . . . . x x x x
    patchwave.operator.v1.OperatorService/ListPackageHosts . . . . x x x x
    patchwave.operator.v1.OperatorService/ListUpdates      . . . . x x x x
    patchwave.operator.v1.OperatorService/ApplyPolicy      . . . . . x x x
    patchwave.operator.v1.OperatorService/ListPolicies     . . . . x x x x
    patchwave.operator.v1.OperatorService/ShowPolicy       . . . . x x x x
    patchwave.operator.v1.OperatorService/LintPolicy       . . . . x x x x
    patchwave.operator.v1.OperatorService/PlanRollout      . . . . . x x x
    patchwave.operator.v1.OperatorService/ApproveRollout   . . . . . . x x
    patchwave.operator.v1.OperatorService/StartRollout     . . . . . x x x
    patchwave.operator.v1.OperatorService/ListRollouts     . . . . x x x x
    patchwave.operator.v1.OperatorService/ShowRollout      . . . . x x x x
    patchwave.operator.v1.OperatorService/WatchRollout     . . . . x x x x
    patchwave.operator.v1.OperatorService/ExplainRollout   . . . . x x x x
    patchwave.operator.v1.OperatorService/PauseRollout     . . . . . x x x
    patchwave.operator.v1.OperatorService/ResumeRollout    . . . . . x x x
    patchwave.operator.v1.OperatorService/AbortRollout     . . . . . x x x
    patchwave.operator.v1.OperatorService/RollbackRollout  . . . . . x x x
    patchwave.operator.v1.OperatorService/ReplanRollout    . . . . . x x x
    patchwave.operator.v1.OperatorService/ReportHarm       . . . . . x x x
    patchwave.operator.v1.OperatorService/ListQuarantine   . . . . x x x x
    patchwave.operator.v1.OperatorService/LiftQuarantine   . . . . . x x x
    patchwave.operator.v1.OperatorService/SetHalt          . . . . . x x x
    patchwave.operator.v1.OperatorService/ShowHalt         . . . . x x x x
    patchwave.operator.v1.OperatorService/ListFeeds        . . . . x x x x
    patchwave.operator.v1.OperatorService/AddFeed          . . . . . . . x
    patchwave.operator.v1.OperatorService/RemoveFeed       . . . . . . . x
    patchwave.operator.v1.OperatorService/RefreshFeed      . . . . . x x x
    patchwave.operator.v1.OperatorService/ImportFeed       . . . . . . . x
    patchwave.operator.v1.OperatorService/ListFindings     . . . . x x x x
    patchwave.operator.v1.OperatorService/CountFindings    . . . . x x x x
    patchwave.operator.v1.OperatorService/ShowFinding      . . . . x x x x
    patchwave.operator.v1.OperatorService/ShowAdvisory     . . . . x x x x
    patchwave.operator.v1.OperatorService/Events           . . . . x x x x
    patchwave.operator.v1.OperatorService/ListAudit        . . . . x x x x
    patchwave.operator.v1.OperatorService/Backup           . . . . . . . x
    metrics                                                . . . . x x x x
    patchwave.operator.v1.OperatorService/NoSuchMethod     . . . . . . . .
    grpc.reflection.v1.ServerReflection/ServerReflectionInfo . . . . . . . .
";

/// The paths of the grid, each with who may, in the order of [`CALLERS`].
fn grid() -> Vec<(String, Vec<bool>)> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let path = format!("/{}", words.next()?);
        let mut may: Vec<bool> = words.map(|word| word == "x").collect();
        assert_eq!(may.len(), 8, "{path}");
        may.resize(CALLERS.len(), false);
        Some((path, may))
    };
    GRID.lines().filter_map(row).collect()
}

/// Every method in the descriptors that the proto crate was built from.
fn methods_of_the_proto() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(patchwave_proto::DESCRIPTORS).unwrap();
    let mut methods = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    methods
}

#[test]
fn every_method_of_the_proto_has_one_row_in_the_table_and_one_in_the_grid() {
    let methods = methods_of_the_proto();
    assert!(methods.len() > 40, "the descriptors hold the services");
    let rows: Vec<String> = TABLE.iter().map(|rule| rule.method.to_owned()).filter(|method| method != "/metrics/get").collect();
    let distinct: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), distinct.len(), "a method has two rows");
    assert_eq!(distinct, methods, "table and proto differ: give each method a row, and no row to what is none");
    let known: BTreeSet<String> = grid().into_iter().map(|(path, _)| path).collect();
    let missing: Vec<&String> = methods.difference(&known).collect();
    assert!(missing.is_empty(), "methods without a row in this test's grid: {missing:?}");
}

#[test]
fn a_method_that_grants_a_role_grants_the_roles_above_it() {
    for (path, may) in grid() {
        assert!(may[4..8].is_sorted(), "{path}");
    }
}

/// What came of one call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Reached,
    Refused,
    Unanswered(String),
}

async fn call(channel: Channel, url: &str, path: &str) -> Outcome {
    let request = if path == "/metrics" { http::Request::get(format!("{url}{path}")) } else { http::Request::post(format!("{url}{path}")) };
    // One empty message, framed.
    let body = tonic::body::Body::new("\0\0\0\0\0".to_owned());
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(body).unwrap();
    match tokio::time::timeout(PATIENCE, channel.oneshot(request)).await {
        Ok(Ok(answer)) if answer.headers().contains_key(REFUSED_HEADER) => {
            let status = answer.headers()["grpc-status"].to_str().unwrap().to_owned();
            assert!(["7", "12", "16"].contains(&status.as_str()), "denied, unimplemented or unauthenticated: {status}");
            assert!(answer.headers().contains_key("grpc-message"), "says why");
            Outcome::Refused
        }
        Ok(Ok(_)) => Outcome::Reached,
        Ok(Err(error)) => Outcome::Unanswered(refusal_hint(&error).unwrap_or("no hint").to_owned()),
        Err(_) => Outcome::Unanswered("no answer".to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_open_to_exactly_those_callers_that_the_grid_names() {
    let controller = Controller::start().await;
    let mut wrong = Vec::new();
    for (column, caller) in CALLERS.iter().enumerate() {
        let channel = controller.connect_as(caller).await;
        for (path, may) in grid() {
            let expected = if may[column] { Outcome::Reached } else { Outcome::Refused };
            let outcome = call(channel.clone(), &controller.url, &path).await;
            if outcome != expected {
                wrong.push(format!("{caller} {path}: {outcome:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_a_foreign_authority_reaches_no_method_at_all() {
    let controller = Controller::start().await;
    let tls = controller.tls(Some(controller.foreign_key()));
    for (path, _) in grid() {
        match connect(&controller.url, &tls).await {
            Err(_) => {}
            Ok(channel) => {
                let outcome = call(channel, &controller.url, &path).await;
                assert!(matches!(&outcome, Outcome::Unanswered(_)), "{path}: {outcome:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_that_may_not_read_metrics_gets_an_http_error_and_one_that_may_gets_them() {
    let controller = Controller::start().await;
    for (caller, expected) in [("anonymous", 401), ("managed", 403), ("revoked-operator", 401), ("viewer", 200)] {
        let request = http::Request::get(format!("{}/metrics", controller.url)).body(tonic::body::Body::empty()).unwrap();
        let answer = controller.connect_as(caller).await.oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{caller}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_operator_is_in_the_audit_log_and_a_stranger_is_not() {
    let controller = Controller::start().await;
    let backup = "/patchwave.operator.v1.OperatorService/Backup";
    assert_eq!(call(controller.connect_as("anonymous").await, &controller.url, backup).await, Outcome::Refused);
    assert_eq!(call(controller.connect_as("viewer").await, &controller.url, backup).await, Outcome::Refused);
    let mut changed = controller.server.app.events_changed();
    let refused = async {
        loop {
            let records = controller.server.app.read(|store| store.audit(0, 1000)).await.unwrap();
            let refused: Vec<_> = records
                .into_iter()
                .filter(|record| record.entry.outcome == crate::records::AuditOutcome::Refused)
                .map(|record| (record.entry.actor.to_string(), record.entry.subject))
                .collect();
            if !refused.is_empty() {
                return refused;
            }
            changed.changed().await.unwrap();
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(refused, [("operator:viewer".to_owned(), backup.to_owned())]);
}

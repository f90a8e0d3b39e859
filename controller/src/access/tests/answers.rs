//! What operators are answered, over a real server: names, quarantine, renewed certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_common::domain::{
    Architecture, Candidate, CandidateSet, HostId, Manager, Origin, PackageId, PackageName, PackageVersion, QuarantineKey,
};
use patchwave_common::runtime::clock::Clock as _;
use patchwave_common::runtime::tls::KeyRequest;
use patchwave_proto::operator::v1::operator_service_client::OperatorServiceClient;
use patchwave_proto::operator::v1::{
    ApplyPolicyRequest, CreateOperatorRequest, CreateTokenRequest, ListOperatorsRequest, SetHaltRequest, ShowHostRequest, ShowPolicyRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use super::fixture::{Controller, DAY};
use crate::records::QuarantineRecord;
use crate::store::{Change, Write};

async fn client(controller: &Controller, caller: &str) -> OperatorServiceClient<Channel> {
    OperatorServiceClient::new(controller.connect_as(caller).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_did_something_is_a_name_everywhere() {
    let controller = Controller::start().await;
    let mut admin = client(&controller, "admin").await;
    let toml = "name = \"all\"\n[[wave]]\nname = \"test\"\n".to_owned();
    assert_eq!(admin.apply_policy(ApplyPolicyRequest { toml }).await.unwrap().into_inner().applied_by, "admin");
    assert_eq!(admin.show_policy(ShowPolicyRequest { name: "all".into() }).await.unwrap().into_inner().applied_by, "admin");
    let token = CreateTokenRequest { mode: "managed".into(), labels: Vec::new(), ttl_ms: 60_000, uses: 1 };
    assert_eq!(admin.create_token(token).await.unwrap().into_inner().token.unwrap().created_by, "admin");
    assert_eq!(admin.set_halt(SetHaltRequest { halted: true, reason: "drill".into() }).await.unwrap().into_inner().by, "admin");
    let texts: Vec<String> =
        controller.server.app.read(|store| store.events(0, 100)).await.unwrap().into_iter().map(|record| record.event.text).collect();
    assert!(texts.iter().any(|text| text.ends_with("applied by admin")) && !texts.concat().contains("operator:"), "{texts:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosts_updates_say_which_are_in_quarantine() {
    let controller = Controller::start().await;
    let app = &controller.server.app;
    let candidate = |name: &str| Candidate {
        id: PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse("amd64").unwrap() },
        from: PackageVersion::parse("1").unwrap(),
        to: PackageVersion::parse("2").unwrap(),
        source: PackageName::parse(name).unwrap(),
        source_version: PackageVersion::parse("2").unwrap(),
        origin: Origin { origin: "Debian".into(), ..Origin::default() },
        sha256: None,
        size_bytes: 1,
        blocked: None,
    };
    let (bad, good) = (candidate("openssl"), candidate("bash"));
    let key = QuarantineKey {
        manager: Manager::Dpkg,
        origin: bad.origin.short(),
        source: bad.source.clone(),
        version: bad.to.clone(),
        architecture: bad.id.architecture.clone(),
    };
    app.fleet.set_candidates(&HostId::parse("managed").unwrap(), Arc::new(CandidateSet::new(vec![bad, good])));
    let record = QuarantineRecord { key, reason: "harm".into(), rollout: None, since: controller.clock.now(), lifted: None };
    app.store.write(Write::new(vec![Change::PutQuarantine(Box::new(record))])).await.unwrap();
    app.conductor.fleet_rules_changed().await;
    let shown = client(&controller, "viewer").await.show_host(ShowHostRequest { host: "managed".into() }).await.unwrap().into_inner();
    let marked: BTreeMap<String, bool> = shown.updates.into_iter().map(|update| (update.name, update.quarantined)).collect();
    assert_eq!(marked, BTreeMap::from([("bash".to_owned(), false), ("openssl".to_owned(), true)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_renewed_when_expired_or_about_to_and_refused_while_good_for_long() {
    let controller = Controller::start().await;
    let mut admin = client(&controller, "admin").await;
    let ask = |name: &str| CreateOperatorRequest {
        name: name.into(),
        role: "viewer".into(),
        certificate_request: KeyRequest::new().unwrap().request_der,
    };
    let refused = admin.create_operator(ask("viewer")).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains("good until") && refused.message().contains("patchwave operator revoke viewer"), "{refused}");
    for reserved in ["local", "controller"] {
        assert_eq!(admin.create_operator(ask(reserved)).await.unwrap_err().code(), Code::InvalidArgument, "{reserved}");
    }
    for again in ["expired-operator", "revoked-operator"] {
        let made = admin.create_operator(ask(again)).await.unwrap().into_inner().operator.unwrap();
        assert!(!made.revoked && made.certificate_expires_at > controller.clock.now().to_string(), "{made:?}");
        assert_eq!(admin.create_operator(ask(again)).await.unwrap_err().code(), Code::AlreadyExists, "it is good again");
    }
    // The viewer's thirty days began yesterday; with six left it may be renewed, and the old one is good until its end.
    let mut viewer = client(&controller, "viewer").await;
    controller.clock.advance(DAY * 23);
    admin.create_operator(ask("viewer")).await.unwrap();
    viewer.list_operators(ListOperatorsRequest {}).await.unwrap();
}

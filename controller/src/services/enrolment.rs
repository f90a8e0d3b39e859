//! Enrolment: a join token and a certificate request become a host.

use std::sync::Arc;

use patchwave_common::domain::{HostFacts, HostId, InstanceId, Timestamp};
use patchwave_proto::agent::decode_facts;
use patchwave_proto::fleet::v1 as wire;
use tonic::{Request, Response, Status};
use wire::enrolment_service_server::{EnrolmentService, EnrolmentServiceServer};

use crate::app::App;
use crate::pki::{PresentedToken, TokenError, new_host_id};
use crate::records::{Actor, AuditEntry, AuditOutcome, FleetEvent, HostRecord, HostState, TokenRecord};
use crate::store::{Change, Guard, StoreError, Write};

/// Largest request: a certificate request and facts are a few KiB, and the caller is nobody yet.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The service.
pub struct Enrolment {
    app: Arc<App>,
}

/// The service, ready to be routed to.
#[must_use]
pub fn service(app: Arc<App>) -> EnrolmentServiceServer<Enrolment> {
    EnrolmentServiceServer::new(Enrolment { app }).max_decoding_message_size(MAX_REQUEST_BYTES)
}

#[tonic::async_trait]
impl EnrolmentService for Enrolment {
    async fn enroll(&self, request: Request<wire::EnrollRequest>) -> Result<Response<wire::EnrollResponse>, Status> {
        let request = request.into_inner();
        let at = self.app.clock.now();
        let token = self.usable_token(&request.token, at).await?;
        let facts = decode_facts(request.facts.unwrap_or_default());
        let id = new_host_id().map_err(|error| Status::internal(error.to_string()))?;
        let issued = self
            .app
            .authority
            .issue_host(&request.certificate_request, &id, self.app.settings.host_certificate_life, at)
            .map_err(|error| Status::invalid_argument(format!("certificate request: {error}")))?;
        let record = host_record(&id, &token, facts, issued.record.serial.clone(), at);
        let text = format!("host {id} ({}) enrolled as {} with token {}", record.facts.hostname, record.mode.as_str(), token.id);
        let changes = vec![
            Change::UseToken(token.id.clone()),
            Change::PutHost(Box::new(record.clone())),
            Change::PutCertificate(issued.record.clone()),
            Change::AppendEvent(FleetEvent { at, kind: "host-enrolled".into(), host: Some(id.clone()), rollout: None, text }),
            Change::AppendAudit(AuditEntry {
                at,
                actor: Actor::Host(id.clone()),
                action: "host.enroll".into(),
                subject: token.id.to_string(),
                outcome: AuditOutcome::Done,
                detail: String::new(),
            }),
        ];
        self.app.store.write(Write::new(changes).when(Guard::TokenUsable { token: token.id.clone() })).await.map_err(
            |error| match error {
                StoreError::Guard { .. } => used_up(&token),
                error => super::operator::store_status(&error),
            },
        )?;
        tracing::info!(host = %id, token = %token.id, mode = record.mode.as_str(), "host enrolled");
        self.app.fleet.put_record(record.clone());
        Ok(Response::new(wire::EnrollResponse {
            host_id: id.to_string(),
            certificate_chain: issued.chain_pem,
            mode: record.mode.as_str().to_owned(),
            trust_domain: self.app.authority.trust_domain().to_string(),
        }))
    }
}

impl Enrolment {
    /// The token's record, if the secret is right and the token may be used now. A forged token learns only that it is none.
    async fn usable_token(&self, text: &str, at: Timestamp) -> Result<TokenRecord, Status> {
        let refuse = |error: TokenError| {
            tracing::warn!(%error, "a join token was refused");
            Status::unauthenticated(error.to_string())
        };
        let token = PresentedToken::parse(text).map_err(refuse)?;
        let id = token.id.clone();
        let record = self.app.read(move |store| store.token(&id)).await.map_err(|error| super::operator::store_status(&error))?;
        token.verify(record.as_ref(), at).map_err(refuse)?;
        record.ok_or_else(|| refuse(TokenError::Unknown))
    }
}

fn used_up(token: &TokenRecord) -> Status {
    Status::unauthenticated(format!(
        "join token {} is used up: all of its {} uses are spent (hint: `patchwave token create --uses N`)",
        token.id, token.uses_limit
    ))
}

fn host_record(id: &HostId, token: &TokenRecord, facts: HostFacts, certificate: crate::records::Serial, at: Timestamp) -> HostRecord {
    HostRecord {
        id: id.clone(),
        revision: 0,
        mode: token.mode,
        labels: token.labels.clone(),
        state: HostState::Active,
        enrolled_at: at,
        token: token.id.clone(),
        certificate,
        replaces: None,
        facts,
        last_seen: None,
        instance: None::<InstanceId>,
        clock_offset_ms: 0,
        inventory: None,
        candidates: None,
    }
}

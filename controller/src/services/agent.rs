//! The agents' service: the session stream, and renewal of certificates.

use std::sync::Arc;

use patchwave_proto::agent::MAX_MESSAGE_BYTES;
use patchwave_proto::fleet::v1 as wire;
use tonic::{Request, Response, Status, Streaming};
use wire::agent_service_server::{AgentService, AgentServiceServer};

use super::session;
use crate::access::Caller;
use crate::app::App;
use crate::pace;
use crate::records::HostUpdate;
use crate::sessions::Outbox;
use crate::store::{Change, Write};

/// The service.
pub struct Agents {
    app: Arc<App>,
}

/// The service, ready to be routed to.
#[must_use]
pub fn service(app: Arc<App>) -> AgentServiceServer<Agents> {
    AgentServiceServer::new(Agents { app }).max_decoding_message_size(MAX_MESSAGE_BYTES)
}

#[tonic::async_trait]
impl AgentService for Agents {
    type SessionStream = session::Answers;

    async fn session(&self, request: Request<Streaming<wire::AgentMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let Some(Caller::Host { id, mode }) = request.extensions().get::<Caller>().cloned() else {
            return Err(Status::permission_denied("a session is for enrolled hosts"));
        };
        let peer = crate::access::peer_address(&request);
        let outbox = Arc::new(Outbox::default());
        let answers = session::Answers::of(&outbox);
        let (app, inbound) = (self.app.clone(), request.into_inner());
        tokio::spawn(session::run(app, id, mode, peer, inbound, outbox));
        Ok(Response::new(answers))
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        let id = match request.extensions().get::<Caller>() {
            Some(Caller::Host { id, .. } | Caller::ExpiredHost { id }) => id.clone(),
            _ => return Err(Status::permission_denied("renewal is for enrolled hosts")),
        };
        if let Some(pause) = session::paced(&self.app, &id, pace::RENEWAL) {
            tokio::time::sleep(pause).await;
        }
        let at = self.app.clock.now();
        let issued = self
            .app
            .authority
            .issue_host(&request.into_inner().certificate_request, &id, self.app.settings.host_certificate_life, at)
            .map_err(|error| Status::invalid_argument(format!("certificate request: {error}")))?;
        let serial = issued.record.serial.clone();
        let changes = vec![
            Change::PutCertificate(issued.record),
            Change::UpdateHost { host: id.clone(), update: HostUpdate::Certificate(serial.clone()) },
        ];
        self.app.store.write(Write::new(changes)).await.map_err(|error| super::operator::store_status(&error))?;
        self.app.fleet.update_record(&id, |record| record.certificate = serial);
        tracing::info!(host = %id, "certificate renewed");
        Ok(Response::new(wire::RenewResponse { certificate_chain: issued.chain_pem }))
    }
}

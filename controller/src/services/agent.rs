//! The agents' service: the session stream, and renewal of certificates.

use std::sync::Arc;

use patchwave_proto::agent::MAX_MESSAGE_BYTES;
use patchwave_proto::fleet::v1 as wire;
use tonic::{Request, Response, Status, Streaming};
use wire::agent_service_server::{AgentService, AgentServiceServer};

use super::session;
use crate::access::Caller;
use crate::app::App;
use crate::records::HostUpdate;
use crate::store::{Change, Write};

/// Messages on their way to one agent inside the transport.
const OUTBOUND_MESSAGES: usize = 8;

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
    type SessionStream = tokio_stream::wrappers::ReceiverStream<Result<wire::ControllerMessage, Status>>;

    async fn session(&self, request: Request<Streaming<wire::AgentMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let Some(Caller::Host { id, mode }) = request.extensions().get::<Caller>().cloned() else {
            return Err(Status::permission_denied("a session is for enrolled hosts"));
        };
        let peer = crate::access::peer_address(&request);
        let (sender, receiver) = tokio::sync::mpsc::channel(OUTBOUND_MESSAGES);
        let app = self.app.clone();
        tokio::spawn(session::run(app, id, mode, peer, request.into_inner(), sender));
        Ok(Response::new(tokio_stream::wrappers::ReceiverStream::new(receiver)))
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        let id = match request.extensions().get::<Caller>() {
            Some(Caller::Host { id, .. } | Caller::ExpiredHost { id }) => id.clone(),
            _ => return Err(Status::permission_denied("renewal is for enrolled hosts")),
        };
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

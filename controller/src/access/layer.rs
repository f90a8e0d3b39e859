//! The layer in front of every handler: finds the caller, asks the table, and tells a refused caller why.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::tls::Peer;
use tonic::Status;
use tower::{Layer, Service};

use super::{Caller, CallerKind, Directory, rule_of};

/// Puts [`Access`] in front of a service.
#[derive(Clone)]
pub struct AccessLayer {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
}

impl AccessLayer {
    /// A layer that asks this directory.
    #[must_use]
    pub fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;
    fn layer(&self, inner: S) -> Access<S> {
        Access { inner, layer: self.clone() }
    }
}

/// A service behind the table.
#[derive(Clone)]
pub struct Access<S> {
    inner: S,
    layer: AccessLayer,
}

impl<S, Body, Answer> Service<http::Request<Body>> for Access<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Answer>>,
    Answer: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<S::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match self.layer.admit(&request) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

impl AccessLayer {
    fn admit<Body>(&self, request: &http::Request<Body>) -> Result<Caller, Status> {
        let path = request.uri().path();
        let peer = request.extensions().get::<Peer>();
        let certificate = peer.and_then(|peer| peer.certificate.as_deref());
        let caller = self.directory.caller(certificate, self.clock.now()).map_err(|refusal| {
            tracing::warn!(method = path, peer = ?peer.map(|peer| peer.address), %refusal, "caller refused");
            Status::unauthenticated(refusal.to_string())
        })?;
        let Some(rule) = rule_of(path) else { return Err(Status::unimplemented("there is no such method")) };
        if rule.allows(caller.kind()) {
            return Ok(caller);
        }
        tracing::warn!(method = path, caller = ?caller, "call refused");
        Err(match caller.kind() {
            CallerKind::Anonymous => Status::unauthenticated(
                "this call needs a certificate (hint: a host enrols first; an operator uses a context: `patchwave context list`)",
            ),
            CallerKind::ExpiredHost => Status::unauthenticated(
                "this certificate has expired and may only renew (hint: the agent renews by itself; `patchwave-agent status`)",
            ),
            CallerKind::ReportOnlyHost | CallerKind::ManagedHost => {
                Status::permission_denied("a host's certificate may not make this call")
            }
            CallerKind::Viewer | CallerKind::Operator | CallerKind::Approver | CallerKind::Admin => match rule.least_role() {
                Some(role) => Status::permission_denied(format!(
                    "this call needs the role {role} or more (hint: ask an admin; `patchwave operator list` shows roles)"
                )),
                None => Status::permission_denied("this call is not for operators"),
            },
        })
    }
}

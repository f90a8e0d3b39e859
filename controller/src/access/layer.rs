//! The layer in front of every handler: finds the caller, asks the table, tells a refused caller why, and keeps an eye on calls that stay
//! open.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use patchwave_common::domain::clean_text;
use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::throttle::Throttle;
use patchwave_common::runtime::tls::{Peer, PeerCertificate};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::open_calls::{Guarded, OpenCalls};
use super::refusals::Refusals;
use super::{Caller, CallerKind, Directory, Rule, rule_of};
use crate::metrics::Metrics;

/// Puts [`Access`] in front of a service.
#[derive(Clone)]
pub struct AccessLayer {
    gate: Arc<Gate>,
    open: Arc<OpenCalls>,
    refusals: Arc<Refusals>,
    warnings: Arc<Throttle>,
    metrics: Arc<Metrics>,
}

/// Refused calls that are warned of in a minute.
const WARNINGS_A_MINUTE: u32 = 60;

impl AccessLayer {
    /// A layer that asks this directory and hands what it refuses to known callers to `refusals`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>, refusals: Refusals, metrics: Arc<Metrics>) -> Self {
        let warnings = Arc::new(Throttle::new(WARNINGS_A_MINUTE, 60_000));
        Self { gate: Arc::new(Gate { directory, clock }), open: Arc::default(), refusals: Arc::new(refusals), warnings, metrics }
    }

    /// Judges open calls again and again, and ends those whose caller lost the right; drop the future to stop. A layer whose guard does not
    /// run admits calls and never takes that back, so whoever serves with it must run this.
    pub async fn guard_open_calls(&self) {
        self.open.watch(&self.gate).await;
    }

    /// Says and records a refusal, within bounds: anybody can cause one.
    fn refused(&self, method: &str, peer: Option<&Peer>, status: &Status) {
        self.warn(method, peer, status);
        if let Some(certificate) = peer.and_then(|peer| peer.certificate.as_ref()) {
            let clock = &self.gate.clock;
            self.refusals.note(&certificate.identity, method, status.message(), clock.now(), clock.boottime_ms());
        }
    }

    fn warn(&self, method: &str, peer: Option<&Peer>, status: &Status) {
        let caller = peer.and_then(|peer| peer.certificate.as_ref()).map(|certificate| &certificate.identity);
        if let Some(left_out) = self.warnings.admit(self.gate.clock.boottime_ms()) {
            let (method, address) = (clean_text(method, 120), peer.map(|peer| peer.address));
            tracing::warn!(method, ?address, caller = ?caller.map(ToString::to_string), reason = status.message(), left_out, "call refused");
        }
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

impl<S> Service<http::Request<Body>> for Access<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().cloned();
        let certificate = peer.as_ref().and_then(|peer| peer.certificate.clone());
        match self.layer.gate.admit(request.uri().path(), certificate.as_deref()) {
            Ok((caller, rule)) => {
                let Some(call) = self.layer.open.add(rule, certificate, peer.as_ref().map(|peer| peer.address.ip())) else {
                    self.layer.metrics.call_refused();
                    let status = Status::resource_exhausted("too many open calls of one caller (hint: end some; each watch is one)");
                    self.layer.warn(request.uri().path(), peer.as_ref(), &status);
                    return Box::pin(std::future::ready(Ok(refuse(status, speaks_grpc(&request)))));
                };
                request.extensions_mut().insert(caller);
                let answering = self.inner.call(request.map(|body| Guarded::request(body, Arc::clone(&call))));
                Box::pin(async move { Ok(answering.await?.map(|body| Guarded::answer(body, call))) })
            }
            Err(status) => {
                self.layer.refused(request.uri().path(), peer.as_ref(), &status);
                Box::pin(std::future::ready(Ok(refuse(status, speaks_grpc(&request)))))
            }
        }
    }
}

/// Who may do what, now.
pub(super) struct Gate {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// The caller and the rule, or why not. `path` comes from anybody: it is only compared.
    fn admit(&self, path: &str, certificate: Option<&PeerCertificate>) -> Result<(Caller, &'static Rule), Status> {
        // The caller first: who may call nothing does not learn what there is.
        let caller = self.caller(certificate)?;
        let rule = rule_of(path).ok_or_else(|| Status::unimplemented("there is no such method"))?;
        if rule.allows(caller.kind()) { Ok((caller, rule)) } else { Err(denial(rule, caller.kind())) }
    }

    /// Whether a call under `rule` may go on.
    pub(super) fn still(&self, rule: &Rule, certificate: Option<&PeerCertificate>) -> Result<(), Status> {
        let kind = self.caller(certificate)?.kind();
        if rule.allows(kind) { Ok(()) } else { Err(denial(rule, kind)) }
    }

    fn caller(&self, certificate: Option<&PeerCertificate>) -> Result<Caller, Status> {
        self.directory.caller(certificate, self.clock.now()).map_err(|refusal| Status::unauthenticated(refusal.to_string()))
    }
}

/// The header of every refusal of this layer, so that a caller tells it from a handler's "no" with the same code.
pub const REFUSED_HEADER: &str = "patchwave-refused";

fn speaks_grpc(request: &http::Request<Body>) -> bool {
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// To gRPC a status; to others (a scraper of `/metrics`) a status of HTTP, for which an empty 200 would be an empty success.
fn refuse(mut status: Status, grpc: bool) -> http::Response<Body> {
    if grpc {
        status.metadata_mut().insert(REFUSED_HEADER, tonic::metadata::MetadataValue::from_static("access"));
        return status.into_http();
    }
    let mut response = http::Response::new(Body::new(format!("{}\n", status.message())));
    *response.status_mut() = match status.code() {
        Code::Unauthenticated => http::StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => http::StatusCode::FORBIDDEN,
        _ => http::StatusCode::NOT_FOUND,
    };
    response.headers_mut().insert(REFUSED_HEADER, http::HeaderValue::from_static("access"));
    response
}

fn denial(rule: &Rule, kind: CallerKind) -> Status {
    match kind {
        CallerKind::Anonymous => Status::unauthenticated(
            "this call needs a certificate (hint: a host enrols first; an operator uses a context: `patchwave context list`)",
        ),
        CallerKind::ExpiredHost => Status::unauthenticated(
            "this certificate has expired and may only renew (hint: the agent renews by itself; `patchwave-agent status`)",
        ),
        CallerKind::ReportOnlyHost | CallerKind::ManagedHost => Status::permission_denied("a host's certificate may not make this call"),
        CallerKind::Viewer | CallerKind::Operator | CallerKind::Approver | CallerKind::Admin => match rule.least_role() {
            Some(role) => Status::permission_denied(format!(
                "this call needs the role {role} or more (hint: ask an admin; `patchwave operator list` shows roles)"
            )),
            None => Status::permission_denied("this call is not for operators"),
        },
    }
}

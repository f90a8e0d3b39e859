//! Calls that are open, and their end when the caller loses the right to them.
//!
//! A stream may stay open for months. Its caller was judged when it began; operators are revoked, hosts retired and certificates expire
//! later. So each open call is judged again every [`LOOK_EVERY`], below the handlers: both directions of its HTTP/2 stream are cut,
//! whatever the handler does. The first look that finds the right gone only marks the call, so that a handler that knows can still tell the
//! caller why; the next one ends it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use patchwave_common::runtime::tls::{PeerCertificate, PeerIdentity};
use tonic::Status;
use tonic::body::Body;

use super::Rule;
use super::layer::Gate;

/// Time between two looks. Two of them, and a moment, stay below the five seconds within which revocation must bite; one look at 20,000
/// calls takes a few milliseconds.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(1500);

/// Open calls of one host. It has one session, and while it reconnects over a line that breaks again and again, those of connections that
/// the kernel and HTTP/2 give up after a minute and a half. Each may be filling a message of 16 MiB.
const CALLS_OF_A_HOST: usize = 12;
/// Open calls of one operator: scripts and watches side by side.
const CALLS_OF_AN_OPERATOR: usize = 256;
/// Open calls of all strangers at one address: each is one enrolment, of 64 KiB at most, as many as they may have connections.
const CALLS_OF_STRANGERS: usize = 64;

/// Who has calls open: a key, or an address without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    Known(PeerIdentity),
    Stranger(Option<IpAddr>),
}

impl Holder {
    fn may_have(&self) -> usize {
        match self {
            Self::Known(PeerIdentity::Host(_)) => CALLS_OF_A_HOST,
            Self::Known(PeerIdentity::Operator(_) | PeerIdentity::Controller) => CALLS_OF_AN_OPERATOR,
            Self::Stranger(_) => CALLS_OF_STRANGERS,
        }
    }
}

/// Every call that is open.
#[derive(Debug, Default)]
pub(super) struct OpenCalls {
    calls: Mutex<HashMap<u64, Weak<OpenCall>>>,
    holders: Mutex<HashMap<Holder, usize>>,
    next: AtomicU64,
}

/// One call, alive as long as one of its directions is.
#[derive(Debug)]
pub(super) struct OpenCall {
    number: u64,
    of: Weak<OpenCalls>,
    holder: Holder,
    rule: &'static Rule,
    certificate: Option<Arc<PeerCertificate>>,
    /// The look before this one found the right gone.
    marked: Mutex<bool>,
    /// Set when the call is over, with what the caller is told.
    ended: OnceLock<Status>,
    request: AtomicWaker,
    answer: AtomicWaker,
}

impl OpenCalls {
    /// One more, unless the caller has too many.
    pub(super) fn add(
        self: &Arc<Self>,
        rule: &'static Rule,
        certificate: Option<Arc<PeerCertificate>>,
        from: Option<IpAddr>,
    ) -> Option<Arc<OpenCall>> {
        let known = certificate.as_ref().map(|certificate| Holder::Known(certificate.identity.clone()));
        let holder = known.unwrap_or(Holder::Stranger(from));
        {
            let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
            let open = holders.entry(holder.clone()).or_default();
            if *open >= holder.may_have() {
                return None;
            }
            *open += 1;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let call = Arc::new(OpenCall {
            number,
            of: Arc::downgrade(self),
            holder,
            rule,
            certificate,
            marked: Mutex::new(false),
            ended: OnceLock::new(),
            request: AtomicWaker::new(),
            answer: AtomicWaker::new(),
        });
        self.lock().insert(number, Arc::downgrade(&call));
        Some(call)
    }

    pub(super) async fn watch(&self, gate: &Gate) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look(gate);
        }
    }

    /// Judges every open call once.
    fn look(&self, gate: &Gate) {
        // Judged outside the lock: a call that begins meanwhile was judged just now.
        let calls: Vec<Arc<OpenCall>> = self.lock().values().filter_map(Weak::upgrade).collect();
        for call in calls {
            let verdict = gate.still(call.rule, call.certificate.as_deref());
            let mut marked = call.marked.lock().unwrap_or_else(PoisonError::into_inner);
            match verdict {
                Ok(()) => *marked = false,
                Err(_) if !*marked => *marked = true,
                Err(status) => call.end(status),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Weak<OpenCall>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenCall {
    fn end(&self, status: Status) {
        let caller = self.certificate.as_ref().map(|certificate| certificate.identity.to_string());
        tracing::info!(method = self.rule.method, caller, reason = status.message(), "an open call is ended");
        // A second end of the same call changes nothing.
        let _ = self.ended.set(status);
        self.request.wake();
        self.answer.wake();
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Some(of) = self.of.upgrade() {
            of.lock().remove(&self.number);
            let mut holders = of.holders.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(open) = holders.get_mut(&self.holder) {
                *open -= 1;
                if *open == 0 {
                    holders.remove(&self.holder);
                }
            }
        }
    }
}

/// Which direction of a call a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// A body that ends with its call.
pub(super) struct Guarded {
    inner: Body,
    call: Arc<OpenCall>,
    direction: Direction,
    over: bool,
}

impl Guarded {
    pub(super) fn request(inner: Body, call: Arc<OpenCall>) -> Body {
        Body::new(Self { inner, call, direction: Direction::Request, over: false })
    }

    pub(super) fn answer(inner: Body, call: Arc<OpenCall>) -> Body {
        Body::new(Self { inner, call, direction: Direction::Answer, over: false })
    }

    /// The last frame of a call that was ended from here.
    fn last(&self, status: &Status) -> Result<Frame<Bytes>, Status> {
        match self.direction {
            Direction::Request => Err(status.clone()),
            Direction::Answer => {
                let mut trailers = http::HeaderMap::new();
                status.add_header(&mut trailers)?;
                Ok(Frame::trailers(trailers))
            }
        }
    }
}

impl hyper::body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        // Registered before asking, so that an end between the two wakes this task.
        let waker = if self.direction == Direction::Request { &self.call.request } else { &self.call.answer };
        waker.register(context.waker());
        if let Some(status) = self.call.ended.get() {
            let last = self.last(status);
            self.over = true;
            return Poll::Ready(Some(last));
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        self.over = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

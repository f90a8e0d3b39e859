//! The open streams: one per host, how to reach each, and what to do when a second one appears.
//!
//! Terms: a *session epoch* numbers the streams that this controller has accepted; messages of an older stream of the same host are
//! dropped. Two streams of one host with the same instance are a reconnect: the newer one stands. With different instances the old one
//! is asked (a ping): if it still answers, two agents run on one key, the host is a clone, and both are stopped (rule 25).

mod outbox;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchwave_common::domain::{HostId, InstanceId, StopCause, ToAgent};
use tokio::sync::Notify;

pub use outbox::{Outbox, QUEUE_MESSAGES, Reader, Refused};

/// How long an old stream may take to prove that it is alive. Longer than a round trip over a bad link, shorter than an operator's patience.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// One open stream.
#[derive(Debug)]
pub struct Session {
    /// Numbers the stream.
    pub epoch: u64,
    /// The agent process.
    pub instance: InstanceId,
    /// Where it connects from, for messages about clones.
    pub peer: String,
    /// What the agent is yet to be told.
    pub outbox: Arc<Outbox>,
    closing: Notify,
    answered: Notify,
    nonce: AtomicU64,
    question: AtomicU64,
}

/// The hello asks for a lease where its history says so, and is the first question of a session.
const HELLO_QUESTION: u64 = 1;

impl Session {
    /// Queues a message. A full outbox closes the stream: the agent comes back and is told everything anew.
    pub fn send(&self, mut message: ToAgent) {
        if let ToAgent::Lease(lease) = &mut message {
            lease.answers = self.question.load(Ordering::Relaxed);
        }
        if self.outbox.push(message).is_err() {
            self.closing.notify_one();
        }
    }

    /// Ends the stream.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// Waits until the stream is to be ended.
    pub async fn closed(&self) {
        self.closing.notified().await;
    }

    /// A heartbeat that answers a ping has come.
    pub fn heard(&self, nonce: u64) {
        if nonce != 0 && nonce == self.nonce.load(Ordering::Relaxed) {
            self.answered.notify_one();
        }
    }

    /// News that carry a question for a lease have come, or news without one (0). Leases given from here on answer it.
    pub fn asked(&self, question: u64) {
        self.question.fetch_max(question, Ordering::Relaxed);
    }

    /// Asks whether the other side is alive; true when it answers in time.
    async fn answers(&self, nonce: u64) -> bool {
        self.nonce.store(nonce, Ordering::Relaxed);
        if self.outbox.push(ToAgent::Ping(nonce)).is_err() {
            return false;
        }
        tokio::select! {
            () = self.answered.notified() => true,
            () = self.outbox.left() => false,
            () = tokio::time::sleep(PROBE_TIMEOUT) => false,
        }
    }
}

/// What came of a new stream.
pub enum Attached {
    /// It is the host's stream now; messages for it go into its outbox.
    Yes(Arc<Session>),
    /// Another agent answers under the same key.
    Cloned {
        /// The other stream, which is still open.
        other: Arc<Session>,
    },
}

/// Every open stream of this controller.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<HostId, Arc<Session>>>,
    epochs: AtomicU64,
}

impl Sessions {
    /// Takes in a new stream of a host.
    pub async fn attach(&self, host: &HostId, instance: InstanceId, peer: String, outbox: Arc<Outbox>) -> Attached {
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(old) = self.get(host) {
            if old.instance != instance && old.answers(epoch).await {
                return Attached::Cloned { other: old };
            }
            old.close();
        }
        let (closing, answered) = (Notify::new(), Notify::new());
        let (nonce, question) = (AtomicU64::new(0), AtomicU64::new(HELLO_QUESTION));
        let session = Arc::new(Session { epoch, instance, peer, outbox, closing, answered, nonce, question });
        self.lock().insert(host.clone(), session.clone());
        Attached::Yes(session)
    }

    /// The stream ended; true where it was still the host's one.
    pub fn detach(&self, host: &HostId, epoch: u64) -> bool {
        let mut open = self.lock();
        let current = open.get(host).is_some_and(|session| session.epoch == epoch);
        if current {
            open.remove(host);
        }
        current
    }

    /// The host's stream.
    #[must_use]
    pub fn get(&self, host: &HostId) -> Option<Arc<Session>> {
        self.lock().get(host).cloned()
    }

    /// Sends to a host; false where no stream is open.
    pub fn send(&self, host: &HostId, message: ToAgent) -> bool {
        self.get(host).map(|session| session.send(message)).is_some()
    }

    /// Sends to every host.
    pub fn broadcast(&self, message: &ToAgent) {
        for session in self.lock().values() {
            session.send(message.clone());
        }
    }

    /// Tells a host why and ends its stream.
    pub fn stop(&self, host: &HostId, cause: StopCause, detail: &str) {
        if let Some(session) = self.get(host) {
            session.send(ToAgent::Stop { cause, detail: detail.to_owned() });
            session.close();
        }
    }

    /// The hosts that have a stream.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        self.lock().keys().cloned().collect()
    }

    /// Ends every stream.
    pub fn close_all(&self) {
        self.lock().values().for_each(|session| session.close());
    }

    /// How many streams are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<HostId, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use tokio_stream::StreamExt as _;

    use super::*;

    fn host() -> HostId {
        HostId::parse("h-1").unwrap()
    }

    async fn attach(sessions: &Sessions, instance: &str) -> (Attached, Reader) {
        let outbox = Arc::new(Outbox::default());
        outbox.welcomed();
        let reader = outbox.read();
        (sessions.attach(&host(), InstanceId::parse(instance).unwrap(), "198.51.100.7".into(), outbox).await, reader)
    }

    #[tokio::test]
    async fn a_reconnect_of_the_same_instance_replaces_its_old_stream() {
        let sessions = Sessions::default();
        let (Attached::Yes(old), _old_messages) = attach(&sessions, "a").await else { panic!("first") };
        let (Attached::Yes(new), _new_messages) = attach(&sessions, "a").await else { panic!("second") };
        old.closed().await;
        assert!(!sessions.detach(&host(), old.epoch), "the old stream must not take the new one with it");
        assert_eq!(sessions.get(&host()).unwrap().epoch, new.epoch);
    }

    #[tokio::test]
    async fn two_instances_that_both_answer_are_a_clone() {
        let sessions = Arc::new(Sessions::default());
        let (Attached::Yes(old), mut messages) = attach(&sessions, "a").await else { panic!("first") };
        let answering = tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let ToAgent::Ping(nonce) = message {
                    old.heard(nonce);
                }
            }
        });
        assert!(matches!(attach(&sessions, "b").await.0, Attached::Cloned { other } if other.instance.as_str() == "a"));
        answering.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_instance_that_is_silent_or_gone_is_replaced() {
        let sessions = Sessions::default();
        let (Attached::Yes(_silent), silent_messages) = attach(&sessions, "a").await else { panic!("first") };
        let (Attached::Yes(second), messages) = attach(&sessions, "b").await else { panic!("a silent stream is no clone") };
        drop((silent_messages, messages));
        let (Attached::Yes(third), _messages) = attach(&sessions, "c").await else { panic!("a closed stream is no clone") };
        assert!(third.epoch > second.epoch);
    }
}

//! One stream, from dialling to its end, as a task of its own: messages go in and out through two short queues.

use std::future::Future;
use std::sync::Arc;

use patchwave_common::domain::ToAgent;
use patchwave_proto::agent::{MAX_MESSAGE_BYTES, decode_to_agent};
use patchwave_proto::fleet::v1::AgentMessage;
use patchwave_proto::fleet::v1::agent_service_client::AgentServiceClient;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;

/// Messages under way to the controller: the outbox behind it is bounded too, so a few suffice to keep the stream busy.
const SAYING: usize = 4;
/// Messages heard and not yet handled; beyond it the stream waits, and through it the controller.
const HEARING: usize = 16;
/// Why a stream ended stands in a log line and in a table: a sentence and its causes.
const CLOSED_MAX_CHARS: usize = 600;

/// Reaches the controller.
pub trait Dial: Send + Sync + 'static {
    /// An encrypted, authenticated connection.
    fn dial(&self) -> impl Future<Output = Result<Channel, Closed>> + Send;
}

/// Why a stream ended or never began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// What kind of end it is.
    pub kind: ClosedKind,
    /// In plain words.
    pub text: String,
}

/// Kinds of end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedKind {
    /// Broken off or never reached; may pass by itself.
    Broken,
    /// The controller, or what answers in its place, will not have us (or we not it).
    Refused,
}

/// News of a link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The connection stands; the first message is awaited.
    Open,
    /// The controller said something.
    Heard(ToAgent),
    /// It is over; nothing follows.
    Closed(Closed),
}

/// A stream and its task; dropping it closes the stream.
#[derive(Debug)]
pub struct Link {
    /// What the controller is told.
    pub say: mpsc::Sender<AgentMessage>,
    /// What comes from it.
    pub events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    /// Dials and opens a stream, in the background.
    pub fn open<D: Dial>(dialer: Arc<D>) -> Self {
        let (say, saying) = mpsc::channel(SAYING);
        let (hearing, events) = mpsc::channel(HEARING);
        let task = tokio::spawn(async move {
            let closed = carry(&*dialer, saying, &hearing).await;
            // Nobody listens any more only where the link was dropped.
            let _ = hearing.send(LinkEvent::Closed(closed)).await;
        });
        Self { say, events, task }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry<D: Dial>(dialer: &D, saying: mpsc::Receiver<AgentMessage>, hearing: &mpsc::Sender<LinkEvent>) -> Closed {
    let channel = match dialer.dial().await {
        Ok(channel) => channel,
        Err(closed) => return closed,
    };
    // Told before the call: the controller may want the hello before it answers the call at all.
    let unheard = || Closed { kind: ClosedKind::Broken, text: "the link was dropped".to_owned() };
    if hearing.send(LinkEvent::Open).await.is_err() {
        return unheard();
    }
    let mut client =
        AgentServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES).max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut messages = match client.session(ReceiverStream::new(saying)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return closed_by(&status),
    };
    loop {
        match messages.message().await {
            Ok(Some(message)) => match decode_to_agent(message) {
                Ok(message) => {
                    if hearing.send(LinkEvent::Heard(message)).await.is_err() {
                        return unheard();
                    }
                }
                // A newer controller may say what we do not know yet; what it needs us to know it puts into `requires`.
                Err(error) => tracing::warn!(%error, "a message of the controller was passed over"),
            },
            Ok(None) => return Closed { kind: ClosedKind::Broken, text: "the controller closed the session".to_owned() },
            Err(status) => return closed_by(&status),
        }
    }
}

/// What a gRPC status means for the next try.
pub fn closed_by(status: &tonic::Status) -> Closed {
    let kind = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => ClosedKind::Refused,
        _ => ClosedKind::Broken,
    };
    let mut text = patchwave_common::domain::clean_text(status.message(), 300);
    let mut source = std::error::Error::source(status);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    // The inner errors quote what the other end sent, such as names in its certificate.
    let text = patchwave_common::domain::clean_text(&text, CLOSED_MAX_CHARS);
    Closed { kind, text: if text.is_empty() { status.code().to_string() } else { text } }
}

//! One client's connection to a subject, and the smallest exchange on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use http_body_util::BodyExt as _;
use patchwave_common::domain::{FromAgent, Timestamp, ToAgent};
use patchwave_proto::agent::{compressed, decode_to_agent, encode_from_agent};
use patchwave_proto::fleet::v1::agent_service_client::AgentServiceClient;
use patchwave_proto::fleet::v1::{AgentMessage, ControllerMessage};
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service as _;

use super::orders::now_us;
use super::tls;

/// Messages on their way out; an agent says one thing at a time.
const OUTBOX: usize = 4;

/// A connection with what is open on it.
pub enum Link {
    /// The agents' stream.
    Stream {
        /// To the server.
        say: mpsc::Sender<AgentMessage>,
        /// From it.
        messages: Box<Streaming<ControllerMessage>>,
    },
    /// Requests for a file.
    Pages(Channel),
}

impl Link {
    /// Connects and opens the stream; `first` is said on it at once.
    ///
    /// # Errors
    /// If it cannot connect or is refused.
    pub async fn stream(tls: Arc<ClientConfig>, from: Ipv4Addr, server: SocketAddr, first: &FromAgent) -> Result<Self> {
        let channel = tls::connect(tls, from, server).await?;
        let (say, saying) = mpsc::channel(OUTBOX);
        say.send(encode_from_agent(first)).await?;
        let messages = AgentServiceClient::new(channel).session(ReceiverStream::new(saying)).await?.into_inner();
        Ok(Self::Stream { say, messages: Box::new(messages) })
    }

    /// Connects, for pages.
    ///
    /// # Errors
    /// If it cannot connect.
    pub async fn pages(tls: Arc<ClientConfig>, from: Ipv4Addr, server: SocketAddr) -> Result<Self> {
        Ok(Self::Pages(tls::connect(tls, from, server).await?))
    }

    /// Says something on the stream.
    ///
    /// # Errors
    /// If it broke.
    pub async fn say(&self, message: &FromAgent) -> Result<()> {
        match self {
            Self::Stream { say, .. } => say.send(compressed(encode_from_agent(message))).await.context("the stream broke"),
            Self::Pages(_) => Ok(()),
        }
    }

    /// Waits for what the server says next.
    ///
    /// # Errors
    /// If the stream ended, with the server's reason.
    pub async fn hear(&mut self) -> Result<ToAgent> {
        match self {
            Self::Stream { messages, .. } => Ok(decode_to_agent(messages.message().await?.context("the server closed the stream")?)?),
            Self::Pages(_) => std::future::pending().await,
        }
    }

    /// Sends a heartbeat; the answer comes as a message.
    ///
    /// # Errors
    /// If the stream broke.
    pub async fn beat(&self) -> Result<()> {
        self.say(&FromAgent::Heartbeat { clock: now(), nonce: 0 }).await
    }

    /// Gets the page.
    ///
    /// # Errors
    /// If it is not had.
    pub async fn page(channel: &mut Channel) -> Result<()> {
        let request = http::Request::get("https://127.0.0.1/page").body(Body::empty())?;
        std::future::poll_fn(|context| channel.poll_ready(context)).await?;
        let answer = channel.call(request).await?;
        if !answer.status().is_success() {
            bail!("the page was refused: {}", answer.status());
        }
        answer.into_body().collect().await?;
        Ok(())
    }
}

/// The wall clock, as agents tell it.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(i64::try_from(now_us() / 1000).unwrap_or(i64::MAX))
}

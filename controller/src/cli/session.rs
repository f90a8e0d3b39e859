//! One command's way to the controller: connects when first needed, and turns refusals into plain words.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use patchwave_common::runtime::retry::Retry;
use patchwave_proto::operator::v1::operator_service_client::OperatorServiceClient;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::arguments::GlobalOptions;
use super::connect::{self, Target};
use super::error::CliError;
use super::printer::Printer;
use super::status::{About, explain};

/// The client of the operator service.
pub type Client = OperatorServiceClient<Channel>;

/// Longest wait for one answer. Planning for a hundred thousand hosts takes seconds; a controller that says nothing for a minute is not
/// well, and the person should know.
const ANSWER_SECS: u64 = 60;
/// Bound on one message: `rollout show` of a hundred thousand hosts is about 20 MiB.
const MESSAGE_MAX_BYTES: usize = 256 * 1024 * 1024;

/// What a command works with.
pub struct Session<'a> {
    /// Options of every verb.
    pub global: GlobalOptions,
    /// Where output goes.
    pub printer: &'a mut Printer,
    connected: Option<(Client, Target)>,
}

impl<'a> Session<'a> {
    /// Not yet connected.
    #[must_use]
    pub fn new(global: GlobalOptions, printer: &'a mut Printer) -> Self {
        Self { global, printer, connected: None }
    }

    /// Over a channel that is there already: for tests of commands.
    #[must_use]
    pub fn over(channel: Channel, target: Target, global: GlobalOptions, printer: &'a mut Printer) -> Self {
        Self { global, printer, connected: Some((client_over(channel), target)) }
    }

    /// The client, and whom it talks to.
    pub async fn connected(&mut self) -> Result<(Client, Target), CliError> {
        if let Some(connected) = &self.connected {
            return Ok(connected.clone());
        }
        let (channel, target) = connect::open(&self.global, self.printer).await?;
        Ok(self.connected.insert((client_over(channel), target)).clone())
    }

    /// Asks one thing; `about` says what the request names, for the hint when it does not exist.
    pub async fn ask<R>(
        &mut self,
        about: About,
        call: impl AsyncFnOnce(&mut Client) -> Result<Response<R>, Status>,
    ) -> Result<R, CliError> {
        let (mut client, target) = self.connected().await?;
        match tokio::time::timeout(Duration::from_secs(ANSWER_SECS), call(&mut client)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(explain(&status, &target, about)),
            Err(_) => Err(explain(&Status::deadline_exceeded(format!("no answer within {ANSWER_SECS} s")), &target, about)),
        }
    }

    /// Asks for a list that arrives bit by bit.
    pub async fn stream<R: Send + 'static>(
        &mut self,
        about: About,
        call: impl AsyncFnOnce(&mut Client) -> Result<Response<Streaming<R>>, Status>,
    ) -> Result<BoxStream<'static, Result<R, CliError>>, CliError> {
        let items = self.ask(about, call).await?;
        let (_, target) = self.connected().await?;
        Ok(items.map(move |item| item.map_err(|status| explain(&status, &target, about))).boxed())
    }
}

/// Tries to find the controller again while something is followed: a restart takes a second, a move to another machine minutes. With
/// delays below 1, 2, 4 … 60 s this lasts some five minutes.
const RECONNECTS: u32 = 12;

/// After a connection that worked broke off: says so and waits before the next try, or gives the error back where trying again is
/// pointless or was tried often enough. Whoever follows calls [`Retry::reset`] when something arrives.
pub async fn before_next_try(retry: &mut Retry, error: CliError, printer: &mut Printer) -> Result<(), CliError> {
    match error {
        CliError::Unreachable { message, .. } if retry.failures() < RECONNECTS => {
            printer.talk(&format!("{message}; trying again"));
            tokio::time::sleep(retry.next_delay()).await;
            Ok(())
        }
        other => Err(other),
    }
}

fn client_over(channel: Channel) -> Client {
    OperatorServiceClient::new(channel).max_decoding_message_size(MESSAGE_MAX_BYTES)
}

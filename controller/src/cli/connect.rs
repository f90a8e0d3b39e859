//! From a context to an open connection.

use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::tls::ConnectError;
use tonic::transport::Channel;

use super::arguments::GlobalOptions;
use super::context::{Context, ContextError, Contexts};
use super::error::{CliError, Exit};
use super::printer::Printer;

/// What to check where the controller does not answer.
pub const CHECK_RUNNING: &str = "check that it runs there (`systemctl status patchwave`) and that its port is open from here; `patchwave context \
                                 show` tells where the address comes from";

/// Whom a command talks to, for its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The controller's address.
    pub controller: String,
    /// The operator whose certificate is used.
    pub operator: String,
}

/// Reads the context that the options name, or the current one; `--controller` replaces its address, never whom it trusts.
pub fn context(options: &GlobalOptions) -> Result<Context, CliError> {
    let mut context = Contexts::of_user()?.load(options.context.as_deref())?;
    if let Some(controller) = &options.controller {
        context.url.clone_from(controller);
    }
    Ok(context)
}

/// Opens the connection. A certificate that has expired, or does so soon, is told before anything is asked.
pub async fn open(options: &GlobalOptions, printer: &mut Printer) -> Result<(Channel, Target), CliError> {
    let context = context(options)?;
    let target = Target { controller: context.url.clone(), operator: context.operator()?.to_string() };
    check_expiry(&context, printer.now())?;
    if let Some(warning) = context.expiry_warning(printer.now()) {
        printer.talk(&format!("warning: {warning}"));
    }
    Ok((context.connect().await?, target))
}

/// An expired certificate is refused by the controller anyway; here the reason is known and the way out can be told.
fn check_expiry(context: &Context, now: Timestamp) -> Result<(), CliError> {
    let certificate = context.own_certificate()?;
    if !certificate.expired_at(now) {
        return Ok(());
    }
    Err(CliError::failed(
        format!("the certificate of {} expired at {}", certificate.identity, certificate.not_after),
        format!("{}; check this machine's clock too", recreate(&context.operator()?.to_string())),
    ))
}

/// How an operator gets a new certificate.
#[must_use]
pub fn recreate(operator: &str) -> String {
    format!(
        "an admin makes a new one: `patchwave operator create {operator} --role ROLE`; where no admin is left, on the controller's machine with \
         the controller stopped: `patchwave operator create {operator} --role admin --state-dir DIR`"
    )
}

impl From<ContextError> for CliError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Connect(error) => error.into(),
            // What was typed is wrong, rather than what is stored.
            ContextError::Unknown { .. } | ContextError::Name(_) => {
                Self::from_hinted(Exit::WrongUse, &error.to_string(), "`patchwave context list` shows the contexts there are")
            }
            other => Self::from_hinted(
                Exit::Failed,
                &other.to_string(),
                "`patchwave context list` shows the contexts there are; `patchwave init` on the controller makes the first one",
            ),
        }
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let text = error.to_string();
        let told = match &error {
            ConnectError::Url { .. } => Self::from_hinted(Exit::WrongUse, &text, "use https://NAME:PORT"),
            _ => Self::from_hinted(Exit::Failed, &text, CHECK_RUNNING),
        };
        match told {
            // Nobody listening, or silence: what to check is the controller, not only the network.
            Self::Told { message, .. } if error.is_transient() => Self::Unreachable { message, hint: CHECK_RUNNING.to_owned() },
            other => other,
        }
    }
}

/// Of a verb that works on this machine: its error carries its own hint where it knows one.
#[must_use]
pub fn local_failure(error: &anyhow::Error) -> CliError {
    CliError::from_hinted(Exit::Failed, &format!("{error:#}"), "see the verb's --help; with --log debug it tells more")
}

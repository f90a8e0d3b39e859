//! Refusals of the controller in plain words, each with the way out.

use std::error::Error as _;

use patchwave_common::domain::clean_text;
use patchwave_common::runtime::tls::{connect_error_in, refusal_hint};
use tonic::{Code, Status};

use super::connect::{CHECK_RUNNING, Target, recreate};
use super::error::{CliError, Exit, split_hint};

/// Bound on a message of the controller that is shown.
const MESSAGE_MAX_CHARS: usize = 2_000;

/// What a request names; decides the hint when it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The fleet as a whole.
    Fleet,
    /// An operator.
    Operator,
    /// A join token.
    Token,
    /// A host.
    Host,
    /// A package.
    Package,
    /// A policy.
    Policy,
    /// A rollout.
    Rollout,
    /// An entry of the quarantine.
    Quarantine,
    /// A feed.
    Feed,
    /// A finding.
    Finding,
}

impl About {
    /// The command that lists what there is.
    fn list(self) -> &'static str {
        match self {
            Self::Fleet => "patchwave host list",
            Self::Operator => "patchwave operator list",
            Self::Token => "patchwave token list",
            Self::Host => "patchwave host list",
            Self::Package => "patchwave package list",
            Self::Policy => "patchwave policy list",
            Self::Rollout => "patchwave rollout list",
            Self::Quarantine => "patchwave quarantine list",
            Self::Feed => "patchwave feed list",
            Self::Finding => "patchwave finding list",
        }
    }
}

/// What to tell of a refusal. The controller's own hint wins where it gives one.
#[must_use]
pub fn explain(status: &Status, target: &Target, about: About) -> CliError {
    let text = clean_text(status.message(), MESSAGE_MAX_CHARS);
    let (said, own_hint) = split_hint(&text).map_or((text.as_str(), None), |(said, hint)| (said, Some(hint)));
    let said = if said.is_empty() { "the controller gives no reason" } else { said };
    let controller = &target.controller;
    // A connection that breaks under a call shows as `Unknown` or `Cancelled` too.
    if status.code() == Code::Unavailable || status.source().is_some() {
        return unavailable(status, said, own_hint, controller);
    }
    let (exit, message, hint) = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => {
            (Exit::WrongUse, said.to_owned(), "see the verb's --help for the allowed forms".to_owned())
        }
        Code::NotFound => (Exit::Failed, said.to_owned(), format!("`{}` shows what there is", about.list())),
        Code::AlreadyExists => (Exit::Failed, said.to_owned(), format!("`{}` shows what there is", about.list())),
        Code::FailedPrecondition => (Exit::Failed, said.to_owned(), precondition_hint(about)),
        Code::Aborted => (
            Exit::Failed,
            format!("somebody else changed it at the same time: {said}"),
            "look at it again and repeat the command".to_owned(),
        ),
        Code::Unauthenticated => (
            Exit::Failed,
            format!("{controller} does not accept the certificate of operator {}: {said}", target.operator),
            format!("`patchwave context show` tells its expiry; {}", recreate(&target.operator)),
        ),
        // What the controller says names the role that is needed.
        Code::PermissionDenied => (
            Exit::Failed,
            format!("operator {} may not do this: {said}", target.operator),
            "use a context with that role (--context), or ask an admin; `patchwave operator list` shows who has which".to_owned(),
        ),
        Code::DeadlineExceeded | Code::Cancelled => (
            Exit::Failed,
            format!("{controller} did not answer in time: {said}"),
            "it may still do what was asked: look before you repeat; its load shows in its log and metrics".to_owned(),
        ),
        Code::ResourceExhausted => (
            Exit::Failed,
            format!("the controller is at a limit: {said}"),
            "wait a little, or ask for less at once (a selector)".to_owned(),
        ),
        Code::Unimplemented => (
            Exit::Failed,
            format!("the controller at {controller} does not know this request: {said}"),
            format!("it is of another version than this command line ({}); update the older one", env!("CARGO_PKG_VERSION")),
        ),
        _ => (
            Exit::Failed,
            format!("the controller at {controller} failed: {said}"),
            "its log says more (`journalctl -u patchwave`)".to_owned(),
        ),
    };
    CliError::Told { exit, message, hint: own_hint.map_or(hint, str::to_owned) }
}

fn precondition_hint(about: About) -> String {
    match about {
        About::Rollout => "`patchwave rollout show ROLLOUT` tells its state".to_owned(),
        other => format!("`{}` shows the present state", other.list()),
    }
}

/// The connection failed, or broke off. tonic says no more than "transport error": what a person can act on is further down its sources.
fn unavailable(status: &Status, said: &str, own_hint: Option<&str>, controller: &str) -> CliError {
    if let Some(error) = connect_error_in(status) {
        return error.clone().into();
    }
    if let Some(refusal) = refusal_hint(status) {
        return CliError::from_hinted(Exit::Failed, refusal, CHECK_RUNNING);
    }
    let mut innermost = None;
    let mut cause = status.source();
    // No real chain is this long; a cyclic one would otherwise never end.
    for _ in 0..32 {
        let Some(error) = cause else { break };
        innermost = Some(clean_text(&error.to_string(), MESSAGE_MAX_CHARS));
        cause = error.source();
    }
    CliError::Unreachable {
        message: format!("cannot reach the controller at {controller}: {}", innermost.as_deref().unwrap_or(said)),
        hint: own_hint.unwrap_or(CHECK_RUNNING).to_owned(),
    }
}

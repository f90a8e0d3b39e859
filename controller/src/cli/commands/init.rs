//! `patchwave init`: makes a new fleet on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use patchwave_common::domain::{OperatorName, clean_text};
use serde::Serialize;

use super::operator::free_name;
use crate::cli::connect::local_failure;
use crate::cli::context::{Context, Contexts};
use crate::cli::output::{self, Card};
use crate::cli::values::StoreKind;
use crate::cli::{CliError, Session};
use crate::setup::{self, InitRequest, Initialised};

const EXAMPLES: &str = "\
Makes the authority, the controller's certificate, an empty store, and a context for the first operator, who is an admin. Run it as the \
user that the controller will run as; the context is written below that user's configuration directory.

Examples:
  patchwave init --state-dir ./state --trust-domain lab --name localhost --operator anna
  patchwave init --state-dir /var/lib/patchwave/controller --trust-domain fleet.example \\
      --name patchwave.example --name 192.0.2.7 --operator anna";

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArguments {
    /// Where the controller keeps everything; made now
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Names the fleet in every certificate; cannot be changed later
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: String,
    /// DNS name or address under which hosts reach the controller; may be repeated, the first goes into the context
    #[arg(long = "name", value_name = "DNS-OR-IP", required = true)]
    pub names: Vec<String>,
    /// Address and port on which it will listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// The first operator
    #[arg(long, value_name = "NAME", value_parser = |text: &str| OperatorName::parse(text))]
    pub operator: OperatorName,
    /// Which store to keep
    #[arg(long, value_enum, default_value_t)]
    pub store: StoreKind,
}

/// What was made. The field names are the JSON names.
#[derive(Debug, Serialize)]
struct Made {
    state_dir: PathBuf,
    trust_domain: String,
    controller: String,
    authority_fingerprint: String,
    operator: String,
    context: String,
    context_file: PathBuf,
    context_current: bool,
}

pub(super) async fn run(arguments: InitArguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let InitArguments { state_dir, trust_domain, names, listen, operator, store } = arguments;
    // Before anything is made: the only copy of the operator's key will go there.
    let contexts = Contexts::of_user()?;
    let context_name = match &session.global.context {
        Some(name) => name.clone(),
        None => free_name(&contexts, &clean_text(&trust_domain, 60))?,
    };
    let request = InitRequest { state_dir, trust_domain, names, listen, operator, store: store.as_str().to_owned() };
    let now = session.printer.now();
    let (request, initialised) = tokio::task::spawn_blocking(move || {
        let initialised = setup::init(&request, now);
        (request, initialised)
    })
    .await
    .map_err(|error| local_failure(&error.into()))?;
    let initialised = initialised.map_err(|error| local_failure(&error))?;
    let made = keep_context(&contexts, &context_name, &request, &initialised)?;
    output::one(session.printer, &made, |printer, made| {
        Card::new()
            .field("state directory", made.state_dir.display().to_string())
            .field("trust domain", &made.trust_domain)
            .field("controller", &made.controller)
            .field("authority", &made.authority_fingerprint)
            .field("operator", &made.operator)
            .field("context", format!("{} ({})", made.context, made.context_file.display()))
            .print(printer)
    })?;
    session.printer.flush()?;
    if !made.context_current {
        session.printer.talk(&format!("Another context stays the current one; to change that: `patchwave context use {}`", made.context));
    }
    session.printer.next(&format!("`patchwave serve --state-dir {}`, then `patchwave token create`", made.state_dir.display()));
    Ok(())
}

fn keep_context(contexts: &Contexts, name: &str, request: &InitRequest, initialised: &Initialised) -> Result<Made, CliError> {
    let context = Context {
        url: initialised.url.clone(),
        authority: initialised.authority_pem.clone(),
        certificate: initialised.operator_chain_pem.clone(),
        key: initialised.operator_key_pem.clone(),
    };
    let context_file = contexts.save(name, &context).map_err(|error| {
        CliError::failed(
            format!("{} was made, but the operator's context could not be kept: {error}", request.state_dir.display()),
            "the operator's key is lost with it: remove that directory and run `patchwave init` again",
        )
    })?;
    // A context that somebody works with is not changed under their hands.
    let context_current = contexts.selected()?.is_none_or(|current| current == name);
    if context_current {
        contexts.select(name)?;
    }
    Ok(Made {
        state_dir: request.state_dir.clone(),
        trust_domain: request.trust_domain.clone(),
        controller: initialised.url.clone(),
        authority_fingerprint: initialised.fingerprint.to_string(),
        operator: request.operator.to_string(),
        context: name.to_owned(),
        context_file,
        context_current,
    })
}

//! `patchwave operator`: people and programs that may use this command line.

use std::path::PathBuf;

use clap::Subcommand;
use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_common::runtime::tls::KeyRequest;
use patchwave_proto::operator::v1::{CreateOperatorRequest, ListOperatorsRequest, Operator, RevokeOperatorRequest};
use serde::Serialize;

use crate::cli::connect::{self, local_failure};
use crate::cli::context::{Context, Contexts};
use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, relative};
use crate::cli::values::Role;
use crate::cli::{CliError, Session};
use crate::records::OperatorRole;
use crate::setup;

const CREATE_EXAMPLES: &str = "\
The private key is made here and never leaves this machine unless you carry it: the new context is one file beside your own. Move it to \
the operator's machine.

Examples:
  patchwave operator create ben --role approver
  patchwave operator create ci --role operator
  patchwave operator create anna --role admin      again, when her certificate has expired, is about to, or was revoked
  patchwave operator create anna --role admin --state-dir /var/lib/patchwave/controller
                                                   on the controller's machine, as its user, with the controller stopped";
const LIST_EXAMPLES: &str = "\
Examples:
  patchwave operator list
  patchwave operator list -o json";
const REVOKE_EXAMPLES: &str = "\
Takes effect within five seconds, on open connections too.

Examples:
  patchwave operator revoke ben";

/// Verbs of `operator`.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make an operator, or renew one, with a certificate and a context
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// The name, as it will stand in the certificate and in the audit log
        #[arg(value_parser = |text: &str| OperatorName::parse(text))]
        name: OperatorName,
        /// What the operator may do
        #[arg(long, value_enum)]
        role: Role,
        /// Without a certificate, on the controller's machine, while the controller is stopped: its state directory. Earlier certificates of the
        /// name are revoked
        #[arg(long, value_name = "DIR")]
        state_dir: Option<PathBuf>,
    },
    /// List operators
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Refuse an operator from now on
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke {
        /// The operator
        #[arg(value_parser = |text: &str| OperatorName::parse(text))]
        name: OperatorName,
    },
}

pub(super) async fn run(command: OperatorCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        OperatorCommand::Create { name, role, state_dir: None } => create(session, &name, role).await,
        OperatorCommand::Create { name, role, state_dir: Some(state_dir) } => create_locally(session, name, role, state_dir).await,
        OperatorCommand::List => {
            let list = session.ask(About::Operator, async |client| client.list_operators(ListOperatorsRequest {}).await).await?;
            output::list(session.printer, &list.operators)
        }
        OperatorCommand::Revoke { name } => {
            let request = RevokeOperatorRequest { name: name.into() };
            let operator = session.ask(About::Operator, async |client| client.revoke_operator(request).await).await?;
            output::act(session.printer, &operator, |operator| {
                format!("Operator {} is refused from now on, on open connections within five seconds.", operator.name)
            })
        }
    }
}

async fn create(session: &mut Session<'_>, name: &OperatorName, role: Role) -> Result<(), CliError> {
    let own = connect::context(&session.global)?;
    let contexts = Contexts::of_user()?;
    let context_name = free_name(&contexts, name.as_str())?;
    let request = KeyRequest::new().map_err(|error| CliError::failed(error.to_string(), "try again; if it persists, see `--log debug`"))?;
    let ask = CreateOperatorRequest { name: name.to_string(), role: role.as_str().to_owned(), certificate_request: request.request_der };
    let created = session.ask(About::Operator, async |client| client.create_operator(ask).await).await?;
    let context = Context { url: own.url, authority: own.authority, certificate: created.certificate_chain.clone(), key: request.key_pem };
    let path = contexts.save(&context_name, &context)?;
    output::act(session.printer, &created, |_| format!("Operator {name} has the role {}.", role.as_str()))?;
    session.printer.talk(&format!(
        "The new context is {} and holds the private key.\nNext: move that file to {name}'s machine, as ~/.config/patchwave/contexts/{context_name} with \
         mode 600; there: `patchwave context use {context_name}`. Or use it here: `patchwave --context {context_name} host list`",
        path.display()
    ));
    Ok(())
}

/// What was made without a controller. The field names are the JSON names.
#[derive(Debug, Serialize)]
struct MadeLocally {
    operator: String,
    role: String,
    controller: String,
    context: String,
    context_file: PathBuf,
    context_current: bool,
}

async fn create_locally(session: &mut Session<'_>, name: OperatorName, role: Role, state_dir: PathBuf) -> Result<(), CliError> {
    // Before anything is made: the only copy of the operator's key will go there.
    let contexts = Contexts::of_user()?;
    let context_name = match &session.global.context {
        Some(name) => name.clone(),
        None => free_name(&contexts, name.as_str())?,
    };
    let now = session.printer.now();
    let wanted = OperatorRole::parse(role.as_str()).map_err(|error| CliError::wrong_use(error.to_string(), "see --help"))?;
    let (asked, directory) = (name.clone(), state_dir.clone());
    let made = tokio::task::spawn_blocking(move || setup::make_operator(&directory, &asked, wanted, now)).await;
    let made = made.map_err(|error| local_failure(&error.into()))?.map_err(|error| local_failure(&error))?;
    let context = Context { url: made.url, authority: made.authority_pem, certificate: made.chain_pem, key: made.key_pem };
    let context_file = contexts.save(&context_name, &context)?;
    // A context that somebody works with is not changed under their hands; one that opens nothing any more is no such.
    let context_current = !opens_something(&contexts, &name, now);
    if context_current {
        contexts.select(&context_name)?;
    }
    let made_locally = MadeLocally {
        operator: name.to_string(),
        role: role.as_str().to_owned(),
        controller: context.url,
        context: context_name,
        context_file,
        context_current,
    };
    let again = made.again;
    output::act(session.printer, &made_locally, |made| {
        let revoked = if again { " Earlier certificates of that name are revoked." } else { "" };
        format!("Operator {} has the role {}; the context is {}.{revoked}", made.operator, made.role, made.context_file.display())
    })?;
    session.printer.flush()?;
    if !made_locally.context_current {
        let name = &made_locally.context;
        session.printer.talk(&format!("Another context stays the current one; to change that: `patchwave context use {name}`"));
    }
    session.printer.next("start the controller again, then `patchwave operator list`");
    Ok(())
}

/// Whether the current context is good after an operator was made anew.
fn opens_something(contexts: &Contexts, made: &OperatorName, now: Timestamp) -> bool {
    let Ok(current) = contexts.load(None) else { return false };
    let good = current.own_certificate().is_ok_and(|certificate| !certificate.expired_at(now));
    good && current.operator().is_ok_and(|operator| operator != *made)
}

/// A context name like the one that is wanted, never one that is there: that may be somebody's only way to another fleet.
pub(super) fn free_name(contexts: &Contexts, wanted: &str) -> Result<String, CliError> {
    let taken = contexts.list()?;
    let candidates = std::iter::once(wanted.to_owned()).chain((2..100).map(|number| format!("{wanted}-{number}")));
    let mut candidates = candidates;
    candidates
        .find(|name| !taken.contains(name))
        .ok_or_else(|| CliError::failed(format!("there are too many contexts named {wanted}"), "remove old ones: `patchwave context list`"))
}

impl Tabular for Operator {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("ROLE"),
        Column::new("STATE"),
        Column::new("CERTIFICATE").expendable(1),
        Column::new("CREATED").expendable(2),
        Column::new("BY").expendable(3),
    ];
    const EMPTY: &'static str = "No operators.";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        let expiry = if self.certificate_expires_at.is_empty() {
            String::new()
        } else {
            format!("expires {}", relative(&self.certificate_expires_at, now))
        };
        vec![
            Cell::from(&self.name),
            Cell::from(&self.role),
            Cell::state(if self.revoked { "revoked" } else { "active" }),
            Cell::from(expiry),
            Cell::toned(relative(&self.created_at, now), Tone::Dim),
            Cell::from(&self.created_by),
        ]
    }
}

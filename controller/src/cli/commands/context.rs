//! `patchwave context`: which controller this command line talks to, and as whom.

use clap::Subcommand;
use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::tls::{certificates_from_pem, fingerprint};
use serde::Serialize;

use crate::cli::context::{Context, Contexts};
use crate::cli::output::{self, Card, Tabular};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, relative};
use crate::cli::{CliError, Session};

/// Verbs of `context`.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List contexts; the current one is marked
    #[command(after_help = "Examples:\n  patchwave context list\n  patchwave context list -o json")]
    List,
    /// Make a context the current one
    #[command(after_help = "Examples:\n  patchwave context use production")]
    Use {
        /// The context
        name: String,
    },
    /// Show a context: controller, operator, when the certificate expires
    #[command(after_help = "Examples:\n  patchwave context show\n  patchwave context show staging -o json")]
    Show {
        /// The context; without it the current one
        name: Option<String>,
    },
}

/// A context as it is shown: never its key. The field names are the JSON names.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    current: bool,
    controller: String,
    operator: String,
    trust_domain: String,
    authority_fingerprint: String,
    certificate_expires_at: String,
    /// Why it cannot be used; empty where it can.
    problem: String,
    #[serde(skip)]
    expired: bool,
}

pub(super) fn run(command: ContextCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    let contexts = Contexts::of_user()?;
    // What `--context` names is current for this command.
    let current = match &session.global.context {
        Some(name) => Some(name.clone()),
        None => contexts.selected()?,
    };
    let now = session.printer.now();
    match command {
        ContextCommand::List => {
            let names = contexts.list()?;
            let shown: Vec<Shown> = names.iter().map(|name| show(&contexts, name, current.as_deref(), now)).collect();
            output::list(session.printer, &shown)
        }
        ContextCommand::Use { name } => {
            contexts.select(&name)?;
            let shown = show(&contexts, &name, Some(&name), now);
            output::act(session.printer, &shown, |shown| format!("Commands talk to {} as {} now.", shown.controller, shown.operator))
        }
        ContextCommand::Show { name } => {
            let named = name.or_else(|| current.clone());
            // Loaded for its error: which contexts there are, or how to get one.
            contexts.load(named.as_deref())?;
            let shown = show(&contexts, named.as_deref().unwrap_or_default(), current.as_deref(), now);
            output::one(session.printer, &shown, |printer, shown| {
                Card::new()
                    .field("context", &shown.name)
                    .field("current", if shown.current { "yes" } else { "no" })
                    .field("controller", &shown.controller)
                    .field("operator", &shown.operator)
                    .field("trust domain", &shown.trust_domain)
                    .field("authority", &shown.authority_fingerprint)
                    .toned("certificate", shown.expiry(now), if shown.expired { Tone::Bad } else { Tone::Plain })
                    .toned("problem", &shown.problem, Tone::Bad)
                    .print(printer)
            })
        }
    }
}

fn show(contexts: &Contexts, name: &str, current: Option<&str>, now: Timestamp) -> Shown {
    let mut shown = Shown {
        name: name.to_owned(),
        current: current == Some(name),
        controller: String::new(),
        operator: String::new(),
        trust_domain: String::new(),
        authority_fingerprint: String::new(),
        certificate_expires_at: String::new(),
        problem: String::new(),
        expired: false,
    };
    // One that cannot be used does not keep the others from being shown.
    match contexts.load(Some(name)).and_then(|context| fill(&mut shown, &context, now)) {
        Ok(()) => {}
        Err(error) => shown.problem = error.to_string(),
    }
    shown
}

fn fill(shown: &mut Shown, context: &Context, now: Timestamp) -> Result<(), crate::cli::context::ContextError> {
    shown.controller.clone_from(&context.url);
    let certificate = context.own_certificate()?;
    shown.operator = context.operator()?.to_string();
    shown.trust_domain = certificate.trust_domain.to_string();
    shown.certificate_expires_at = certificate.not_after.to_string();
    shown.expired = certificate.expired_at(now);
    let authority = certificates_from_pem(context.authority.as_bytes())?;
    shown.authority_fingerprint = authority.first().map(|authority| fingerprint(authority).to_string()).unwrap_or_default();
    Ok(())
}

impl Shown {
    fn expiry(&self, now: Timestamp) -> String {
        let word = if self.expired { "expired" } else { "expires" };
        if self.certificate_expires_at.is_empty() {
            String::new()
        } else {
            format!("{word} {} ({})", relative(&self.certificate_expires_at, now), self.certificate_expires_at)
        }
    }
}

impl Tabular for Shown {
    const COLUMNS: &'static [Column] = &[
        Column::new("CURRENT"),
        Column::new("NAME"),
        Column::new("CONTROLLER"),
        Column::new("OPERATOR"),
        Column::new("TRUST DOMAIN").expendable(2),
        Column::new("CERTIFICATE").expendable(1),
        Column::new("PROBLEM").wraps().expendable(3),
    ];
    const EMPTY: &'static str =
        "No contexts yet. `patchwave init` on the controller makes the first; an admin makes others with `patchwave operator create`.";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        let word = if self.expired { "expired" } else { "expires" };
        let expiry = if self.certificate_expires_at.is_empty() {
            String::new()
        } else {
            format!("{word} {}", relative(&self.certificate_expires_at, now))
        };
        vec![
            Cell::toned(if self.current { "*" } else { "" }, Tone::Good),
            Cell::from(&self.name),
            Cell::from(&self.controller),
            Cell::from(&self.operator),
            Cell::from(&self.trust_domain),
            Cell::toned(expiry, if self.expired { Tone::Bad } else { Tone::Plain }),
            Cell::toned(&self.problem, Tone::Bad),
        ]
    }
}

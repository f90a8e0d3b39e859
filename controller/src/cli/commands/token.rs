//! `patchwave token`: join tokens, with which hosts enrol.

use std::time::Duration;

use clap::Subcommand;
use patchwave_common::domain::{Timestamp, TokenId};
use patchwave_proto::operator::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token, TokenCreated};

use crate::cli::connect::Target;
use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, count, one_line, relative};
use crate::cli::values::Mode;
use crate::cli::{CliError, Printer, Session, values};

const CREATE_EXAMPLES: &str = "\
The token goes to standard output, once; the controller keeps only its hash. How to enrol a host with it goes to standard error.

Examples:
  patchwave token create --mode managed --label ring=test --ttl 1h --uses 50
  patchwave token create --mode report-only --ttl 7d > join-token
  patchwave token create --mode managed --label ring=broad --label site=ams -o json";
const LIST_EXAMPLES: &str = "\
Examples:
  patchwave token list
  patchwave token list -o json | jq -r '.[] | select(.state == \"usable\") | .id'";

/// Verbs of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a join token
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// What hosts agree to when they enrol with it
        #[arg(long, value_enum)]
        mode: Mode,
        /// Label that its hosts get; may be repeated
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = values::label)]
        labels: Vec<String>,
        /// How long it can be used
        #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "1h")]
        ttl: Duration,
        /// How many hosts can enrol with it
        #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
    },
    /// List join tokens; never their secrets
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Make a join token unusable; hosts that enrolled with it stay
    #[command(after_help = "Examples:\n  patchwave token revoke t-9m2k")]
    Revoke {
        /// The token, as `token list` shows it
        #[arg(value_parser = |text: &str| TokenId::parse(text))]
        id: TokenId,
    },
}

pub(super) async fn run(command: TokenCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { mode, labels, ttl, uses } => {
            if let Err(key) = values::distinct_keys(&labels) {
                return Err(CliError::wrong_use(format!("the label \"{key}\" is given twice"), "give each label once"));
            }
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            let request = CreateTokenRequest { mode: mode.as_str().to_owned(), labels, ttl_ms, uses };
            let created = session.ask(About::Token, async |client| client.create_token(request).await).await?;
            let (_, target) = session.connected().await?;
            output::one(session.printer, &created, |printer, created| Ok(printer.line(&one_line(&created.secret))?))?;
            explain(session.printer, &created, &target);
            Ok(())
        }
        TokenCommand::List => {
            let list = session.ask(About::Token, async |client| client.list_tokens(ListTokensRequest {}).await).await?;
            output::list(session.printer, &list.tokens)
        }
        TokenCommand::Revoke { id } => {
            let request = RevokeTokenRequest { id: id.into() };
            let token = session.ask(About::Token, async |client| client.revoke_token(request).await).await?;
            output::act(session.printer, &token, |token| {
                format!("Token {} cannot be used any more; hosts that enrolled with it stay.", token.id)
            })
        }
    }
}

/// How to use the token. The secret stands in no command: an argument is readable by every process of the machine.
fn explain(printer: &mut Printer, created: &TokenCreated, target: &Target) {
    if let Some(token) = &created.token {
        printer.talk(&format!(
            "Token {} enrols {} as {}, until {}. It is shown only now.",
            one_line(&token.id),
            count(token.uses, "host"),
            one_line(&token.mode),
            one_line(&token.expires_at)
        ));
    }
    printer.talk(&format!(
        "On each host, with the token in the file join-token (or typed in, with --token-file -):\n\n  patchwave-agent enroll --controller {} \
         --fingerprint {} --token-file join-token\n",
        one_line(&target.controller),
        one_line(&created.authority_fingerprint)
    ));
}

impl Tabular for Token {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("STATE"),
        Column::new("MODE"),
        Column::new("LABELS").wraps(),
        Column::new("LEFT").right(),
        Column::new("OF").right().expendable(2),
        Column::new("EXPIRES").expendable(1),
        Column::new("BY").expendable(3),
    ];
    const EMPTY: &'static str = "No join tokens. Make one: patchwave token create --mode managed --label ring=test --ttl 1h --uses 50";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.id),
            Cell::state(&self.state),
            Cell::from(&self.mode),
            Cell::from(super::host::labels(&self.labels)),
            Cell::count(self.uses_left),
            Cell::toned(self.uses.to_string(), Tone::Dim),
            Cell::toned(relative(&self.expires_at, now), Tone::Dim),
            Cell::from(&self.created_by),
        ]
    }
}

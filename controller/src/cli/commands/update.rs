//! `patchwave update`: what could be upgraded, from → to, on how many hosts, from which origin.

use clap::Subcommand;
use patchwave_common::domain::{Selector, Timestamp};
use patchwave_proto::operator::v1::{ListUpdatesRequest, Update};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::Tone;
use crate::cli::{CliError, Session, values};

const LIST_EXAMPLES: &str = "\
Examples:
  patchwave update list
  patchwave update list ring=test,os=debian
  patchwave update list -o json | jq -r '.[] | select(.kind == \"security\") | .name'";

/// Verbs of `update`.
#[derive(Debug, Subcommand)]
pub enum UpdateCommand {
    /// List what could be upgraded
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only on these hosts, e.g. ring=test,os=debian
        #[arg(value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        selector: Selector,
    },
}

pub(super) async fn run(command: UpdateCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    let UpdateCommand::List { selector } = command;
    let request = ListUpdatesRequest { selector: selector.into() };
    let updates = session.stream(About::Package, async |client| client.list_updates(request).await).await?;
    output::stream(session.printer, updates).await
}

impl Tabular for Update {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("ARCH").expendable(3),
        Column::new("FROM"),
        Column::new("TO"),
        Column::new("KIND"),
        Column::new("ORIGIN").wraps().expendable(1),
        Column::new("SOURCE").expendable(4),
        Column::new("HOSTS").right(),
        Column::new("BLOCKED").right().expendable(2),
        Column::new("NOTE").expendable(5),
    ];
    const EMPTY: &'static str = "Nothing can be upgraded on these hosts, as far as they have reported.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            Cell::from(&self.architecture),
            Cell::from(&self.from_version),
            Cell::from(&self.to_version),
            Cell::toned(&self.kind, if self.kind == "security" { Tone::Warn } else { Tone::Plain }),
            Cell::from(&self.origin),
            Cell::from(&self.source),
            Cell::count(self.hosts),
            Cell::harm(self.blocked_hosts),
            Cell::toned(if self.quarantined { "quarantined" } else { "" }, Tone::Bad),
        ]
    }
}

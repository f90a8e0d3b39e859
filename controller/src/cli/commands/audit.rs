//! `patchwave audit`: who asked the controller for what.

use clap::Subcommand;
use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::{AuditEntry, ListAuditRequest};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::Tone;
use crate::cli::{CliError, Session};

const LIST_EXAMPLES: &str = "\
Examples:
  patchwave audit list                      the newest 100 entries
  patchwave audit list --after 0 --limit 0  everything, from the beginning
  patchwave audit list -o json              with the hash that chains each entry to the one before";

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List what operators asked for, oldest first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only entries after this number
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// At most so many; 0 for all
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u32,
    },
}

pub(super) async fn run(command: AuditCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    let AuditCommand::List { after, limit } = command;
    let request = ListAuditRequest { after: after.unwrap_or(0), limit };
    let entries = session.stream(About::Fleet, async |client| client.list_audit(request).await).await?;
    output::stream(session.printer, entries).await
}

impl Tabular for AuditEntry {
    const COLUMNS: &'static [Column] = &[
        Column::new("NUMBER").right().expendable(2),
        Column::new("AT").expendable(1),
        Column::new("WHO"),
        Column::new("METHOD"),
        Column::new("ABOUT").wraps(),
        Column::new("OUTCOME"),
    ];
    const EMPTY: &'static str = "No entries after that number.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        let tone = if self.outcome == "done" { Tone::Good } else { Tone::Warn };
        vec![
            Cell::toned(self.number.to_string(), Tone::Dim),
            Cell::toned(&self.at, Tone::Dim),
            Cell::from(&self.who),
            Cell::from(&self.method),
            Cell::from(&self.about),
            Cell::toned(&self.outcome, tone),
        ]
    }
}

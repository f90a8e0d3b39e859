//! `patchwave audit`: who asked the controller for what.

use clap::Subcommand;
use futures::TryStreamExt as _;
use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::{AuditEntry, ListAuditRequest};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::Tone;
use crate::cli::{CliError, Session};

const LIST_EXAMPLES: &str = "\
Examples:
  patchwave audit list                 the newest 100 entries
  patchwave audit list --after 4000
  patchwave audit list --all -o json   with the hash that chains each entry to the one before";

/// A shorter answer is the last one: the controller's bound on one answer is never less.
const FULL_PAGE: usize = 100;

/// Verbs of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List what operators asked for, oldest first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only entries after this number
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// All of them
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
}

pub(super) async fn run(command: AuditCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    let AuditCommand::List { after, limit, all } = command;
    let mut request = ListAuditRequest { after: after.unwrap_or(0), limit: if all { u32::MAX } else { limit } };
    let mut entries: Vec<AuditEntry> = Vec::new();
    // The controller bounds one answer; the next one goes on where it ended.
    while request.limit > 0 {
        let page = session.stream(About::Fleet, async |client| client.list_audit(request).await).await?;
        let page: Vec<AuditEntry> = page.try_collect().await?;
        let Some(last) = page.last() else { break };
        // Each of these requests is an entry itself: waiting for an empty page would never end.
        let is_last = page.len() < FULL_PAGE;
        request =
            ListAuditRequest { after: last.number, limit: request.limit.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX)) };
        entries.extend(page);
        if is_last {
            break;
        }
    }
    output::list(session.printer, &entries)
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

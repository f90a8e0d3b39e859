//! `patchwave quarantine`: versions that are not rolled out any more because they did harm.

use clap::Subcommand;
use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::{LiftQuarantineRequest, ListQuarantineRequest, QuarantineEntry};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, relative};
use crate::cli::{CliError, Session, values};

const LIST_EXAMPLES: &str = "\
Examples:
  patchwave quarantine list
  patchwave quarantine list --all      also those that were lifted, by whom and why";
const LIFT_EXAMPLES: &str = "\
Lifting lets every later plan use the version again; it restarts nothing by itself.

Examples:
  patchwave quarantine lift q-3f9a --reason 'the check was wrong, see ticket 4711'";

/// Verbs of `quarantine`.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List quarantined versions
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Also those that were lifted
        #[arg(long)]
        all: bool,
    },
    /// Allow a version again
    #[command(after_help = LIFT_EXAMPLES)]
    Lift {
        /// The entry, as `quarantine list` shows it
        id: String,
        /// Why it may be used again; kept with the entry
        #[arg(long, value_parser = values::reason)]
        reason: String,
    },
}

pub(super) async fn run(command: QuarantineCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        QuarantineCommand::List { all } => {
            let request = ListQuarantineRequest { all };
            let list = session.ask(About::Quarantine, async |client| client.list_quarantine(request).await).await?;
            output::list(session.printer, &list.entries)
        }
        QuarantineCommand::Lift { id, reason } => {
            let request = LiftQuarantineRequest { id, reason };
            let entry = session.ask(About::Quarantine, async |client| client.lift_quarantine(request).await).await?;
            output::act(session.printer, &entry, |entry| {
                format!("{} {} may be rolled out again; plans made from now on use it.", entry.source, entry.version)
            })
        }
    }
}

impl Tabular for QuarantineEntry {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("SOURCE"),
        Column::new("VERSION"),
        Column::new("ARCH").expendable(4),
        Column::new("ORIGIN").wraps().expendable(5),
        Column::new("ROLLOUT").expendable(2),
        Column::new("SINCE").expendable(1),
        Column::new("REASON").wraps(),
        Column::new("LIFTED").wraps().expendable(3),
    ];
    const EMPTY: &'static str = "Nothing is quarantined.";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        let lifted = match (self.lifted_at.is_empty(), self.lifted_reason.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("{} by {}", relative(&self.lifted_at, now), self.lifted_by),
            (false, false) => format!("{} by {}: {}", relative(&self.lifted_at, now), self.lifted_by, self.lifted_reason),
        };
        let tone = if self.lifted_at.is_empty() { Tone::Bad } else { Tone::Dim };
        vec![
            Cell::from(&self.id),
            Cell::toned(&self.source, tone),
            Cell::toned(&self.version, tone),
            Cell::from(&self.architecture),
            Cell::from(&self.origin),
            Cell::from(&self.rollout),
            Cell::toned(relative(&self.since, now), Tone::Dim),
            Cell::from(&self.reason),
            Cell::from(lifted),
        ]
    }
}

//! `patchwave context`: which controller this command line talks to, and as whom.

use clap::Subcommand;

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

pub(super) fn run(command: ContextCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    let _ = (command, session);
    Err(CliError::failed("there is no context yet", "run `patchwave init` on the controller's machine, which makes the first one"))
}

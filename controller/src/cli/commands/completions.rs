//! `patchwave completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{Cli, CliError, Printer};

const EXAMPLES: &str = "\
Examples:
  patchwave completions bash > /etc/bash_completion.d/patchwave
  patchwave completions zsh > \"${fpath[1]}/_patchwave\"
  patchwave completions fish > ~/.config/fish/completions/patchwave.fish";

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments, printer: &mut Printer) -> Result<(), CliError> {
    // Into memory first: the generator panics where it cannot write, and a closed pipe is no reason to.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "patchwave", &mut script);
    Ok(printer.writer().write_all(&script)?)
}

//! The command line, which is the whole program.
//!
//! One file per command. Data goes to standard output, talk to standard error. Exit status: 0 done, 1 what was asked for failed,
//! 2 wrong use.

mod error;
mod hold;
mod output;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::{Overrides, Settings};
pub use error::CliError;
use output::{Format, Output};

/// Keeps a host patched under the orders of a Patchwave controller.
#[derive(Debug, Parser)]
#[command(name = "patchwave-agent", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// Configuration file [default: /etc/patchwave/agent.toml, where present]
    #[arg(long, global = true, env = "PATCHWAVE_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// State directory, over what the configuration says
    #[arg(long, global = true, env = "PATCHWAVE_AGENT_STATE_DIR", value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hold(hold::HoldArgs),
    Unhold(hold::UnholdArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Runs the agent's command line and returns the exit status; `args` begins with the program's name.
pub fn main<Arguments, Argument>(args: Arguments) -> ExitCode
where
    Arguments: IntoIterator<Item = Argument>,
    Argument: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is no failure; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let output = Output::new(cli.common.output);
    let settings = |common: &Common| {
        Settings::load(common.config.as_deref(), Overrides { state_dir: common.state_dir.clone() }).map_err(CliError::from)
    };
    match cli.command {
        Command::Hold(args) => hold::hold(&settings(&cli.common)?, &args, &output),
        Command::Unhold(args) => hold::unhold(&settings(&cli.common)?, &args, &output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "patchwave-agent", &mut script);
            output.raw(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

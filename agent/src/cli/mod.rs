//! The command line, which is the whole program.
//!
//! One file per command. Data goes to standard output, talk to standard error. Exit status: 0 done, 1 what was asked for failed,
//! 2 wrong use.

mod doctor;
mod enroll;
mod error;
mod hold;
mod inventory;
mod output;
mod seal;
mod service;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use patchwave_common::runtime::telemetry::{self, LogFormat};

use crate::config::{Overrides, Settings};
pub use error::CliError;
use output::{Format, Output};

/// Keeps a host patched under the orders of a Patchwave controller.
#[derive(Debug, Parser)]
#[command(name = "patchwave-agent", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit status: 0 done, 1 what was asked for failed, 2 wrong use.\n\nExamples:\n  \
    patchwave-agent enroll --controller https://patchwave.example:7443 --fingerprint 1A:2B:… --token-file join-token\n  \
    patchwave-agent status\n  patchwave-agent doctor")]
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
    Enroll(enroll::EnrollArgs),
    Run(service::RunArgs),
    Status(status::StatusArgs),
    Inventory(inventory::InventoryArgs),
    Hold(hold::HoldArgs),
    Unhold(hold::UnholdArgs),
    Doctor(doctor::DoctorArgs),
    Seal(seal::SealArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Carry out one transaction that the agent prepared (not for people)
    #[command(hide = true)]
    RunTransaction {
        /// The transaction's directory
        directory: PathBuf,
    },
}

/// Runs the agent's command line and returns the exit status; `args` begins with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    main_as(&[], args)
}

/// Like [`main`], for a program that is the agent only when its first arguments are `prefix` (the demo, a test): the agent then starts
/// itself again as `PROGRAM PREFIX… run-transaction DIR`. `args` begins with the program's name and does not hold the prefix.
pub fn main_as(prefix: &[OsString], args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is no failure; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli, prefix) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli, prefix: &[OsString]) -> Result<ExitCode, CliError> {
    let output = Output::new(cli.common.output);
    let common = cli.common;
    let settings = || Settings::load(common.config.as_deref(), Overrides { state_dir: common.state_dir.clone() });
    match cli.command {
        // The service sets its log up by its settings.
        Command::Run(args) => return service::run(settings()?, &args, prefix),
        Command::RunTransaction { directory } => return Ok(crate::patching::run_transaction(&directory)),
        _ => telemetry::init(LogFormat::Text, "warn").map_err(CliError::wrong_use)?,
    }
    match cli.command {
        Command::Run(_) | Command::RunTransaction { .. } => Ok(ExitCode::FAILURE),
        Command::Enroll(args) => enroll::enroll(&settings()?, args, &output),
        Command::Status(args) => status::status(&settings()?, &args, &output),
        Command::Inventory(args) => inventory::inventory(&settings()?, &args, &output),
        Command::Hold(args) => hold::hold(&settings()?, &args, &output),
        Command::Unhold(args) => hold::unhold(&settings()?, &args, &output),
        Command::Doctor(args) => doctor::doctor(settings(), &args, &output),
        Command::Seal(args) => seal::seal(&settings()?, &args, &output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "patchwave-agent", &mut script);
            output.raw(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

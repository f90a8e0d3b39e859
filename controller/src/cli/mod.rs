//! The operator's command line: noun, then verb.
//!
//! Terms: *data* is what was asked for and goes to standard output; *talk* is everything else (hints, progress, questions) and goes to
//! standard error. A *context* is how to reach one controller and as whom. Commands decide nothing about the fleet: they ask the
//! controller and show its answer. Exit status: 0 done, 1 the thing asked for failed, 2 wrong use.
//!
//! One file per noun in [`commands`]; what they share stands beside it.

pub mod arguments;
pub mod commands;
pub mod connect;
pub mod context;
pub mod error;
pub mod output;
pub mod printer;
pub mod session;
pub mod status;
pub mod table;
pub mod text;
pub mod values;
pub mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use arguments::Cli;
pub use error::{CliError, Exit};
pub use printer::Printer;
pub use session::Session;

/// Runs the command line of this process. `main` calls nothing else.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs one command line (the program's name first) to its end, on this process's standard streams. Starts its own runtime, so it must not
/// be called from asynchronous code. The demo and the test harness re-execute themselves into this.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(refused) => {
            // Help and version are no errors: they go to standard output with status 0. A closed pipe is nothing to complain about.
            let _ = refused.print();
            return if refused.use_stderr() { Exit::WrongUse.into() } else { Exit::Done.into() };
        }
    };
    let mut printer = Printer::standard(cli.global.output);
    match start(cli, &mut printer) {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            printer.error(&error);
            error.exit().into()
        }
    }
}

fn start(cli: Cli, printer: &mut Printer) -> Result<(), CliError> {
    let default_filter = cli.global.log.as_deref().unwrap_or(if cli.command.is_service() { "info" } else { "warn" });
    patchwave_common::runtime::telemetry::init(cli.global.log_format.into(), default_filter)
        .map_err(|error| CliError::from_hinted(Exit::WrongUse, &error.to_string(), "see `patchwave --help`"))?;
    // A verb waits for one answer at a time; only the service has work for several threads.
    let mut builder =
        if cli.command.is_service() { tokio::runtime::Builder::new_multi_thread() } else { tokio::runtime::Builder::new_current_thread() };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start: {error}"), "check this process's limits (`ulimit -a`)"))?;
    runtime.block_on(commands::dispatch(cli.command, &mut Session::new(cli.global, printer)))
}

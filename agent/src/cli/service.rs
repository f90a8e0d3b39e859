//! `patchwave-agent run`.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use patchwave_common::runtime::telemetry;

use super::CliError;
use crate::config::Settings;
use crate::patching::Runner;

/// Run the agent in the foreground, as its systemd unit does
#[derive(Debug, Args)]
pub struct RunArgs {}

pub fn run(settings: Settings, _args: &RunArgs, prefix: &[OsString]) -> Result<ExitCode, CliError> {
    telemetry::init(settings.log_format, &settings.log_filter).map_err(CliError::wrong_use)?;
    let this = Runner::this_program()
        .map_err(|error| CliError::failed(format!("this program's own path cannot be read: {error}")).hint("is /proc mounted?"))?;
    let runner = Runner { arguments: prefix.iter().cloned().chain(this.arguments).collect(), ..this };
    crate::run::run(settings, runner).map_err(CliError::failed)?;
    Ok(ExitCode::SUCCESS)
}

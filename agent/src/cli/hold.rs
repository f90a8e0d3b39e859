//! `patchwave-agent hold` and `unhold`.

use std::process::ExitCode;

use clap::Args;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use serde::Serialize;

use super::CliError;
use super::output::Output;
use crate::config::Settings;
use crate::hold;

/// Stop all changes to this host until `unhold`
///
/// What has begun finishes. The hold survives restarts, is reported to the controller, and no order from there lifts it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  patchwave-agent hold --reason 'quarter-end closing, ask Dana'")]
pub struct HoldArgs {
    /// Why; shown to operators
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Allow changes to this host again
#[derive(Debug, Args)]
pub struct UnholdArgs {}

#[derive(Serialize)]
struct Shown {
    hold: bool,
    reason: Option<String>,
    since: Option<String>,
}

pub fn hold(settings: &Settings, args: &HoldArgs, output: &Output) -> Result<ExitCode, CliError> {
    if args.reason.trim().is_empty() {
        return Err(CliError::wrong_use("the reason is empty").hint("say who holds the host and why, e.g. --reason 'closing, ask Dana'"));
    }
    let hold = hold::set(&settings.state_dir, &args.reason, SystemClock::new().now())?;
    let shown = Shown { hold: true, reason: Some(hold.reason.clone()), since: Some(hold.since.to_string()) };
    output.show(&shown, || format!("Changes are held: {}\n", hold.reason))?;
    Ok(ExitCode::SUCCESS)
}

pub fn unhold(settings: &Settings, _args: &UnholdArgs, output: &Output) -> Result<ExitCode, CliError> {
    let was_on = hold::lift(&settings.state_dir)?;
    let text = if was_on { "Changes are allowed again\n" } else { "There was no hold\n" };
    output.show(&Shown { hold: false, reason: None, since: None }, || text.to_owned())?;
    Ok(ExitCode::SUCCESS)
}

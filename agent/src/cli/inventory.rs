//! `patchwave-agent inventory`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use patchwave_common::domain::{Blocked, Candidate, InstallState, InstalledPackage, PackageId};
use serde::Serialize;

use super::CliError;
use super::output::{Output, table};
use crate::config::Settings;
use crate::run::open;

/// List what is installed, as it is reported to the controller
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  patchwave-agent inventory\n  patchwave-agent inventory --candidates -o json")]
pub struct InventoryArgs {
    /// Add the version that each package could get (asks the package manager; takes a second or more)
    #[arg(long)]
    candidates: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    manager: &'static str,
    digest: String,
    packages: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    package: &'a InstalledPackage,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Candidate>,
}

pub fn inventory(settings: &Settings, args: &InventoryArgs, output: &Output) -> Result<ExitCode, CliError> {
    let manager = open::open_packages(settings).map_err(CliError::failed)?;
    let inventory = manager.inventory().map_err(CliError::failed)?;
    let mut candidates: BTreeMap<PackageId, Candidate> = if args.candidates {
        let set = manager.candidates().map_err(CliError::failed)?;
        set.candidates.into_iter().map(|candidate| (candidate.id.clone(), candidate)).collect()
    } else {
        BTreeMap::new()
    };
    let rows = inventory.iter().map(|package| Row { package, candidate: candidates.remove(&package.id) });
    let shown = Shown { manager: inventory.manager().as_str(), digest: inventory.digest().to_string(), packages: rows.collect() };
    output.show(&shown, || if args.candidates { with_candidates(&shown.packages) } else { plain(&shown.packages) })?;
    Ok(ExitCode::SUCCESS)
}

fn plain(rows: &[Row<'_>]) -> String {
    table(["name", "architecture", "version", "state"], rows.iter().map(|row| columns(row.package)))
}

fn with_candidates(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        let [name, architecture, version, state] = columns(row.package);
        let (to, from) = match &row.candidate {
            None => (String::new(), String::new()),
            Some(candidate) => (candidate.to.to_string(), format!("{}{}", candidate.origin.short(), blocked(candidate.blocked))),
        };
        [name, architecture, version, state, to, from]
    };
    table(["name", "architecture", "version", "state", "candidate", "from"], rows.iter().map(row))
}

fn columns(package: &InstalledPackage) -> [String; 4] {
    let mut state = match package.state {
        InstallState::Installed => String::new(),
        InstallState::ConfigFiles => "removed, configuration left".to_owned(),
        InstallState::Incomplete => "incomplete".to_owned(),
    };
    for (set, word) in [(package.is_auto(), "automatic"), (package.held, "held")] {
        if set {
            state = if state.is_empty() { word.to_owned() } else { format!("{state}, {word}") };
        }
    }
    [package.id.name.to_string(), package.id.architecture.to_string(), package.version.to_string(), state]
}

fn blocked(blocked: Option<Blocked>) -> &'static str {
    match blocked {
        None => "",
        Some(Blocked::Held) => " (held)",
        Some(Blocked::Pinned) => " (pinned)",
    }
}

//! `patchwave restore`: makes a state directory from a backup.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use patchwave_common::domain::Timestamp;
use serde::Serialize;

use crate::cli::connect::local_failure;
use crate::cli::output::{self, Card};
use crate::cli::values::StoreKind;
use crate::cli::{CliError, Session};
use crate::setup;

const EXAMPLES: &str = "\
Raises the epoch of the store, so that agents refuse orders of the controller that the backup was taken from. Stop that one for good. \
Operators' contexts stay good if the names do.

Examples:
  patchwave restore fleet.backup --state-dir /var/lib/patchwave/controller --name patchwave.example
  patchwave restore fleet.backup --state-dir ./state --name localhost --store sled";

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArguments {
    /// What `patchwave backup` wrote
    #[arg(value_name = "FILE")]
    pub backup: PathBuf,
    /// The state directory to make; must not hold one
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// DNS name or address under which hosts will reach the controller; may be repeated; the old ones, or hosts will not find it
    #[arg(long = "name", value_name = "DNS-OR-IP", required = true)]
    pub names: Vec<String>,
    /// Address and port on which it will listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// Which store to make
    #[arg(long, value_enum, default_value_t)]
    pub store: StoreKind,
}

/// What was made. The field names are the JSON names.
#[derive(Debug, Serialize)]
struct Restored {
    state_dir: PathBuf,
    epoch: u32,
}

pub(super) async fn run(arguments: RestoreArguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let now = session.printer.now();
    let restored = tokio::task::spawn_blocking(move || restore(arguments, now));
    let restored = restored.await.map_err(|error| local_failure(&error.into()))?.map_err(|error| local_failure(&error))?;
    output::one(session.printer, &restored, |printer, restored| {
        Card::new()
            .field("state directory", restored.state_dir.display().to_string())
            .field("epoch", restored.epoch.to_string())
            .print(printer)
    })?;
    session.printer.flush()?;
    session.printer.next(&format!(
        "make sure that the old controller never runs again, then `patchwave serve --state-dir {}`",
        restored.state_dir.display()
    ));
    Ok(())
}

fn restore(arguments: RestoreArguments, now: Timestamp) -> anyhow::Result<Restored> {
    let RestoreArguments { backup, state_dir, names, listen, store } = arguments;
    let mut file =
        File::open(&backup).with_context(|| format!("cannot open {} (hint: name what `patchwave backup` wrote)", backup.display()))?;
    let request = setup::RestoreRequest { state_dir: &state_dir, store: store.as_str(), names: &names, listen };
    let epoch = setup::restore(&mut std::io::BufReader::new(&mut file), &request, now)?;
    Ok(Restored { state_dir, epoch })
}

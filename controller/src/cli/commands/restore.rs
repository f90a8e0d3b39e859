//! `patchwave restore`: makes a state directory from a backup.

use std::path::PathBuf;

use clap::Args;

use crate::cli::settings::RestoreSettings;
use crate::cli::values::StoreKind;
use crate::cli::{CliError, Session};

const EXAMPLES: &str = "\
Raises the epoch of the store, so that agents refuse orders of the controller that the backup was taken from. Stop that one for good.
Running rollouts come back as they were at the backup, and look at their hosts before they go on.

Examples:
  patchwave restore fleet.backup --state-dir /var/lib/patchwave
  patchwave restore fleet.backup --state-dir ./state --store sled";

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
    /// Which store to make
    #[arg(long, value_enum, default_value_t)]
    pub store: StoreKind,
}

impl From<RestoreArguments> for RestoreSettings {
    fn from(arguments: RestoreArguments) -> Self {
        let RestoreArguments { backup, state_dir, store } = arguments;
        Self { backup, state_dir, store }
    }
}

pub(super) async fn run(arguments: RestoreArguments, _session: &mut Session<'_>) -> Result<(), CliError> {
    let settings = RestoreSettings::from(arguments);
    Err(CliError::failed(format!("cannot restore {} yet", settings.backup.display()), "update this program"))
}

//! `patchwave serve`: runs the controller.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::CliError;
use crate::cli::connect::local_failure;
use crate::setup::{ControllerSettings, SettingsError};

const EXAMPLES: &str = "\
Without --config the settings are those in the state directory, which `patchwave init` wrote. What is given here wins over the file. \
SIGTERM ends it in order: what was acknowledged is on disk, and agents reconnect to the next run.

Examples:
  patchwave serve --state-dir /var/lib/patchwave/controller
  patchwave serve --state-dir ./state --listen 127.0.0.1:7443
  patchwave serve --config /etc/patchwave/controller.toml --log debug --log-format json";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArguments {
    /// Settings file; with controller.toml, fragments in controller.conf.d/*.toml beside it are read too
    #[arg(long, value_name = "FILE", required_unless_present = "state_dir")]
    pub config: Option<PathBuf>,
    /// Where the controller keeps everything, as `patchwave init` made it
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Address and port for agents and operators
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

pub(super) async fn run(arguments: ServeArguments) -> Result<(), CliError> {
    let settings = settings(arguments).map_err(|error| local_failure(&error.into()))?;
    crate::server::serve(settings).await.map_err(|error| local_failure(&error))
}

fn settings(arguments: ServeArguments) -> Result<ControllerSettings, SettingsError> {
    let ServeArguments { config, state_dir, listen } = arguments;
    let mut settings = match (config, state_dir) {
        (Some(config), state_dir) => {
            let mut settings = ControllerSettings::load(&config)?;
            if let Some(state_dir) = state_dir {
                settings.state_dir = state_dir;
            }
            settings
        }
        (None, state_dir) => ControllerSettings::of_state_dir(&state_dir.unwrap_or_default())?,
    };
    if let Some(listen) = listen {
        settings.listen = listen;
    }
    Ok(settings)
}

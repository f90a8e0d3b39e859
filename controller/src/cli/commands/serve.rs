//! `patchwave serve`: runs the controller.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::CliError;
use crate::cli::settings::ServeSettings;

const EXAMPLES: &str = "\
What is given here wins over the configuration file. SIGTERM ends it in order: no rollout is lost, agents reconnect to the next run.

Examples:
  patchwave serve --config /etc/patchwave/controller.toml
  patchwave serve --state-dir ./state --listen 127.0.0.1:7443
  patchwave serve --config /etc/patchwave/controller.toml --log info,patchwave=debug --log-format json";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArguments {
    /// Configuration file; fragments in conf.d beside it are read too
    #[arg(long, value_name = "FILE", required_unless_present = "state_dir")]
    pub config: Option<PathBuf>,
    /// Where the controller keeps everything, as `patchwave init` made it
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Address and port for agents and operators
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

impl From<ServeArguments> for ServeSettings {
    fn from(arguments: ServeArguments) -> Self {
        let ServeArguments { config, state_dir, listen } = arguments;
        Self { config, state_dir, listen }
    }
}

pub(super) async fn run(arguments: ServeArguments) -> Result<(), CliError> {
    let settings = ServeSettings::from(arguments);
    Err(CliError::failed(format!("cannot serve {settings:?} yet"), "update this program"))
}

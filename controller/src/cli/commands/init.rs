//! `patchwave init`: makes a new fleet on this machine.

use std::path::PathBuf;

use clap::Args;
use patchwave_common::domain::OperatorName;

use crate::cli::settings::InitSettings;
use crate::cli::values::StoreKind;
use crate::cli::{CliError, Session};

const EXAMPLES: &str = "\
Makes the authority, the controller's certificate, an empty store, and a context for the first operator, who is an admin. Run it as the
user that the controller will run as; the context is written below that user's configuration directory.

Examples:
  patchwave init --state-dir /var/lib/patchwave --trust-domain fleet.example --name patchwave.example --operator anna
  patchwave init --state-dir ./state --trust-domain lab --name localhost --name 127.0.0.1 --operator me --store sled";

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArguments {
    /// Where the controller keeps everything; made now
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// Names the fleet in every certificate; cannot be changed later
    #[arg(long, value_name = "DOMAIN")]
    pub trust_domain: String,
    /// DNS name or address under which hosts reach the controller; may be repeated, the first goes into the context
    #[arg(long = "name", value_name = "DNS-OR-IP", required = true)]
    pub names: Vec<String>,
    /// Port under which it is reached
    #[arg(long, default_value_t = 7443, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// The first operator
    #[arg(long, value_name = "NAME", value_parser = |text: &str| OperatorName::parse(text))]
    pub operator: OperatorName,
    /// Which store to keep
    #[arg(long, value_enum, default_value_t)]
    pub store: StoreKind,
}

impl From<InitArguments> for InitSettings {
    fn from(arguments: InitArguments) -> Self {
        let InitArguments { state_dir, trust_domain, names, port, operator, store } = arguments;
        Self { state_dir, trust_domain, names, port, operator, store }
    }
}

pub(super) async fn run(arguments: InitArguments, _session: &mut Session<'_>) -> Result<(), CliError> {
    let settings = InitSettings::from(arguments);
    Err(CliError::failed(format!("cannot make {} yet", settings.state_dir.display()), "update this program"))
}

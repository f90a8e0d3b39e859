//! Arguments of the demo.

use std::path::PathBuf;

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  patchwave-demo
  patchwave-demo --summary summary.json
  patchwave-demo --keep          then look around with the command line, as printed; Ctrl-C ends it";

/// Twelve hosts, a good update, and a bad one that is taken back: the whole of Patchwave on this machine, in under a minute
#[derive(Debug, Parser)]
#[command(name = "patchwave-demo", version, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,
    /// Leave everything running and print how to connect
    #[arg(long)]
    pub(super) keep: bool,
}

//! Arguments of the demo.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  patchwave-demo
  patchwave-demo --summary summary.json
  patchwave-demo --keep          then look around with the command line, as printed; Ctrl-C ends it

What happened goes to standard output, progress and errors to standard error. Exit status: 0 if everything went as it should,
1 if not, 2 for wrong use.";

/// Twelve hosts, a good update, and a bad one that is taken back: the whole of Patchwave on this machine, in under a minute
#[derive(Debug, Parser)]
#[command(name = "patchwave-demo", version, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Write what happened as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) summary: Option<PathBuf>,
    /// Leave everything running until Ctrl-C, and print how to connect
    #[arg(long)]
    pub(super) keep: bool,
    /// What the hosts install with; auto is apt where there is one
    #[arg(long, value_name = "WHICH", default_value = "auto")]
    pub(super) package_manager: Choice,
    /// Given by the demo to itself: write the summary to the file that is its standard input.
    #[arg(long, hide = true, conflicts_with = "summary")]
    pub(super) summary_on_stdin: bool,
    /// Given by the demo to itself: the folder to work in, which is somebody else's to remove.
    #[arg(long, hide = true)]
    pub(super) folder: Option<PathBuf>,
}

/// What the hosts install with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Choice {
    /// Apt where there is one, else the simulated package manager
    Auto,
    /// Debian's own: real packages in a root of their own for each host
    Apt,
    /// Patchwave's simulated one: real files, no program
    Simulated,
}

impl Choice {
    /// The word on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Apt => "apt",
            Self::Simulated => "simulated",
        }
    }
}

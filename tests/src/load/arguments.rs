//! The command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Holds simulated agents against a real `patchwave serve`, and against other servers beside it, and says what they cost.
#[derive(Debug, Parser)]
#[command(name = "fleet-load", args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Starts its own servers on loopback, in a temporary directory that goes afterwards; nothing else is touched. Progress is \
on standard error, a table on standard output.\n\nExamples:\n  \
cargo run --release -p patchwave-tests --bin fleet-load -- --agents 2000\n  \
cargo run --release -p patchwave-tests --bin fleet-load -- --agents 19000 --json load.json\n  \
cargo run --release -p patchwave-tests --bin fleet-load -- --agents 2000 --only patchwave,bare-tonic"
)]
pub struct Arguments {
    #[command(flatten)]
    pub load: Load,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What is measured.
#[derive(Debug, Args)]
pub struct Load {
    /// Simulated agents; one controller holds about 19,400 under a limit of 20,000 file descriptors
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub agents: u32,
    /// Write every number to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Servers to measure; without it all, nginx where it is installed
    #[arg(long, value_delimiter = ',', value_name = "SUBJECT")]
    pub only: Vec<SubjectKind>,
    /// Packages in each agent's inventory
    #[arg(long, default_value_t = 400)]
    pub packages: u32,
    /// Different inventories among the agents once all have changed; 0 for one each
    #[arg(long, default_value_t = 100)]
    pub inventories: u32,
    /// Heartbeats of each agent
    #[arg(long, default_value_t = 5)]
    pub beats: u32,
    /// Time for durable check-ins one after the other, in seconds; 0 leaves them out
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub check_ins: u64,
    /// Leave out the rollout that orders every agent
    #[arg(long)]
    pub no_rollout: bool,
    /// The controller's program; by default the one beside this program
    #[arg(long, value_name = "FILE")]
    pub patchwave: Option<PathBuf>,
    /// Where the temporary directory is made: the store's disk is measured too
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
}

/// A server under measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectKind {
    /// The controller.
    Patchwave,
    /// A tonic server with the same TLS settings and one echoing stream per client.
    BareTonic,
    /// nginx with HTTP/2, client certificates and one small file.
    Nginx,
}

/// This program as a part of itself.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Holds simulated agents (not for people)
    #[command(hide = true)]
    Worker(WorkerArguments),
    /// Serves the bare tonic stream (not for people)
    #[command(hide = true)]
    BareServer(BareArguments),
}

/// Arguments of a worker.
#[derive(Debug, Clone, Args)]
pub struct WorkerArguments {
    /// What it is connected to.
    #[arg(long)]
    pub to: SubjectKind,
    /// Where that listens.
    #[arg(long)]
    pub server: SocketAddr,
    /// The authority's directory, to make the agents' certificates.
    #[arg(long)]
    pub pki: PathBuf,
    /// Number of the first agent.
    #[arg(long)]
    pub first: u32,
    /// How many agents.
    #[arg(long)]
    pub count: u32,
    /// The address that connections begin at.
    #[arg(long)]
    pub from: Ipv4Addr,
    /// Packages in each inventory.
    #[arg(long)]
    pub packages: u32,
    /// Different inventories; 0 for one each.
    #[arg(long)]
    pub inventories: u32,
}

/// Arguments of the bare server.
#[derive(Debug, Args)]
pub struct BareArguments {
    /// The authority's directory.
    #[arg(long)]
    pub pki: PathBuf,
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
}

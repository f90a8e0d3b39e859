//! The top of the command line: global options and the nouns.

use clap::{Args, Parser, Subcommand, ValueEnum};
use patchwave_common::runtime::telemetry;

use super::commands::{
    advisory, audit, backup, completions, context, events, feed, finding, halt, host, init, operator, package, policy, quarantine, restore,
    rollout, serve, token, update, version,
};
use super::output::Format;

const EXAMPLES: &str = "\
First steps:
  patchwave init --state-dir ./state --trust-domain lab --name localhost --operator anna
  patchwave serve --state-dir ./state
  patchwave token create --mode managed --label ring=test --ttl 1h --uses 50
  patchwave policy apply -f policy.toml
  patchwave rollout plan --policy web
  patchwave rollout start r-7k2m9qxa
  patchwave rollout watch r-7k2m9qxa

Exit status: 0 done, 1 the thing asked for failed, 2 wrong use.";

/// Keep a fleet patched: stage patches in waves, watch health, take bad ones back
#[derive(Debug, Parser)]
#[command(name = "patchwave", version, max_term_width = 110, after_help = EXAMPLES, propagate_version = false)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every verb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Use this context instead of the current one; also PATCHWAVE_CONTEXT
    #[arg(long, global = true, value_name = "NAME", env = "PATCHWAVE_CONTEXT", hide_env = true)]
    pub context: Option<String>,
    /// Reach the controller at https://HOST:PORT; also PATCHWAVE_CONTROLLER
    #[arg(long, global = true, value_name = "URL", env = "PATCHWAVE_CONTROLLER", hide_env = true)]
    pub controller: Option<String>,
    /// Print as table or as json
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    pub output: Format,
    /// What to log, e.g. patchwave=debug,h2=warn; PATCHWAVE_LOG wins
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Log as text or as json
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormat> for telemetry::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// Every noun, and the verbs that need none.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new fleet: authority, server certificate, store, and the first operator's context
    Init(init::InitArguments),
    /// Run the controller
    Serve(serve::ServeArguments),
    /// Save everything that is needed to stand up the controller elsewhere, while it runs
    Backup(backup::BackupArguments),
    /// Make a state directory from a backup
    Restore(restore::RestoreArguments),
    /// People and programs that may use this command line
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// Join tokens, with which hosts enrol
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Hosts of the fleet
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Installed packages: who has what
    #[command(subcommand)]
    Package(package::PackageCommand),
    /// What could be upgraded
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// Policies: which patches, which hosts, which waves
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Rollouts: plan, start, watch, explain, take back
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Versions that are not rolled out any more because they did harm
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Stop every rollout in the fleet at once
    Halt(halt::HaltArguments),
    /// What happened in the fleet
    Events(events::EventsArguments),
    /// Who asked the controller for what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Which controller this command line talks to, and as whom
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Feeds: where advisories, and what is known of holes, come from
    #[command(subcommand)]
    Feed(feed::FeedCommand),
    /// Findings: which hole is open where, by when it must be closed, and what stands in the way
    #[command(subcommand)]
    Finding(finding::FindingCommand),
    /// Advisories: what they say of packages
    #[command(subcommand)]
    Advisory(advisory::AdvisoryCommand),
    /// How versions of packages are ordered; needs no controller
    #[command(subcommand)]
    Version(version::VersionCommand),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
}

impl Command {
    /// Whether this is the long-running controller.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self, Self::Serve(_))
    }
}

//! `patchwave policy`: which patches, which hosts, which waves.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use patchwave_common::domain::policy::file::MAX_POLICY_BYTES;
use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::{PolicyName, Timestamp};
use patchwave_proto::operator::v1::{ApplyPolicyRequest, Lint, LintPolicyRequest, ListPoliciesRequest, Policy, ShowPolicyRequest};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, many_lines, one_line, relative};
use crate::cli::{CliError, Printer, Session};

const APPLY_EXAMPLES: &str = "\
The file is checked here first; an error names the field. Rollouts that are planned already keep the revision that they were planned with.

Examples:
  patchwave policy apply -f policy.toml
  generate-policy | patchwave policy apply -f -";
const LINT_EXAMPLES: &str = "\
Status 1 if a lint is an error.

Examples:
  patchwave policy lint web                 an applied policy against the fleet as it is now
  patchwave policy lint -f policy.toml      a file, before it is applied";

/// Verbs of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Make or change a policy
    #[command(after_help = APPLY_EXAMPLES)]
    Apply {
        /// The policy as TOML; - for standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List policies
    #[command(after_help = "Examples:\n  patchwave policy list\n  patchwave policy list -o json")]
    List,
    /// Show a policy as it was applied
    #[command(after_help = "Examples:\n  patchwave policy show web\n  patchwave policy show web > policy.toml")]
    Show {
        /// The policy
        #[arg(value_parser = |text: &str| PolicyName::parse(text))]
        name: PolicyName,
    },
    /// Say what will hurt: no canary, a wave larger than the budget allows …
    #[command(after_help = LINT_EXAMPLES)]
    Lint(LintArguments),
}

/// What to lint: exactly one of both.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct LintArguments {
    /// An applied policy
    #[arg(value_parser = |text: &str| PolicyName::parse(text))]
    pub name: Option<PolicyName>,
    /// A policy as TOML; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

pub(super) async fn run(command: PolicyCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        PolicyCommand::Apply { file } => {
            let toml = read_checked(file).await?;
            let policy = session.ask(About::Policy, async |client| client.apply_policy(ApplyPolicyRequest { toml }).await).await?;
            output::act(session.printer, &policy, |policy| {
                format!(
                    "Policy {} is revision {} now.\nNext: `patchwave policy lint {}`, then `patchwave rollout plan --policy {}`",
                    policy.name, policy.revision, policy.name, policy.name
                )
            })
        }
        PolicyCommand::List => {
            let list = session.ask(About::Policy, async |client| client.list_policies(ListPoliciesRequest {}).await).await?;
            output::list(session.printer, &list.policies)
        }
        PolicyCommand::Show { name } => {
            let request = ShowPolicyRequest { name: name.into() };
            let policy = session.ask(About::Policy, async |client| client.show_policy(request).await).await?;
            output::one(session.printer, &policy, |printer, policy| {
                printer.talk(&format!(
                    "Revision {}, applied by {} at {}.",
                    policy.revision,
                    one_line(&policy.applied_by),
                    one_line(&policy.applied_at)
                ));
                Ok(printer.line(&many_lines(&policy.toml))?)
            })
        }
        PolicyCommand::Lint(arguments) => lint(session, arguments).await,
    }
}

async fn lint(session: &mut Session<'_>, arguments: LintArguments) -> Result<(), CliError> {
    let toml = match arguments.file {
        Some(file) => read_checked(file).await?,
        None => String::new(),
    };
    let request = LintPolicyRequest { name: arguments.name.map(String::from).unwrap_or_default(), toml };
    let report = session.ask(About::Policy, async |client| client.lint_policy(request).await).await?;
    output::list_as(session.printer, &report.lints, "Nothing to complain about.", |printer| print_lints(printer, &report.lints))?;
    if report.lints.iter().any(|lint| lint.severity == "error") { Err(CliError::Shown) } else { Ok(()) }
}

/// Reads a policy and checks its form, so that an error names the field without a controller at hand.
async fn read_checked(file: PathBuf) -> Result<String, CliError> {
    let shown = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let failed = |error: &dyn std::fmt::Display| {
        CliError::failed(format!("cannot read {shown}: {error}"), "name a TOML file, or - for standard input")
    };
    let read = tokio::task::spawn_blocking(move || read_bounded(&file)).await;
    let text = read.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    parse_policy(&text).map_err(|error| {
        CliError::failed(
            format!("{shown} is no valid policy: {}", error.to_string().trim_end()),
            "mend that field and try again: `patchwave policy lint -f FILE` checks without applying",
        )
    })?;
    Ok(text)
}

fn read_bounded(file: &std::path::Path) -> std::io::Result<String> {
    let limit = MAX_POLICY_BYTES as u64 + 1;
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(limit).read_to_string(&mut text)?;
    }
    Ok(text)
}

impl Tabular for Policy {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("REVISION").right(),
        Column::new("HOSTS").wraps(),
        Column::new("WAVES").right(),
        Column::new("APPROVALS").right().expendable(3),
        Column::new("APPLIED").expendable(2),
        Column::new("BY").expendable(4),
        Column::new("DESCRIPTION").wraps().expendable(1),
    ];
    const EMPTY: &'static str = "No policies yet. Apply one: patchwave policy apply -f policy.toml";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            Cell::from(self.revision.to_string()),
            Cell::from(if self.hosts.is_empty() { "all" } else { &self.hosts }),
            Cell::from(self.waves.to_string()),
            Cell::count(self.approvals),
            Cell::toned(relative(&self.applied_at, now), Tone::Dim),
            Cell::from(&self.applied_by),
            Cell::from(&self.description),
        ]
    }
}

/// Lints as sentences: a hint that is left out for want of width would be the one that was needed.
pub(super) fn print_lints(printer: &mut Printer, lints: &[Lint]) -> Result<(), CliError> {
    const COLUMNS: [Column; 2] = [Column::new(""), Column::new("").wraps()];
    let mut rows = Vec::new();
    for lint in lints {
        rows.push(vec![Cell::state(&lint.severity), Cell::from(format!("{} ({})", lint.message, lint.code))]);
        if !lint.hint.is_empty() {
            rows.push(vec![Cell::from(""), Cell::from(format!("hint: {}", lint.hint))]);
        }
    }
    output::rows(printer, &COLUMNS, &rows)
}

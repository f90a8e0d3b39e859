//! `patchwave finding`: which hole is open where, by when it must be closed, and what stands in the way.

mod show;

use clap::{Subcommand, ValueEnum};
use patchwave_common::domain::{AdvisoryId, PackageName, Selector, Timestamp};
use patchwave_proto::operator::v1::{Finding, FindingCount, FindingCounts, FindingRequest, ListFindingsRequest};

use crate::advisory::cvss::Severity;
use crate::cli::output::{self, Format, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, count, one_line, relative};
use crate::cli::{CliError, Printer, Session, values};
use crate::finding::FindingState;

const LIST_EXAMPLES: &str = "\
Without --by, findings are counted by advisory. Closed ones are shown with --all or by their state.

Examples:
  patchwave finding list
  patchwave finding list --kev --overdue
  patchwave finding list ring=test --by host
  patchwave finding list --by finding --advisory CVE-2026-1234 -o json
  patchwave finding list --state restart-pending --by finding";
const SHOW_EXAMPLES: &str = "\
Examples:
  patchwave finding show CVE-2026-1234 web-1
  patchwave finding show CVE-2026-1234 web-1 --package openssl -o json";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  patchwave finding explain CVE-2026-1234 web-1";

/// How findings are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Counted by advisory
    Advisory,
    /// Counted by host
    Host,
    /// Each by itself
    Finding,
}

/// Verbs of `finding`.
#[derive(Debug, Subcommand)]
pub enum FindingCommand {
    /// List findings, the most urgent first
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only of these hosts, e.g. ring=test,os=debian
        #[arg(value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        selector: Selector,
        /// Counted by advisory or by host, or each finding by itself
        #[arg(long, value_name = "WHAT", default_value = "advisory")]
        by: By,
        /// Only of this advisory, by any of its names
        #[arg(long, value_name = "ADVISORY", value_parser = |text: &str| AdvisoryId::parse(text))]
        advisory: Option<AdvisoryId>,
        /// Only of this source package
        #[arg(long, value_name = "SOURCE", value_parser = |text: &str| PackageName::parse(text))]
        package: Option<PackageName>,
        /// Only in this state; may be given more than once
        #[arg(long = "state", value_name = "STATE", value_parser = state)]
        states: Vec<FindingState>,
        /// Only of this severity and those above it: low, medium, high, critical
        #[arg(long, value_name = "SEVERITY", value_parser = severity)]
        severity: Option<Severity>,
        /// Only those known to be exploited
        #[arg(long)]
        kev: bool,
        /// Only those whose deadline has passed
        #[arg(long)]
        overdue: bool,
        /// Only those whose deadline has passed or comes within a day
        #[arg(long)]
        due_soon: bool,
        /// Closed ones too
        #[arg(long)]
        all: bool,
    },
    /// Show one finding: where it stands, its deadline, and how it came there
    #[command(after_help = SHOW_EXAMPLES)]
    Show(FindingArguments),
    /// Explain one finding: why this priority and deadline, which record and range matched, what closes it
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(FindingArguments),
}

/// Names one finding.
#[derive(Debug, clap::Args)]
pub struct FindingArguments {
    /// The advisory, by any of its names
    #[arg(value_parser = |text: &str| AdvisoryId::parse(text))]
    advisory: AdvisoryId,
    /// The host, by name or id
    #[arg(value_parser = values::host)]
    host: String,
    /// The source package, where the advisory speaks of several
    #[arg(long, value_name = "SOURCE", value_parser = |text: &str| PackageName::parse(text))]
    package: Option<PackageName>,
}

fn state(text: &str) -> Result<FindingState, String> {
    let known = || FindingState::ALL.map(FindingState::as_str).join(", ");
    FindingState::of_name(text).ok_or_else(|| format!("must be one of {}", known()))
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::of_name(text)
        .filter(|severity| *severity > Severity::None)
        .ok_or_else(|| "must be one of low, medium, high, critical".to_owned())
}

pub(super) async fn run(command: FindingCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        FindingCommand::List { selector, by, advisory, package, states, severity, kev, overdue, due_soon, all } => {
            let request = ListFindingsRequest {
                selector: selector.into(),
                advisory: advisory.map(String::from).unwrap_or_default(),
                package: package.map(String::from).unwrap_or_default(),
                states: states.into_iter().map(|state| state.as_str().to_owned()).collect(),
                severity: severity.map_or("", Severity::as_str).to_owned(),
                known_exploited: kev,
                overdue,
                due_soon,
                all,
                by: if by == By::Host { "host" } else { "advisory" }.to_owned(),
            };
            if by == By::Finding {
                let findings = session.stream(About::Finding, async |client| client.list_findings(request).await).await?;
                return output::stream(session.printer, findings).await;
            }
            let counts = session.ask(About::Finding, async |client| client.count_findings(request).await).await?;
            print_counts(session.printer, &counts, by)
        }
        FindingCommand::Show(arguments) => {
            let request = FindingRequest::from(arguments);
            let detail = session.ask(About::Finding, async |client| client.show_finding(request).await).await?;
            output::one(session.printer, &detail, show::print)
        }
        FindingCommand::Explain(arguments) => {
            let request = FindingRequest::from(arguments);
            let detail = session.ask(About::Finding, async |client| client.show_finding(request).await).await?;
            output::one(session.printer, &detail, show::explain)
        }
    }
}

impl From<FindingArguments> for FindingRequest {
    fn from(arguments: FindingArguments) -> Self {
        Self { advisory: arguments.advisory.into(), host: arguments.host, package: arguments.package.map(String::from).unwrap_or_default() }
    }
}

fn print_counts(printer: &mut Printer, counts: &FindingCounts, by: By) -> Result<(), CliError> {
    if printer.format() == Format::Json {
        return output::json(printer, counts);
    }
    let now = printer.now();
    let columns = columns(by);
    if counts.counts.is_empty() {
        printer.talk(Finding::EMPTY);
    } else {
        let rows: Vec<Vec<Cell>> = counts.counts.iter().map(|count| count_row(count, by, now)).collect();
        output::rows(printer, &columns, &rows)?;
    }
    for unknown in &counts.unknown {
        let examples = unknown.examples.join(", ");
        let more = if unknown.hosts as usize > unknown.examples.len() { ", …" } else { "" };
        let hosts = count(unknown.hosts, "host");
        printer.talk(&format!("UNKNOWN: {hosts}: {} ({}{more}); unknown is not clean", one_line(&unknown.reason), one_line(&examples)));
    }
    if !counts.stale_feeds.is_empty() {
        printer.talk(&format!("ALERT: feeds older than allowed: {} (hint: `patchwave feed list`)", counts.stale_feeds.join(", ")));
    }
    Ok(())
}

fn columns(by: By) -> [Column; 12] {
    [
        Column::new(if by == By::Host { "HOST" } else { "ADVISORY" }).shrinks_to(18),
        Column::new(if by == By::Host { "ID" } else { "ALIASES" }).shrinks_to(14).expendable(6),
        Column::new("SEVERITY"),
        Column::new("KEV").expendable(3),
        Column::new(if by == By::Host { "FINDINGS" } else { "HOSTS" }).right(),
        Column::new("NO FIX").right().expendable(4),
        Column::new("FIXABLE").right(),
        Column::new("SCHEDULED").right().expendable(5),
        Column::new("RESTART").right().expendable(2),
        Column::new("EXCEPTED").right().expendable(7),
        Column::new("OVERDUE").right().expendable(1),
        Column::new("DUE"),
    ]
}

fn count_row(group: &FindingCount, by: By, now: Timestamp) -> Vec<Cell> {
    let (first, second) = if by == By::Host { (&group.name, &group.key) } else { (&group.key, &group.name) };
    vec![
        Cell::from(first),
        Cell::toned(second, Tone::Dim),
        Cell::toned(&group.severity, tone_of(&group.severity)),
        Cell::toned(if group.known_exploited { "yes" } else { "" }, Tone::Bad),
        Cell::count(if by == By::Host { group.findings } else { group.hosts }),
        Cell::count(group.open),
        Cell::count(group.fix_available),
        Cell::count(group.scheduled),
        Cell::count(group.restart_pending),
        Cell::count(group.excepted),
        Cell::harm(group.overdue),
        due(&group.due, group.overdue > 0, now),
    ]
}

/// A deadline as people read it.
fn due(instant: &str, overdue: bool, now: Timestamp) -> Cell {
    let text = if instant.is_empty() { String::new() } else { relative(instant, now) };
    Cell::toned(text, if overdue { Tone::Bad } else { Tone::Plain })
}

fn tone_of(severity: &str) -> Tone {
    match severity {
        "critical" => Tone::Bad,
        "high" => Tone::Warn,
        _ => Tone::Plain,
    }
}

impl Tabular for Finding {
    const COLUMNS: &'static [Column] = &[
        Column::new("ADVISORY").shrinks_to(18),
        Column::new("HOST").shrinks_to(18),
        Column::new("PACKAGE"),
        Column::new("INSTALLED").expendable(2),
        Column::new("FIXED").expendable(3),
        Column::new("SEVERITY"),
        Column::new("KEV").expendable(4),
        Column::new("EPSS %").right().expendable(5),
        Column::new("STATE"),
        Column::new("DUE"),
        Column::new("EVIDENCE").wraps().expendable(1),
    ];
    const EMPTY: &'static str =
        "No findings like that. What no feed speaks of is unknown, not clean: `patchwave feed list` shows the feeds.";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.advisory),
            Cell::from(&self.host_name),
            Cell::from(&self.package),
            Cell::from(&self.installed),
            Cell::from(if self.fixed.is_empty() { "none yet" } else { &self.fixed }),
            Cell::toned(&self.severity, tone_of(&self.severity)),
            Cell::toned(if self.known_exploited { "yes" } else { "" }, Tone::Bad),
            Cell::from(&self.epss),
            Cell::state(&self.state),
            due(&self.due, self.overdue, now),
            Cell::from(&self.evidence),
        ]
    }
}

//! What one finding looks like.

use std::time::Duration;

use patchwave_common::domain::show_duration;
use patchwave_proto::operator::v1::{Finding, FindingChange, FindingDetail};

use crate::cli::output::{self, Card, heading};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, relative};
use crate::cli::{CliError, Printer};

/// Where it stands, and how it came there.
pub(super) fn print(printer: &mut Printer, detail: &FindingDetail) -> Result<(), CliError> {
    let finding = detail.finding.clone().unwrap_or_default();
    head(printer, &finding, detail).field("closed by", &detail.closes).print(printer)?;
    history(printer, &detail.history)
}

/// Every step: what matched, why it is this urgent, what the deadline is counted from.
pub(super) fn explain(printer: &mut Printer, detail: &FindingDetail) -> Result<(), CliError> {
    let finding = detail.finding.clone().unwrap_or_default();
    let score = match (detail.vector.as_str(), detail.score.as_str()) {
        ("", _) => String::new(),
        (vector, score) => format!("{score} ({vector})"),
    };
    let told = |instant: &str| if instant.is_empty() { String::new() } else { printer.local(instant) };
    let (published, changed, fix_seen) = (told(&detail.published), told(&detail.modified), told(&detail.fix_seen));
    head(printer, &finding, detail)
        .field("score", score)
        .field("EPSS", if finding.epss.is_empty() { String::new() } else { format!("{} % within 30 days", finding.epss) })
        .field("record", format!("{} of feed {}", finding.advisory, detail.feeds.join(", ")))
        .field("published", published)
        .field("changed", changed)
        .field("matched", &detail.matched)
        .field("priority", &detail.why)
        .field("within", within(&finding))
        .field("fix seen", fix_seen)
        .field("deadline", &detail.deadline_basis)
        .field("closed by", &detail.closes)
        .print(printer)?;
    history(printer, &detail.history)
}

fn head(printer: &Printer, finding: &Finding, detail: &FindingDetail) -> Card {
    let due = match finding.due.as_str() {
        "" => String::new(),
        due => format!("{} ({})", printer.local(due), relative(due, printer.now())),
    };
    let exploited = if finding.known_exploited { "known (CISA's catalogue)" } else { "" };
    Card::new()
        .field("advisory", &finding.advisory)
        .items("also named", &finding.aliases)
        .field("about", &detail.summary)
        .field("host", &finding.host_name)
        .field("id", &finding.host)
        .field("package", &finding.package)
        .field("installed", &finding.installed)
        .field("fixed in", if finding.fixed.is_empty() { "no version yet" } else { &finding.fixed })
        .field("severity", &finding.severity)
        .toned("exploited", exploited, Tone::Bad)
        .toned("search", if finding.investigate { "the host must be searched for traces of an attack" } else { "" }, Tone::Bad)
        .state("state", &finding.state)
        .field("evidence", &finding.evidence)
        .toned("due", due, if finding.overdue { Tone::Bad } else { Tone::Plain })
}

fn within(finding: &Finding) -> String {
    match finding.within_secs {
        Some(secs) => format!("{} once there is a fix", show_duration(Duration::from_secs(secs))),
        None => "the next upgrade".to_owned(),
    }
}

fn history(printer: &mut Printer, changes: &[FindingChange]) -> Result<(), CliError> {
    if changes.is_empty() {
        return Ok(());
    }
    heading(printer, "History")?;
    const COLUMNS: [Column; 3] = [Column::new("AT"), Column::new("STATE"), Column::new("EVIDENCE").wraps()];
    let rows: Vec<Vec<Cell>> = changes
        .iter()
        .map(|change| vec![Cell::from(printer.local(&change.at)), Cell::state(&change.to), Cell::from(&change.evidence)])
        .collect();
    output::rows(printer, &COLUMNS, &rows)
}

//! What one advisory looks like: who is affected, and how far patching has come.

use patchwave_proto::operator::v1::{AdvisoryDetail, AdvisoryRecord, FindingCount};

use crate::cli::output::{self, Card, heading};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, relative};
use crate::cli::{CliError, Printer};

pub(super) fn print(printer: &mut Printer, detail: &AdvisoryDetail) -> Result<(), CliError> {
    for record in &detail.records {
        card(record).print(printer)?;
    }
    let exploited = match (detail.known_exploited_since.as_str(), detail.ransomware) {
        ("", _) => String::new(),
        (since, true) => format!("known since {since}, by those who ask for ransom too: {}", detail.required_action),
        (since, false) => format!("known since {since}: {}", detail.required_action),
    };
    let epss = if detail.epss.is_empty() { String::new() } else { format!("{} % within 30 days", detail.epss) };
    let counts = detail.counts.clone().unwrap_or_default();
    let due = if counts.due.is_empty() { String::new() } else { format!("{}, the earliest", relative(&counts.due, printer.now())) };
    Card::new()
        .toned("exploited", exploited, Tone::Bad)
        .field("EPSS", epss)
        .field("patching", progress(&counts))
        .toned("overdue", if counts.overdue == 0 { String::new() } else { counts.overdue.to_string() }, Tone::Bad)
        .field("due", due)
        .print(printer)?;
    if !detail.affected.is_empty() {
        heading(printer, "Still affected")?;
        const COLUMNS: [Column; 4] = [Column::new("PACKAGE"), Column::new("INSTALLED"), Column::new("FIXED"), Column::new("HOSTS").right()];
        let row = |row: &patchwave_proto::operator::v1::PackageVersions| {
            let fixed = if row.fixed.is_empty() { "none yet" } else { &row.fixed };
            vec![Cell::from(&row.package), Cell::from(&row.version), Cell::from(fixed), Cell::count(row.hosts)]
        };
        output::rows(printer, &COLUMNS, &detail.affected.iter().map(row).collect::<Vec<_>>())?;
        printer.next(&format!("`patchwave finding list --by finding --advisory {}`", counts.key));
    }
    Ok(())
}

fn card(record: &AdvisoryRecord) -> Card {
    let score = if record.vector.is_empty() { String::new() } else { format!("{} ({})", record.score, record.vector) };
    Card::new()
        .field("advisory", &record.id)
        .items("also named", &record.aliases)
        .field("about", &record.summary)
        .field("severity", &record.severity)
        .field("score", score)
        .field("published", &record.published)
        .field("changed", &record.modified)
        .toned("withdrawn", &record.withdrawn, Tone::Warn)
        .items("feeds", &record.feeds)
}

/// `3 of 12 findings on 11 hosts are closed (25 %): 5 wait for a fix, …`.
fn progress(counts: &FindingCount) -> String {
    if counts.findings == 0 {
        return "no host has it, as far as hosts and feeds tell".to_owned();
    }
    let share = u64::from(counts.closed) * 100 / u64::from(counts.findings);
    let parts = [
        (counts.open, "without a fix"),
        (counts.fix_available, "could get one"),
        (counts.scheduled, "scheduled"),
        (counts.restart_pending, "wait for a restart"),
        (counts.excepted, "excepted"),
    ];
    let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let rest = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{} of {} findings on {} hosts are closed ({share} %){rest}", counts.closed, counts.findings, counts.hosts)
}

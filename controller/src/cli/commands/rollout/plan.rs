//! What a plan looks like: waves, updates, who is left out and why, what will hurt, and the next command.

use patchwave_proto::operator::v1::{ExcludedGroup, Lint, PlannedUpdate, PlannedWave, Rollout, RolloutPlan};

use crate::cli::commands::policy;
use crate::cli::output::{self, heading};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, count, one_line, span};
use crate::cli::{CliError, Printer};
use crate::rollout::plan::ExclusionReason;

const WAVES: [Column; 8] = [
    Column::new("WAVE"),
    Column::new("KIND").expendable(2),
    Column::new("HOSTS").right(),
    Column::new("SOAK").expendable(1),
    Column::new("MINIMUM").right().expendable(4),
    Column::new("FAILURES").right().expendable(3),
    Column::new("IN FLIGHT").right().expendable(5),
    Column::new("FIRST HOSTS").wraps().expendable(6),
];

const UPDATES: [Column; 6] = [
    Column::new("UPDATE"),
    Column::new("ARCH").expendable(2),
    Column::new("FROM"),
    Column::new("TO"),
    Column::new("ORIGIN").wraps().expendable(1),
    Column::new("HOSTS").right(),
];

const EXCLUDED: [Column; 4] =
    [Column::new("HOSTS").right(), Column::new("REASON"), Column::new("WHY").wraps(), Column::new("FIRST HOSTS").wraps().expendable(1)];

pub(super) fn print(printer: &mut Printer, plan: &RolloutPlan) -> Result<(), CliError> {
    let rollout = plan.rollout.clone().unwrap_or_default();
    let paint = printer.screen().paint;
    let kind = if rollout.kind == "reverse" { "Reverse plan" } else { "Plan" };
    let head = format!(
        "{} of policy {}: {} in {}",
        paint.apply(&format!("{kind} {}", one_line(&rollout.id)), Tone::Strong),
        one_line(&rollout.policy),
        count(rollout.hosts, "host"),
        count(plan.waves.len() as u64, "wave")
    );
    printer.line(&head)?;
    if !plan.waves.is_empty() {
        printer.line("")?;
    }
    output::rows(printer, &WAVES, &plan.waves.iter().map(wave).collect::<Vec<_>>())?;
    if !plan.updates.is_empty() {
        heading(printer, "Updates")?;
        output::rows(printer, &UPDATES, &updates(&plan.updates))?;
    }
    excluded(printer, &plan.excluded)?;
    lints(printer, &plan.lints)?;
    next(printer, &rollout, &plan.lints);
    Ok(())
}

fn wave(wave: &PlannedWave) -> Vec<Cell> {
    vec![
        Cell::from(&wave.name),
        Cell::from(&wave.kind),
        Cell::count(wave.hosts),
        Cell::from(span(wave.soak_ms)),
        Cell::from(wave.minimum.to_string()),
        Cell::from(wave.failure_limit.to_string()),
        Cell::from(wave.max_in_flight.to_string()),
        Cell::toned(first(&wave.first_hosts, wave.hosts), Tone::Dim),
    ]
}

/// Some hosts, and that there are more.
fn first(names: &[String], of: u32) -> String {
    let more = if names.len() < of as usize && !names.is_empty() { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

pub(super) fn updates(updates: &[PlannedUpdate]) -> Vec<Vec<Cell>> {
    let row = |update: &PlannedUpdate| {
        vec![
            Cell::from(&update.name),
            Cell::from(&update.architecture),
            Cell::from(&update.from_version),
            Cell::from(&update.to_version),
            Cell::from(&update.origin),
            Cell::count(update.hosts),
        ]
    };
    updates.iter().map(row).collect()
}

/// Every host that is left out, by reason: a plan that is silent about them would pass for complete.
pub(super) fn excluded(printer: &mut Printer, groups: &[ExcludedGroup]) -> Result<(), CliError> {
    if groups.is_empty() {
        return Ok(());
    }
    let hosts: u64 = groups.iter().map(|group| u64::from(group.hosts)).sum();
    heading(printer, &format!("Left out: {}", count(hosts, "host")))?;
    let row = |group: &ExcludedGroup| {
        vec![
            Cell::from(group.hosts.to_string()),
            Cell::toned(&group.reason, Tone::Warn),
            Cell::from(why(group)),
            Cell::toned(first(&group.first_hosts, group.hosts), Tone::Dim),
        ]
    };
    output::rows(printer, &EXCLUDED, &groups.iter().map(row).collect::<Vec<_>>())
}

/// The controller tells what is particular to these hosts; where nothing is, the reason itself in words.
fn why(group: &ExcludedGroup) -> &str {
    match ExclusionReason::parse(&group.reason) {
        Ok(reason) if group.detail.is_empty() => reason.words(),
        _ => &group.detail,
    }
}

fn lints(printer: &mut Printer, lints: &[Lint]) -> Result<(), CliError> {
    if lints.is_empty() {
        return Ok(());
    }
    heading(printer, "What will hurt")?;
    policy::print_lints(printer, lints)
}

fn next(printer: &mut Printer, rollout: &Rollout, lints: &[Lint]) {
    let id = one_line(&rollout.id);
    // Data first, where both go to one terminal.
    let _ = printer.finish();
    let missing = rollout.approvals_needed.saturating_sub(u32::try_from(rollout.approved_by.len()).unwrap_or(u32::MAX));
    let errors = lints.iter().any(|lint| lint.severity == "error");
    if rollout.hosts == 0 {
        printer.next("no host is left to patch: see the reasons above, or `patchwave update list`");
    } else if errors {
        printer.next(&format!("mend the errors and plan again, or `patchwave rollout start {id} --despite-lints`"));
    } else if missing > 0 {
        let who = if missing == 1 { "another operator".to_owned() } else { format!("{missing} other operators") };
        printer.next(&format!("{who}: `patchwave rollout approve {id}`; then `patchwave rollout start {id}`"));
    } else {
        printer.next(&format!("`patchwave rollout start {id}`; nothing happens before"));
    }
}

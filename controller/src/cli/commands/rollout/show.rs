//! What rollouts look like: in a list, one by itself, and one host's place in one.

use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::{Explanation, QuarantineEntry, Rollout, RolloutDetail, RolloutHost, WaveProgress};

use super::plan;
use crate::cli::output::{self, Card, Tabular, heading};
use crate::cli::printer::Screen;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, count, elapsed, many_lines, one_line, relative};
use crate::cli::watch::draw::{self, Canvas, is_harmed};
use crate::cli::{CliError, Printer};

impl Tabular for Rollout {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("POLICY").expendable(3),
        Column::new("KIND").expendable(7),
        Column::new("STATE"),
        Column::new("HOSTS").right(),
        Column::new("UPDATED").right(),
        Column::new("HARMED").right(),
        Column::new("TAKEN BACK").right().expendable(2),
        Column::new("UNTOUCHED").right().expendable(4),
        Column::new("CREATED").expendable(5),
        Column::new("BY").expendable(6),
        Column::new("REASON").wraps().expendable(1),
    ];
    const EMPTY: &'static str = "No rollouts yet. Plan one: patchwave rollout plan --policy NAME";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.id),
            Cell::from(&self.policy),
            Cell::from(&self.kind),
            Cell::state(&self.state),
            Cell::count(self.hosts),
            Cell::count(self.updated),
            Cell::harm(self.harmed),
            Cell::count(self.taken_back),
            Cell::count(self.untouched),
            Cell::toned(relative(&self.created_at, now), Tone::Dim),
            Cell::from(&self.created_by),
            Cell::from(&self.reason),
        ]
    }
}

const WAVES: [Column; 14] = [
    Column::new("WAVE"),
    Column::new("STATE"),
    Column::new("HOSTS").right(),
    Column::new("PENDING").right(),
    Column::new("STAGED").right(),
    Column::new("APPLYING").right(),
    Column::new("VERIFYING").right(),
    Column::new("HEALTHY").right(),
    Column::new("FAILED").right(),
    Column::new("TAKEN BACK").right(),
    Column::new("OFFLINE").right(),
    Column::new("NOT STAGED").right(),
    Column::new("REFUSED").right(),
    Column::new("ELAPSED").right(),
];

fn wave(wave: &WaveProgress) -> Vec<Cell> {
    vec![
        Cell::from(&wave.name),
        Cell::state(&wave.state),
        Cell::count(wave.hosts),
        Cell::count(wave.pending),
        Cell::count(wave.staged.saturating_add(wave.staging)),
        Cell::count(wave.applying),
        Cell::count(wave.verifying),
        Cell::count(wave.healthy),
        Cell::harm(wave.failed),
        Cell::harm(wave.taken_back),
        Cell::count(wave.offline),
        Cell::count(wave.not_staged),
        Cell::count(wave.refused),
        Cell::from(if wave.elapsed_ms == 0 { String::new() } else { elapsed(wave.elapsed_ms) }),
    ]
}

const HOSTS: [Column; 6] = [
    Column::new("HOST"),
    Column::new("WAVE").expendable(2),
    Column::new("STATE"),
    Column::new("REASON").expendable(1),
    Column::new("DETAIL").wraps(),
    Column::new("SINCE").expendable(3),
];

fn host(host: &RolloutHost, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::from(if host.name.is_empty() { &host.host } else { &host.name }),
        Cell::from(&host.wave),
        Cell::state(&host.state),
        Cell::from(&host.reason),
        Cell::from(&host.detail),
        Cell::toned(relative(&host.changed_at, now), Tone::Dim),
    ]
}

pub(super) fn print(printer: &mut Printer, detail: &RolloutDetail, all_hosts: bool) -> Result<(), CliError> {
    let rollout = detail.rollout.clone().unwrap_or_default();
    let now = printer.now();
    card(&rollout, detail, now).print(printer)?;
    heading(printer, "Waves")?;
    match printer.screen() {
        // As `watch` draws them: a table of eleven counts fits no terminal.
        Screen { width: Some(width), paint } => {
            let canvas = Canvas { width: usize::from(width), height: None, paint };
            draw::waves(detail, canvas).iter().try_for_each(|line| printer.line(line))?;
        }
        Screen { width: None, .. } => output::rows(printer, &WAVES, &detail.waves.iter().map(wave).collect::<Vec<_>>())?,
    }
    // The others are counted above.
    let shown: Vec<_> = detail.hosts.iter().filter(|host| all_hosts || needs_a_look(&host.state)).map(|shown| host(shown, now)).collect();
    if !shown.is_empty() {
        heading(printer, if all_hosts { "Hosts" } else { "Hosts to look at" })?;
        output::rows(printer, &HOSTS, &shown)?;
    }
    plan::excluded(printer, &detail.excluded)?;
    if !detail.quarantined.is_empty() {
        heading(printer, "Quarantined")?;
        let rows: Vec<_> = detail.quarantined.iter().map(|entry| entry.row(now)).collect();
        output::rows(printer, QuarantineEntry::COLUMNS, &rows)?;
    }
    Ok(())
}

fn needs_a_look(state: &str) -> bool {
    is_harmed(state) || matches!(state, "offline" | "refused" | "not-staged" | "superseded" | "retired" | "unconfirmed")
}

fn card(rollout: &Rollout, detail: &RolloutDetail, now: Timestamp) -> Card {
    let made = if rollout.created_at.is_empty() {
        String::new()
    } else {
        format!("{} ({}) by {}", rollout.created_at, relative(&rollout.created_at, now), rollout.created_by)
    };
    let approvals = if rollout.approvals_needed == 0 {
        String::new()
    } else {
        format!("{} of {} {}", rollout.approved_by.len(), rollout.approvals_needed, rollout.approved_by.join(", "))
    };
    let attention = if rollout.needs_attention == 0 { String::new() } else { count(rollout.needs_attention, "host") };
    Card::new()
        .field("rollout", &rollout.id)
        .field("policy", &rollout.policy)
        .field("kind", &rollout.kind)
        .state("state", &rollout.state)
        .field("reason", &rollout.reason)
        .field("waiting for", if detail.waiting_for == rollout.reason { "" } else { &detail.waiting_for })
        .field("planned", made)
        .field("approvals", approvals)
        .field("started", &rollout.started_at)
        .field("ended", &rollout.ended_at)
        .field("elapsed", if rollout.started_at.is_empty() { String::new() } else { elapsed(detail.elapsed_ms) })
        .field(
            "hosts",
            format!(
                "{}: {} updated, {} harmed, {} taken back, {} untouched",
                rollout.hosts, rollout.updated, rollout.harmed, rollout.taken_back, rollout.untouched
            ),
        )
        .toned("needs attention", attention, Tone::Bad)
        .field("failures", format!("{} of {} that stop it", detail.failures_charged, detail.failure_limit))
        .field("plan root", &rollout.plan_root)
}

pub(super) fn explain(printer: &mut Printer, explanation: &Explanation) -> Result<(), CliError> {
    let paint = printer.screen().paint;
    let name = if explanation.name.is_empty() { &explanation.host } else { &explanation.name };
    let state = paint.apply(&one_line(&explanation.state), Tone::of_state(&explanation.state));
    printer.line(&format!("{} in {}: {state}", paint.apply(&one_line(name), Tone::Strong), one_line(&explanation.rollout)))?;
    printer.line(&many_lines(&explanation.text))?;
    let now = printer.now();
    let earliest = &explanation.earliest_start_at;
    let start = if earliest.is_empty() { String::new() } else { format!("{earliest} ({})", relative(earliest, now)) };
    Card::new().field("wave", &explanation.wave).field("not before", start).field("code", &explanation.code).print(printer)?;
    if !explanation.updates.is_empty() {
        heading(printer, "Updates")?;
        const UPDATES: [Column; 5] = [
            Column::new("UPDATE"),
            Column::new("ARCH").expendable(2),
            Column::new("FROM"),
            Column::new("TO"),
            Column::new("ORIGIN").wraps().expendable(1),
        ];
        output::rows(printer, &UPDATES, &plan::updates(&explanation.updates))?;
    }
    if !explanation.history.is_empty() {
        heading(printer, "What happened")?;
        explanation.history.iter().try_for_each(|line| printer.line(&one_line(line)))?;
    }
    Ok(())
}

pub(super) fn approved(rollout: &Rollout) -> String {
    let have = u32::try_from(rollout.approved_by.len()).unwrap_or(u32::MAX);
    let missing = rollout.approvals_needed.saturating_sub(have);
    if missing > 0 {
        format!("{} is approved by {}; {missing} more needed.", rollout.id, rollout.approved_by.join(", "))
    } else {
        format!("{} is approved by {}.\nNext: `patchwave rollout start {}`", rollout.id, rollout.approved_by.join(", "), rollout.id)
    }
}

pub(super) fn aborted(rollout: &Rollout) -> String {
    format!(
        "{} is aborted: nothing begins any more; what has begun finishes or is taken back; {} keep the new version.\nNext: `patchwave rollout show {}`, \
         or `patchwave rollout rollback {}` to take those back too",
        rollout.id,
        count(rollout.updated, "host"),
        rollout.id,
        rollout.id
    )
}

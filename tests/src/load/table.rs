//! The report for people, on standard output.

use std::io::Write as _;

use anyhow::Result;

use super::report::{Latency, Report, Reports, Subject};

/// A row: what, ours, bare tonic, nginx.
type Row = (&'static str, [Option<String>; 3]);

/// Prints it.
pub fn print(report: &Report) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} agents, {} packages each, {} cores shared by servers and load\n", report.agents, report.packages, report.cores)?;
    writeln!(out, "{:<44} {:>12} {:>12} {:>12}", "", "patchwave", "bare tonic", "nginx")?;
    for (what, values) in common(report) {
        let [ours, bare, nginx] = values.map(Option::unwrap_or_default);
        writeln!(out, "{what:<44} {ours:>12} {bare:>12} {nginx:>12}")?;
    }
    writeln!(out)?;
    for (what, value) in own(report).into_iter().chain(ratios(report)) {
        writeln!(out, "{what:<44} {value}")?;
    }
    Ok(out.flush()?)
}

fn common(report: &Report) -> Vec<Row> {
    let subjects = [report.patchwave.as_ref().map(|ours| &ours.subject), report.bare_tonic.as_ref(), report.nginx.as_ref()];
    let row = |what, value: fn(&Subject) -> String| (what, subjects.map(|subject| subject.map(value)));
    vec![
        row("resident KiB per agent", |subject| format!("{:.1}", subject.resident_bytes_per_agent / 1024.0)),
        row("  of that anonymous", |subject| format!("{:.1}", subject.anonymous_bytes_per_agent / 1024.0)),
        row("CPU µs per connect", |subject| format!("{:.0}", subject.connect_cpu_us)),
        row("connects per core and second", |subject| format!("{:.0}", subject.connects_per_core)),
        row("connects a second in this run", |subject| format!("{:.0}", subject.connects_per_second)),
        row("CPU µs per heartbeat and answer", |subject| format!("{:.1}", subject.heartbeat_cpu_us)),
        row("heartbeats per core and second", |subject| format!("{:.0}", subject.heartbeats_per_core)),
        row("idle: CPU µs a second per 1,000 agents", |subject| format!("{:.0}", subject.idle_cpu_us_per_second)),
        row("bytes to disk during heartbeats", |subject| {
            subject.heartbeat_written_bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string())
        }),
    ]
}

fn own(report: &Report) -> Vec<(&'static str, String)> {
    let Some(ours) = &report.patchwave else { return Vec::new() };
    let comeback = &ours.comeback;
    let mut rows = vec![
        ("a whole inventory of each agent", reports(&ours.upload)),
        ("a changed inventory of each agent", reports(&ours.inventory)),
        ("a changed quarantine reaches agents", latency(&ours.quarantine)),
    ];
    if let Some(rollout) = &ours.rollout {
        let ended = if rollout.completed { "" } else { "NOT COMPLETED: " };
        rows.extend([
            ("a plan for all", format!("{:.2} s", rollout.plan_seconds)),
            ("a directive reaches agents after the start", latency(&rollout.directive)),
            ("the whole rollout", format!("{}{:.2} s, {:.0} µs CPU per host", ended, rollout.seconds, rollout.cpu_us_per_host)),
        ]);
    }
    if let Some(done) = &ours.check_ins {
        let (rate, syncs) = (done.per_second, done.syncs_per_second);
        rows.push(("durable check-ins a second", format!("{rate:.0} ({:.0} µs CPU each); fdatasync {syncs:.0}", done.cpu_us)));
    }
    let (listens, half, all) = (comeback.listens_seconds, comeback.half_back_seconds, comeback.all_back_seconds);
    rows.push(("back after kill -9", format!("listens {listens:.2} s, half {half:.1} s, all {all:.1} s")));
    let mib = |bytes: u64| bytes >> 20;
    rows.push(("  memory", format!("peak {} MiB, steady {} MiB", mib(comeback.peak_bytes), mib(comeback.steady_bytes))));
    rows
}

fn ratios(report: &Report) -> Vec<(&'static str, String)> {
    let ratios = &report.ratios;
    [
        ("memory / bare tonic", ratios.memory_to_bare),
        ("memory / nginx", ratios.memory_to_nginx),
        ("connects per core / bare tonic", ratios.connects_to_bare),
        ("connects per core / nginx", ratios.connects_to_nginx),
        ("heartbeats per core / bare tonic", ratios.heartbeats_to_bare),
        ("heartbeats per core / nginx", ratios.heartbeats_to_nginx),
        ("check-ins / fdatasync", ratios.check_ins_to_syncs),
        ("all back / (agents ÷ connects a second)", ratios.comeback_to_connects),
        ("peak / steady memory after the kill", ratios.comeback_peak_to_steady),
    ]
    .into_iter()
    .filter_map(|(what, ratio)| Some((what, format!("{:.2}", ratio?))))
    .collect()
}

fn reports(reports: &Reports) -> String {
    format!("{:.0} µs CPU each; resident KiB per agent then {:.1}", reports.cpu_us, reports.resident_bytes_per_agent / 1024.0)
}

fn latency(latency: &Latency) -> String {
    let Latency { first_ms, median_ms, p99_ms, last_ms } = latency;
    format!("first {first_ms:.0} ms, median {median_ms:.0}, p99 {p99_ms:.0}, last {last_ms:.0}")
}

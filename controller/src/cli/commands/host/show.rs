//! What one host looks like.

use patchwave_common::domain::Timestamp;
use patchwave_proto::operator::v1::{HostDetail, InstalledPackage, Update};

use crate::cli::output::{self, Card, Tabular, heading};
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, bytes, relative};
use crate::cli::{CliError, Printer};

pub(super) fn print(printer: &mut Printer, detail: &HostDetail, packages: bool) -> Result<(), CliError> {
    let host = detail.host.clone().unwrap_or_default();
    let now = printer.now();
    let reboot = match (host.reboot_required, detail.reboot_packages.is_empty()) {
        (false, _) => String::new(),
        (true, true) => "required".to_owned(),
        (true, false) => format!("required by {}", detail.reboot_packages.join(", ")),
    };
    Card::new()
        .field("name", &host.name)
        .field("id", &host.id)
        .state("state", &host.state)
        .state("presence", &host.presence)
        .field("last seen", when(&host.last_seen_at, now))
        .field("replaced by", &detail.replaced_by)
        .field("mode", &host.mode)
        .field("ring", &host.ring)
        .field("labels", super::labels(&host.labels))
        .field("rollout", &host.rollout)
        .toned("alarms", host.alarms.join(", "), Tone::Warn)
        .toned("held", detail.hold.as_deref().map(|reason| if reason.is_empty() { "yes" } else { reason }).unwrap_or_default(), Tone::Warn)
        .toned("other hands", detail.other_hands.join(", "), Tone::Warn)
        .toned("reboot", reboot, Tone::Warn)
        .field("system", format!("{} {}, kernel {}, {}", host.os, host.release, host.kernel, host.architecture))
        .field("machine", format!("{} CPUs, {} memory", detail.cpus, bytes(detail.memory_bytes)))
        .items("addresses", &detail.addresses)
        .field("booted", when(&detail.booted_at, now))
        .field("clock", clock(detail.clock_offset_ms))
        .field("agent", &host.agent_version)
        .field("enrolled", when(&host.enrolled_at, now))
        .field("certificate", expiry(&detail.certificate_expires_at, now))
        .field("inventory", format!("{} packages, {} updates, {} of them security", host.packages, host.updates, host.security_updates))
        .field("digest", &detail.inventory_digest)
        .print(printer)?;
    if !detail.updates.is_empty() {
        heading(printer, "Updates")?;
        output::rows(printer, &UPDATES, &detail.updates.iter().map(update).collect::<Vec<_>>())?;
    }
    if packages {
        heading(printer, "Installed")?;
        let rows: Vec<_> = detail.packages.iter().map(|package| package.row(now)).collect();
        output::rows(printer, InstalledPackage::COLUMNS, &rows)?;
    }
    Ok(())
}

fn when(instant: &str, now: Timestamp) -> String {
    if instant.is_empty() { String::new() } else { format!("{instant} ({})", relative(instant, now)) }
}

fn expiry(instant: &str, now: Timestamp) -> String {
    if instant.is_empty() { String::new() } else { format!("expires {} ({instant})", relative(instant, now)) }
}

/// Said only where it is worth a look: offsets below a second are normal.
fn clock(offset_ms: i64) -> String {
    match offset_ms {
        -999..=999 => String::new(),
        ahead @ 1000.. => format!("{} s ahead of the controller", ahead / 1000),
        behind => format!("{} s behind the controller", behind.unsigned_abs() / 1000),
    }
}

const UPDATES: [Column; 6] = [
    Column::new("NAME"),
    Column::new("FROM"),
    Column::new("TO"),
    Column::new("KIND"),
    Column::new("ORIGIN").wraps().expendable(1),
    Column::new("NOTE"),
];

fn update(update: &Update) -> Vec<Cell> {
    let note = match (update.quarantined, update.blocked_hosts > 0) {
        (true, _) => "quarantined",
        (false, true) => "held or pinned",
        (false, false) => "",
    };
    vec![
        Cell::from(&update.name),
        Cell::from(&update.from_version),
        Cell::from(&update.to_version),
        Cell::from(&update.kind),
        Cell::from(&update.origin),
        Cell::toned(note, Tone::Warn),
    ]
}

impl Tabular for InstalledPackage {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("ARCH").expendable(2),
        Column::new("VERSION"),
        Column::new("SOURCE").expendable(3),
        Column::new("STATE").expendable(1),
        Column::new("MARK").expendable(4),
        Column::new("HELD").expendable(1),
    ];
    const EMPTY: &'static str = "The host has not reported its packages yet.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            Cell::from(&self.architecture),
            Cell::from(&self.version),
            Cell::from(&self.source),
            Cell::from(&self.state),
            Cell::toned(&self.mark, Tone::Dim),
            Cell::toned(if self.held { "held" } else { "" }, Tone::Warn),
        ]
    }
}

//! The machine around the agent: its state directory, a local hold, systemd, the executables of checks and hooks.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Finding, Subject};
use crate::hold;

/// Executables looked at in one directory; there are a handful.
const MAX_EXECUTABLES: usize = 1000;

pub(super) fn state_directory(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "state-directory";
    let path = subject.state_dir();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            return vec![Finding::error(CHECK, format!("{} cannot be looked at: {error}", path.display()), "run doctor as root")];
        }
    };
    let mut findings = Vec::new();
    let shown = path.display();
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        let what = format!("{shown} belongs to user {}, and this is user {me}", metadata.uid());
        findings.push(Finding::error(CHECK, what, format!("run as its owner, or chown -R {me} {shown}")));
    }
    if metadata.mode() & 0o077 != 0 {
        let what = format!("others may enter {shown} (mode {:o}); it holds the host's key", metadata.mode() & 0o777);
        findings.push(Finding::warning(CHECK, what, format!("chmod 700 {shown}; the agent does it when it starts")));
    }
    findings
}

pub(super) fn hold(subject: &Subject) -> Vec<Finding> {
    let hold = hold::read(subject.state_dir());
    let finding = |hold: hold::Hold| {
        Finding::note("hold", format!("changes are held since {}: {}", hold.since, hold.reason), "patchwave-agent unhold, when it is over")
    };
    hold.map(finding).into_iter().collect()
}

pub(super) fn service_manager(subject: &Subject) -> Vec<Finding> {
    if !subject.is_whole_machine() || subject.machine.join("run/systemd/system").is_dir() {
        return Vec::new();
    }
    let what = "systemd does not run this machine: failed units are not noticed, and transactions run as processes of their own session";
    vec![Finding::warning("systemd", what, "give the policy health checks of other kinds (tcp, http, executable)")]
}

/// Only what its owner alone can change is run (the patching parts refuse the rest).
pub(super) fn executables(subject: &Subject) -> Vec<Finding> {
    let settings = &subject.settings;
    [&settings.checks_dir, &settings.hooks_dir].into_iter().flat_map(|directory| executables_in(directory)).collect()
}

fn executables_in(directory: &Path) -> Vec<Finding> {
    let me = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(MAX_EXECUTABLES).map(|entry| entry.path());
    let mut findings = Vec::new();
    for path in entries.chain([directory.to_owned()]) {
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        let shown = path.display();
        if metadata.uid() != me {
            let what = format!("{shown} belongs to user {}; what another user can change is not run", metadata.uid());
            findings.push(Finding::warning("executables", what, format!("chown {me} {shown}")));
        }
        if metadata.mode() & 0o022 != 0 {
            let what = format!("others may write {shown} (mode {:o}); it is not run", metadata.mode() & 0o777);
            findings.push(Finding::warning("executables", what, format!("chmod go-w {shown}")));
        } else if metadata.is_file() && metadata.mode() & 0o100 == 0 {
            findings.push(Finding::warning("executables", format!("{shown} is not executable"), format!("chmod u+x {shown}")));
        }
    }
    findings
}

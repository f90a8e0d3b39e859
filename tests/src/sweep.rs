//! Removes what a run made on the machine: at its end, and after it was killed. Touches only what bears its slot's prefix.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::slot::Slot;
use crate::{command, control_groups, mounts, wait_for};

/// How long killed processes may take to be gone; the kernel needs milliseconds, a loaded machine more.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// Cleans up after every run that was killed; living runs keep what they have. Returns how many slots had remains.
///
/// # Errors
/// If something cannot be removed; what could be, is.
pub fn sweep_abandoned() -> Result<usize> {
    let mut swept = 0;
    for number in Slot::known() {
        if let Some(slot) = Slot::try_take(number)? {
            swept += usize::from(slot.directory().exists());
            self::slot(&slot)?;
        }
    }
    Ok(swept)
}

/// Removes everything of a slot that the caller holds: processes first, then what they held.
pub(crate) fn slot(slot: &Slot) -> Result<()> {
    kill_processes(slot)?;
    control_groups::remove(&slot.prefix())?;
    // Interfaces first: deleting the machine's end takes the host's end along at once, a namespace goes in its own time.
    for name in interfaces(&slot.interface_prefix()) {
        command::run("ip", &["link", "delete", &name])?;
    }
    for name in namespaces(&slot.prefix()) {
        command::run("ip", &["netns", "delete", &name])?;
    }
    mounts::unmount_below(&slot.directory())?;
    remove_directories(slot)
}

fn kill_processes(slot: &Slot) -> Result<()> {
    wait_for("the slot's processes to be gone", KILL_LIMIT, || {
        let processes = control_groups::processes(&slot.prefix());
        for process in &processes {
            if let Some(process) = rustix::process::Pid::from_raw(*process) {
                // It may be gone already; the next look tells.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
        }
        Ok(processes.is_empty().then_some(()))
    })
}

fn namespaces(prefix: &str) -> Vec<String> {
    names_in(Path::new("/run/netns"), prefix)
}

fn interfaces(prefix: &str) -> Vec<String> {
    names_in(Path::new("/sys/class/net"), prefix)
}

fn names_in(directory: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with(prefix)).collect()
}

fn remove_directories(slot: &Slot) -> Result<()> {
    // systemd-nspawn keeps a directory for mounts that it passes into a running container.
    let propagated = Path::new("/run/systemd/nspawn/propagate");
    for name in names_in(propagated, &slot.prefix()) {
        fs::remove_dir_all(propagated.join(&name)).with_context(|| format!("cannot remove nspawn's directory for {name}"))?;
    }
    match fs::remove_dir_all(slot.directory()) {
        Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
            Err(failed).with_context(|| format!("cannot remove {}", slot.directory().display()))
        }
        _ => Ok(()),
    }
}

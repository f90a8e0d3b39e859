//! As root the demo goes on as an ordinary user: a sandbox's maintainer scripts must not reach the real system.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::arguments::Arguments;
use super::output::talk;
use super::place::Place;
use super::processes;
use super::signals::Signals;
use super::summary_file::SummaryFile;

/// `nobody` on every Debian machine.
const ORDINARY_USER: u32 = 65_534;
/// Variables that name places of root's own.
const ROOTS_OWN: [&str; 6] = ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR"];

/// Runs the demo again as an ordinary user and gives its exit status. Root makes the folder, copies the program where that user can
/// run it, opens the summary's file, hands signals on, and removes the folder.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let summary = arguments.summary.as_deref().map(SummaryFile::open).transpose()?;
    let place = Place::make(true)?;
    let result = run_in(&place, arguments, summary.as_ref());
    place.remove()?;
    result
}

fn run_in(place: &Place, arguments: &Arguments, summary: Option<&SummaryFile>) -> anyhow::Result<ExitCode> {
    talk("Started as root; going on as an ordinary user (nobody).");
    let own = std::env::current_exe().context("finding this program")?;
    let program = place.path().join("patchwave-demo");
    std::fs::copy(&own, &program).with_context(|| format!("copying {} to {}", own.display(), program.display()))?;
    for path in [place.path(), program.as_path()] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).with_context(|| path.display().to_string())?;
    }
    let folder = place.folder("run")?;
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).with_context(|| folder.display().to_string())?;
    chown(&folder, Some(ORDINARY_USER), Some(ORDINARY_USER)).with_context(|| folder.display().to_string())?;

    let mut command = processes::again(&program);
    command.uid(ORDINARY_USER).gid(ORDINARY_USER).current_dir("/").env("HOME", &folder).arg("--folder").arg(&folder);
    command.arg("--package-manager").arg(arguments.package_manager.word());
    for variable in ROOTS_OWN {
        command.env_remove(variable);
    }
    if arguments.keep {
        command.arg("--keep");
    }
    if let Some(summary) = summary {
        command.arg("--summary-on-stdin").stdin(Stdio::from(summary.handle()?));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::watch()?;
        let mut child = command.spawn().context("starting as nobody (hint: start it as an ordinary user yourself)")?;
        hand_over(&mut child, &mut signals).await
    })
}

/// Waits for the end, handing signals on. (A terminal sends Ctrl-C to both; the second one changes nothing.)
async fn hand_over(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.context("waiting for the demo")?;
                // Killed by a signal is a failure too.
                return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
            }
            number = signals.next() => {
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
                if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(i32::from(number))) {
                    // One that has just ended is as wanted.
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

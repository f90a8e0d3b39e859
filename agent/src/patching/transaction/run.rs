//! The process that carries a transaction out (`patchwave-agent run-transaction DIR`). It lives outside the agent's sandbox and process
//! tree, is not ended with the agent, and knows nothing but its directory.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use patchwave_common::domain::clean_text;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use rustix::process::{Pid, Signal};

use super::job::{Conditions, Job, JobDirectory, JobError, Running};
use super::{process, tool};
use crate::packages::{self, CommandSpec, LockState, PackageManager, Step, redact};
use crate::patching::machine::{NotBegun, TransactionOutcome};

/// Where commands are looked for; nothing of the starting process's environment gets in.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bound on each file of output. apt writes some 200 bytes a package; beyond this the file starts anew.
const OUTPUT_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// So much of the end of a failed command's output is told.
const TAIL_BYTES: u64 = 2048;
/// How often a command is asked whether it ended. The standard library cannot wait with a limit.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// A command that is told to end has so long: dpkg finishes the package at hand.
const END_GRACE: Duration = Duration::from_secs(30);

/// Carries out the transaction that an agent put into `directory`. The exit status only says whether the result could be written: how
/// the transaction ended is in the directory, and a unit in state `failed` would be taken for harm.
#[must_use]
pub fn run_transaction(directory: &Path) -> ExitCode {
    match run(&JobDirectory::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, directory = %directory.display(), "the transaction could not be run");
            ExitCode::FAILURE
        }
    }
}

fn run(directory: &JobDirectory) -> Result<(), JobError> {
    // A session of its own: signals to the agent's terminal or group do not come here. A systemd unit has one already.
    let _ = rustix::process::setsid();
    keep_through_shutdown();
    directory.write_running(&this_process())?;
    let Some(job) = directory.claim()? else { return Ok(()) };
    let outcome = carry_out(directory, &job);
    directory.write_result(&outcome)
}

fn this_process() -> Running {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let start_ticks = process::examine(pid).map_or(0, |stat| stat.start_ticks);
    Running { boot_id: SystemClock::new().boot_id(), pid, start_ticks }
}

/// At shutdown the unit's main process is asked to end first, and the rest only after the stop time: the package manager gets the chance
/// to finish. For that this process must outlive the request. The handlers stay when the runtime goes.
fn keep_through_shutdown() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let _entered = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()] {
        let _ = signal(kind);
    }
}

fn carry_out(directory: &JobDirectory, job: &Job) -> TransactionOutcome {
    let manager = match packages::open(job.manager, &job.packages) {
        Ok(manager) => manager,
        Err(error) => return not_begun(NotBegun::CouldNotStart, error.to_string()),
    };
    if let Some(outcome) = job.conditions.as_ref().and_then(|conditions| unmet(conditions, manager.as_ref())) {
        return outcome;
    }
    let deadline = Instant::now() + Duration::from_secs(job.time_limit_secs);
    for (index, step) in job.steps.iter().enumerate() {
        let result = match step {
            Step::Run(spec) => run_command(directory.path(), index, spec, deadline),
            Step::Perform(action) => {
                manager.perform(action).map_err(|error| TransactionOutcome::Failed { detail: redact(&error.to_string()) })
            }
        };
        if let Err(outcome) = result {
            return outcome;
        }
    }
    TransactionOutcome::Completed
}

fn not_begun(why: NotBegun, detail: impl Into<String>) -> TransactionOutcome {
    TransactionOutcome::NotBegun { why, detail: detail.into() }
}

/// Asked at the last moment, by the process that begins.
fn unmet(conditions: &Conditions, manager: &dyn PackageManager) -> Option<TransactionOutcome> {
    let clock = SystemClock::new();
    if conditions.lease.boot_id != clock.boot_id() {
        let detail = "the lease is of another boot of this host (hint: if it was not rebooted, does a sandbox give the agent another \
                      /proc/sys/kernel/random/boot_id?)";
        return Some(not_begun(NotBegun::LeaseExpired, detail));
    }
    if !conditions.lease.is_live(&clock.boot_id(), clock.boottime_ms()) {
        return Some(not_begun(NotBegun::LeaseExpired, "the lease ran out before the transaction began"));
    }
    if let Some(hold) = crate::hold::read(&conditions.hold_in) {
        return Some(not_begun(NotBegun::LocalHold, format!("this host holds all changes: {}", hold.reason)));
    }
    match manager.lock_state() {
        Ok(LockState::Held { .. }) => Some(not_begun(NotBegun::LockHeld, "another program holds the package manager's lock")),
        Ok(LockState::Free) | Err(_) => None,
    }
}

fn run_command(directory: &Path, index: usize, spec: &CommandSpec, deadline: Instant) -> Result<(), TransactionOutcome> {
    let outputs = [directory.join(format!("{index}.out")), directory.join(format!("{index}.err"))];
    let deadline = deadline.min(Instant::now() + Duration::from_secs(spec.time_limit_secs));
    let started = spawn(spec, &outputs).and_then(|mut child| wait(&mut child, deadline, &outputs));
    let what = || clean_text(if spec.purpose.is_empty() { &spec.program } else { &spec.purpose }, 120);
    match started {
        Ok(Ended::Itself(status)) if status.success() => Ok(()),
        Ok(Ended::Itself(_)) | Err(_) if spec.may_fail => Ok(()),
        Ok(Ended::Itself(status)) => Err(TransactionOutcome::Failed { detail: format!("{}: {status}: {}", what(), tail(&outputs)) }),
        Ok(Ended::ByForce) => Err(TransactionOutcome::TimedOut { detail: format!("{} did not end in time: {}", what(), tail(&outputs)) }),
        Err(error) => Err(TransactionOutcome::Failed { detail: format!("{}: cannot run {}: {error}", what(), spec.program) }),
    }
}

/// Output goes to files, not through this process: a command whose reader is gone dies of it, and dpkg must outlive even this process.
fn spawn(spec: &CommandSpec, outputs: &[PathBuf; 2]) -> std::io::Result<Child> {
    let open = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().env("PATH", SEARCH_PATH).envs(&spec.environment).current_dir("/");
    command.stdin(Stdio::null()).stdout(open(&outputs[0])?).stderr(open(&outputs[1])?);
    command.process_group(0).spawn()
}

enum Ended {
    Itself(ExitStatus),
    ByForce,
}

fn wait(child: &mut Child, deadline: Instant, outputs: &[PathBuf; 2]) -> std::io::Result<Ended> {
    let mut kill_at = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if kill_at.is_some() { Ended::ByForce } else { Ended::Itself(status) });
        }
        let now = Instant::now();
        match kill_at {
            None if now >= deadline => {
                signal_group(child, Signal::TERM);
                kill_at = Some(now + END_GRACE);
            }
            Some(at) if now >= at => signal_group(child, Signal::KILL),
            _ => {}
        }
        outputs.iter().for_each(|path| bound(path));
        tool::pause(ASK_INTERVAL);
    }
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A group that is gone already is as wanted.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Starts an output file anew that grew beyond its bound; the command appends, so it goes on at the new end.
fn bound(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > OUTPUT_MAX_BYTES) {
        let _ = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0));
    }
}

/// The end of what a command said, on standard error if it said anything there.
fn tail(outputs: &[PathBuf; 2]) -> String {
    let read = |path: &Path| -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let skipped = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // A line cut in its middle may show credentials without the `://` by which they are known.
        let whole = if skipped == 0 { &text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
        Ok(whole.trim().to_owned())
    };
    let said = [&outputs[1], &outputs[0]].into_iter().filter_map(|path| read(path).ok()).find(|text| !text.is_empty());
    redact(&said.unwrap_or_else(|| "it said nothing".to_owned()).replace('\n', "; "))
}

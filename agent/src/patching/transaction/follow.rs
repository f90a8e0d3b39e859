//! The agent's side of a transaction: start it, and follow it to its end, also one that an earlier run of the agent started.
//!
//! Blocking: a transaction is followed from a thread of its own, which ends when it is told to stop; the transaction does not.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::job::{Job, JobDirectory, JobError, Running};
use super::{process, systemd, tool};
use crate::patching::machine::{NotBegun, TransactionName, TransactionOutcome};
use crate::patching::{Isolation, Runner};

/// How often the result is looked for: one `stat`.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often it is asked whether the process or unit still is there.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(1);
/// What is left of a session whose leader is gone (a package manager that outlives the process that started it) is waited for beyond the
/// transaction's own time limit by this much, then ended: nothing may change packages while the agent decides how to go on.
const ORPHAN_SLACK: Duration = Duration::from_secs(300);

/// Where transactions run on this host, and what starts them.
#[derive(Debug, Clone)]
pub struct Launcher {
    runner: Runner,
    in_unit: bool,
    boot_id: String,
}

/// A transaction that is being followed.
#[derive(Debug)]
pub struct Following {
    launcher: Launcher,
    directory: JobDirectory,
    transaction: TransactionName,
    time_limit: Duration,
    /// The process, where this very agent started it in a session.
    child: Option<Child>,
}

impl Launcher {
    /// Decides once where transactions run.
    #[must_use]
    pub fn new(runner: Runner, isolation: Isolation, boot_id: String) -> Self {
        let in_unit = isolation == Isolation::Automatic && systemd::is_available();
        Self { runner, in_unit, boot_id }
    }

    /// Offers the job and starts a process that takes it. An error means that no such process was started.
    pub fn start(&self, directory: JobDirectory, job: &Job) -> Result<Following, String> {
        directory.offer(job).map_err(|error| error.to_string())?;
        let child = if self.in_unit {
            let spec = systemd::start_command(&self.runner, &job.transaction, directory.path(), job.time_limit_secs);
            tool::run(&spec).map_err(|error| error.to_string())?;
            None
        } else {
            Some(self.spawn(&directory).map_err(|error| format!("cannot run {}: {error}", self.runner.program.display()))?)
        };
        let time_limit = Duration::from_secs(job.time_limit_secs);
        Ok(Following { launcher: self.clone(), directory, transaction: job.transaction, time_limit, child })
    }

    /// Follows a transaction that an earlier run of the agent may have started.
    #[must_use]
    pub fn attach(&self, directory: JobDirectory, transaction: TransactionName, time_limit: Duration) -> Following {
        Following { launcher: self.clone(), directory, transaction, time_limit, child: None }
    }

    /// The process makes a session of its own as its first act, so it must not be made a group's leader here.
    fn spawn(&self, directory: &JobDirectory) -> std::io::Result<Child> {
        let mut command = Command::new(&self.runner.program);
        command.args(&self.runner.arguments).arg(directory.path()).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    }
}

impl Following {
    /// Waits for the end. `claimed` is called once when the transaction has begun. `None` where it was told to stop first.
    pub fn wait(mut self, stop: &Arc<AtomicBool>, mut claimed: impl FnMut()) -> Option<TransactionOutcome> {
        let (mut told, mut asked_at, started_at) = (false, None::<Instant>, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            if !told && self.directory.is_claimed() {
                told = true;
                claimed();
            }
            if let Some(outcome) = self.result() {
                self.collect();
                return Some(outcome);
            }
            if asked_at.is_none_or(|at| at.elapsed() >= LIVENESS_INTERVAL) {
                asked_at = Some(Instant::now());
                if !self.is_alive(started_at) {
                    return Some(self.lost());
                }
            }
            tool::pause(LOOK_INTERVAL);
        }
        None
    }

    fn result(&self) -> Option<TransactionOutcome> {
        match self.directory.result() {
            Ok(outcome) => outcome,
            // Written as a whole, so one that cannot be read never will be.
            Err(error) => Some(TransactionOutcome::Interrupted { detail: error.to_string() }),
        }
    }

    /// Nobody carries it out. Either it never began, and then it never will; or it ended without a word.
    fn lost(&self) -> TransactionOutcome {
        let not_begun = |why, detail: String| TransactionOutcome::NotBegun { why, detail };
        if let Some(outcome) = self.result() {
            return outcome;
        }
        match self.directory.cancel() {
            Ok(true) if self.child.is_some() => not_begun(NotBegun::CouldNotStart, "its process ended before it began".to_owned()),
            Ok(true) => not_begun(NotBegun::Cancelled, "the agent ended before the transaction began".to_owned()),
            // Neither offered nor claimed: the agent ended before it had offered it.
            Ok(false) if !self.directory.is_claimed() => {
                not_begun(NotBegun::Cancelled, "the agent ended before the transaction was offered".to_owned())
            }
            // It ended between the two looks, and may have left its result.
            Ok(false) => self.result().unwrap_or_else(|| self.interrupted()),
            Err(error) => TransactionOutcome::Interrupted { detail: error.to_string() },
        }
    }

    fn interrupted(&self) -> TransactionOutcome {
        let rebooted = matches!(self.running(), Some(running) if running.boot_id != self.launcher.boot_id);
        let why = if rebooted { "the host rebooted in the middle of it" } else { "its process is gone without a result" };
        TransactionOutcome::Interrupted { detail: format!("{}: {why}", self.transaction) }
    }

    fn is_alive(&mut self, started_at: Instant) -> bool {
        if self.launcher.in_unit {
            return self.unit_is_present();
        }
        if let Some(Ok(None)) = self.child.as_mut().map(Child::try_wait) {
            return true;
        }
        let Some(running) = self.running().filter(|running| running.boot_id == self.launcher.boot_id) else { return false };
        if process::is_running(running.pid, running.start_ticks) {
            return true;
        }
        self.has_orphans(&running, started_at)
    }

    /// systemd ends what a unit's main process leaves behind, so a unit that is gone left nothing.
    fn unit_is_present(&self) -> bool {
        match tool::run(&systemd::show_command(&self.transaction)) {
            Ok(answer) => systemd::parse_show(&answer) == systemd::UnitState::Present,
            Err(error) => {
                // Not knowing is no reason to think that it is gone.
                tracing::warn!(transaction = %self.transaction, error, "cannot ask after the transaction's unit");
                true
            }
        }
    }

    fn has_orphans(&self, running: &Running, started_at: Instant) -> bool {
        let orphans = process::session_members(running.pid, running.start_ticks);
        if !orphans.is_empty() && started_at.elapsed() > self.time_limit.saturating_add(ORPHAN_SLACK) {
            tracing::warn!(transaction = %self.transaction, ?orphans, "ending what a lost transaction left running");
            process::kill_all(&orphans);
        }
        !orphans.is_empty()
    }

    fn running(&self) -> Option<Running> {
        self.directory.running().map_err(|error: JobError| tracing::warn!(%error, "cannot tell which process ran")).ok().flatten()
    }

    /// Takes the ended process off the kernel's table.
    fn collect(&mut self) {
        if let Some(child) = &mut self.child {
            // It wrote its result as its last act.
            let _ = child.wait();
        }
    }
}

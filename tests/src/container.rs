//! One booted system under systemd-nspawn: starting it, starting it again when it reboots, and ending it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::control_groups;

/// systemd-nspawn's exit status when the system inside asked for a reboot.
const REBOOT_STATUS: i32 = 133;

/// How long a system may take to end after its first process was killed.
const END_LIMIT: Duration = Duration::from_secs(30);

/// What a container is made of; does not change over its boots.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    /// Name on the machine, of the control group too.
    pub(crate) machine_name: String,
    pub(crate) hostname: String,
    pub(crate) root: PathBuf,
    pub(crate) namespace: PathBuf,
    pub(crate) console: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    /// The nspawn process while one runs.
    nspawn: Option<u32>,
    /// How often it was started.
    boots: u32,
    /// Whether a supervising thread runs.
    supervised: bool,
    /// How the last boot ended, or why none could begin.
    ended: Option<Result<ExitStatus, String>>,
}

/// A container with the thread that starts it again after a reboot.
#[derive(Debug)]
pub(crate) struct Supervisor {
    container: Container,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Supervisor {
    pub(crate) fn new(container: Container) -> Self {
        Self { container, state: Arc::default() }
    }

    /// Begins a boot; does not wait for it.
    pub(crate) fn start(&self) -> Result<()> {
        let mut state = self.lock();
        if state.supervised {
            bail!("{} is running already", self.container.hostname);
        }
        state.supervised = true;
        state.ended = None;
        let (container, shared) = (self.container.clone(), Arc::clone(&self.state));
        std::thread::Builder::new()
            .name(container.machine_name.clone())
            .spawn(move || supervise(&container, &shared))
            .context("cannot start a thread")?;
        Ok(())
    }

    /// The first process of the system inside, as this machine numbers it; `None` while there is none.
    pub(crate) fn leader(&self) -> Option<Pid> {
        let nspawn = self.lock().nspawn?;
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().find_map(|child| {
            let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
            // Its number in its own namespace comes last; the first process has number 1.
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
            let is_first = numbers.split_whitespace().count() > 1 && numbers.split_whitespace().last() == Some("1");
            is_first.then(|| Pid::from_raw(child.parse().ok()?)).flatten()
        })
    }

    /// How often it was booted so far.
    pub(crate) fn boots(&self) -> u32 {
        self.lock().boots
    }

    /// Whether it runs, or is between two boots.
    pub(crate) fn is_up(&self) -> bool {
        self.lock().supervised
    }

    /// Kills every process inside at once, as a power cut does.
    pub(crate) fn kill(&self) -> Result<()> {
        let nspawn = self.lock().nspawn;
        // nspawn first, so that it cannot take the death inside for a reboot.
        let processes = [nspawn.and_then(|id| Pid::from_raw(id.cast_signed())), self.leader()];
        for process in processes.into_iter().flatten() {
            // It may have ended by itself in between.
            let _ = kill_process(process, Signal::KILL);
        }
        self.wait_for_end(END_LIMIT).map(|_| ())
    }

    /// Waits until it has ended for good (a reboot is no end) and says how.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> Result<Option<ExitStatus>> {
        let (state, changed) = &*self.state;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, waited) = changed.wait_timeout_while(state, limit, |state| state.supervised).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            bail!("{} does not end within {} s", self.container.hostname, limit.as_secs());
        }
        match &state.ended {
            Some(Err(failed)) => bail!("{failed}"),
            Some(Ok(status)) => Ok(Some(*status)),
            None => Ok(None),
        }
    }

    /// The end of what the system wrote to its console, over all boots.
    pub(crate) fn console(&self) -> String {
        let text = fs::read(&self.container.console).unwrap_or_default();
        let start = text.len().saturating_sub(4_000);
        String::from_utf8_lossy(&text[start..]).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn supervise(container: &Container, shared: &(Mutex<State>, Condvar)) {
    let lock = || shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = loop {
        let mut child = match launch(container) {
            Ok(child) => child,
            Err(failed) => break Err(format!("{failed:#}")),
        };
        {
            let mut state = lock();
            state.nspawn = Some(child.id());
            state.boots += 1;
        }
        let status = child.wait();
        lock().nspawn = None;
        match status {
            Ok(status) if status.code() == Some(REBOOT_STATUS) => {}
            Ok(status) => break Ok(status),
            Err(failed) => break Err(failed.to_string()),
        }
    };
    let mut state = lock();
    state.ended = Some(ended);
    state.supervised = false;
    shared.1.notify_all();
}

fn launch(container: &Container) -> Result<std::process::Child> {
    let console = File::options().create(true).append(true).open(&container.console).context("cannot open the console's file")?;
    let mut command: Command = control_groups::command_in(&container.machine_name)?;
    command.args(["systemd-nspawn", "--boot", "--quiet", "--register=no", "--keep-unit", "--console=pipe"]);
    command.args(["--link-journal=no", "--resolv-conf=off", "--timezone=off"]);
    command.arg(path_option("--directory=", &container.root)).arg(path_option("--network-namespace-path=", &container.namespace));
    command.args([format!("--machine={}", container.machine_name), format!("--hostname={}", container.hostname)]);
    command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    command.spawn().context("cannot start systemd-nspawn")
}

fn path_option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

//! Starts this program again as an agent or as the controller, and ends whatever it started, directly or not.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::{Child, Command};

/// Tells a part whose end is its own end too.
const PARENT_VARIABLE: &str = "PATCHWAVE_DEMO_PARENT";
/// How often leftovers are looked for while the demo ends: a few times a second is soon enough, and costs nothing.
const SWEEP_EVERY: Duration = Duration::from_millis(50);
/// How long whatever still runs on the demo's own threads may take to notice that its processes are gone.
const END_LIMIT: Duration = Duration::from_secs(10);

/// This program as another part.
pub(super) fn own(part: &str) -> anyhow::Result<Command> {
    let mut command = again(&std::env::current_exe().context("finding this program")?);
    command.arg(part).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// This program in another file; what it starts ends with this process (see [`end_with_parent`]).
pub(super) fn again(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(PARENT_VARIABLE, std::process::id().to_string());
    command
}

/// Starts a part that keeps running; what it says goes to a file.
pub(super) fn start(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let file = std::fs::File::create(log).with_context(|| format!("making {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    command.spawn().context("starting a part of the demo")
}

/// Runs a part to its end; its words are in the error if it fails.
pub(super) async fn run(mut command: Command, what: &str) -> anyhow::Result<()> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.with_context(|| what.to_owned())?;
    if !output.status.success() {
        anyhow::bail!("{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// In a process that [`again`] describes: asks to be sent `signal` when the demo ends, even by kill -9. Elsewhere nothing.
pub(crate) fn end_with_parent(signal: Signal) {
    let parent = std::env::var(PARENT_VARIABLE).ok().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    if parent.is_some() && rustix::process::set_parent_process_death_signal(Some(signal)).is_ok() && rustix::process::getppid() != parent {
        // It ended before it could be asked for.
        let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    }
}

/// What loses its parent from now on (an agent's transaction outlives its agent, by design) becomes a child of this process.
pub(super) fn adopt_orphans() {
    // Where the kernel does not offer it, a transaction that is under way at Ctrl-C ends by itself a second later.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Ends the runtime and every process that is left; nothing of them writes into the demo's folder afterwards.
pub(super) fn end_all(runtime: tokio::runtime::Runtime) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                kill_children();
                std::thread::park_timeout(SWEEP_EVERY);
            }
        });
        runtime.shutdown_timeout(END_LIMIT);
        over.store(true, Ordering::Relaxed);
        sweeper.thread().unpark();
    });
    // A killed process leaves its own children to this one: each round reaches one generation deeper.
    while kill_children() {}
}

/// Kills and collects every child; whether there was one.
fn kill_children() -> bool {
    let children = children();
    for child in &children {
        let _ = rustix::process::kill_process(*child, Signal::KILL);
        let _ = rustix::process::waitpid(Some(*child), WaitOptions::empty());
    }
    !children.is_empty()
}

fn children() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let own = rustix::process::getpid();
    pids.filter(|pid| parent_of(*pid) == Some(own)).filter_map(Pid::from_raw).collect()
}

/// The fourth field of proc_pid_stat(5); the second stands in parentheses and may hold anything.
fn parent_of(pid: i32) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_ascii_whitespace().nth(1)?.parse().ok()?)
}

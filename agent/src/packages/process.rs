//! Runs a tool to its end: bounded in time and output, in a process group of its own, its text taken for untrusted.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::{CommandSpec, PackageError, redact};

/// Bound on standard output. `apt-cache policy` of 4,000 packages is about 2 MB, of everything that Debian has about 30 MB.
pub(crate) const OUTPUT_MAX_BYTES: usize = 64 * 1024 * 1024;
/// How long a killed tool may take to be gone before it is left alone.
const REAP: Duration = Duration::from_secs(5);
/// How often a tool is asked whether it ended after it closed its output.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// Pieces of output that wait to be looked at; a tool that writes faster than we read waits in its turn.
const QUEUED_READS: usize = 16;

/// How a tool ended, with what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The output of a tool that ended well, else the error that it told.
    pub(crate) fn successful(self, tool: &str) -> Result<Self, PackageError> {
        if self.status.success() { Ok(self) } else { Err(self.failure(tool)) }
    }

    /// The error of a tool that failed; the end of what it said, since that is where tools put the reason.
    pub(crate) fn failure(&self, tool: &str) -> PackageError {
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(12)..].join("; ");
        PackageError::ToolFailed { tool: tool.to_owned(), status: self.status.to_string(), detail: redact(&last) }
    }
}

/// How a host names its proxies to its tools. Passed on, since apt reads them too; never shown: they may hold credentials.
const PROXIES: [&str; 8] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"];

/// Runs the command with `PATH`, the proxies and the command's own environment alone; standard input is empty.
pub(crate) fn run(spec: &CommandSpec) -> Result<Output, PackageError> {
    run_in(spec, None)
}

/// As [`run`], in another directory.
pub(crate) fn run_in(spec: &CommandSpec, directory: Option<&Path>) -> Result<Output, PackageError> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().env("PATH", search_path());
    command.envs(PROXIES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)))).envs(&spec.environment);
    // Never the directory that the agent happens to stand in.
    command.current_dir(directory.unwrap_or(Path::new("/")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|source| PackageError::ToolMissing { tool: spec.program.clone(), source })?;
    let (sender, receiver) = mpsc::sync_channel(QUEUED_READS);
    let readers = [
        child.stdout.take().map(|pipe| read_in_thread(pipe, Stream::Stdout, sender.clone())),
        child.stderr.take().map(|pipe| read_in_thread(pipe, Stream::Stderr, sender)),
    ];
    let deadline = Instant::now() + Duration::from_secs(spec.time_limit_secs);
    let result = collect(&receiver, deadline, spec).and_then(|(stdout, stderr)| {
        let status = wait(&mut child, deadline).ok_or_else(|| timeout(spec))?;
        Ok(Output { status, stdout, stderr })
    });
    if result.is_err() {
        kill(&mut child);
    }
    // The threads end by themselves when the pipes close; one that a stray grandchild holds open is not waited for.
    drop(readers);
    result
}

/// Ordinary users often lack the sbin directories, without which dpkg refuses to run.
pub(crate) fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    if path.split(':').any(|entry| entry == "/usr/sbin") { path } else { format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin") }
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

fn read_in_thread(
    mut pipe: impl Read + Send + 'static,
    stream: Stream,
    sender: SyncSender<(Stream, Vec<u8>)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) if sender.send((stream, buffer[..length].to_vec())).is_ok() => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    })
}

/// Gathers both streams until they close.
fn collect(receiver: &Receiver<(Stream, Vec<u8>)>, deadline: Instant, spec: &CommandSpec) -> Result<(String, String), PackageError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((Stream::Stdout, bytes)) => stdout.extend(bytes),
            Ok((Stream::Stderr, bytes)) => stderr.extend(bytes),
            Err(RecvTimeoutError::Timeout) => return Err(timeout(spec)),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if stdout.len() + stderr.len() > OUTPUT_MAX_BYTES {
            return Err(PackageError::TooMuchOutput { tool: spec.program.clone(), max_bytes: OUTPUT_MAX_BYTES as u64 });
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok((text(stdout), text(stderr)))
}

fn timeout(spec: &CommandSpec) -> PackageError {
    PackageError::Timeout { tool: spec.program.clone(), limit_secs: spec.time_limit_secs }
}

/// A tool that closed its output is about to end; asked often, since the standard library cannot wait with a limit.
#[allow(clippy::disallowed_methods)] // The interval's constant argues it.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(REAP_INTERVAL),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends the tool and all that it started (they share its process group).
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    wait(child, Instant::now() + REAP);
}

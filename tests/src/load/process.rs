//! A server process, and what the kernel says it uses.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Unit of the times in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux that Patchwave runs on.
const TICK: Duration = Duration::from_millis(10);
/// A server is at rest when it used at most [`REST_TICKS`] in this time.
const REST_LOOK: Duration = Duration::from_millis(500);
/// Timers and the like.
const REST_TICKS: u32 = 1;
/// Longest wait for rest: a queue of writes drains within seconds.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// Longest start: a store with 100,000 hosts is read in seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Memory of a process group, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Of that, anonymous: not backed by a file.
    pub anonymous: u64,
    /// Most that was ever resident.
    pub peak: u64,
}

/// A child and, where it has some, its children (nginx's workers); killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a server whose output goes to a log file.
    ///
    /// # Errors
    /// If the log cannot be written or the program not be started.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = fs::File::options().create(true).append(true).open(log).with_context(|| format!("cannot open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Waits until something accepts connections at `address`.
    ///
    /// # Errors
    /// If the process ends before, or nothing listens in time; with the log's end.
    pub fn wait_until_it_listens(&mut self, address: std::net::SocketAddr, log: &Path) -> Result<()> {
        let until = Instant::now() + START_LIMIT;
        while Instant::now() < until {
            if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}: {}", log_end(log));
            }
            pause(Duration::from_millis(5));
        }
        bail!("nothing listens on {address}: {}", log_end(log))
    }

    /// Kills it with SIGKILL, and waits.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")
    }

    /// CPU time used so far, user and system.
    ///
    /// # Errors
    /// If it is gone.
    pub fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for id in self.ids()? {
            let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
            // The name in parentheses may hold anything; the fields are counted behind it.
            let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let field = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok()).context("unexpected /proc/PID/stat");
            ticks += field(11)? + field(12)?;
        }
        Ok(TICK * ticks)
    }

    /// CPU time used since `before`, for work that was surely done: what is too little to be counted is one tick.
    ///
    /// # Errors
    /// If it is gone.
    pub fn spent_since(&self, before: Duration) -> Result<Duration> {
        Ok(self.cpu()?.saturating_sub(before).max(TICK))
    }

    /// Memory now.
    ///
    /// # Errors
    /// If it is gone.
    pub fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for id in self.ids()? {
            let text = fs::read_to_string(format!("/proc/{id}/status"))?;
            memory.resident += kib(&text, "VmRSS:")?;
            memory.anonymous += kib(&text, "RssAnon:")?;
            memory.peak += kib(&text, "VmHWM:")?;
        }
        Ok(memory)
    }

    /// Bytes handed to the disk so far; `None` where the kernel does not say.
    #[must_use]
    pub fn written(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.child.id())).ok()?;
        text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|bytes| bytes.trim().parse().ok())
    }

    /// Descriptors that it has open.
    ///
    /// # Errors
    /// If it is gone.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Waits until it does nothing any more, so that work that was put off is counted where it was caused.
    ///
    /// # Errors
    /// If it is gone.
    pub fn rest(&self) -> Result<()> {
        let until = Instant::now() + REST_LIMIT;
        let mut before = self.cpu()?;
        while Instant::now() < until {
            pause(REST_LOOK);
            let now = self.cpu()?;
            if now.saturating_sub(before) <= TICK * REST_TICKS {
                return Ok(());
            }
            before = now;
        }
        Ok(())
    }

    /// The process and its children.
    fn ids(&self) -> Result<Vec<u32>> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        Ok(std::iter::once(id).chain(children).collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's workers end with their master only when it is asked.
        if let Some(id) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits while another process works; there is nothing that it would tell us by.
#[allow(clippy::disallowed_methods)]
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn kib(status: &str, name: &str) -> Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} in /proc/PID/status"))?;
    Ok(value.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

fn log_end(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2_000)..]).into_owned()
}

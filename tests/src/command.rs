//! Runs tools with a time limit: argument vectors, errors with what the tool said.

use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Longest a tool may take unless the caller says otherwise; apt with a full update needs about ten seconds.
pub(crate) const TOOL_LIMIT: Duration = Duration::from_secs(120);

/// How much of a tool's output an error repeats.
const REPEATED_CHARACTERS: usize = 3_000;

/// A tool that ran to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, lossily as UTF-8.
    pub stdout: String,
    /// What it wrote to standard error, lossily as UTF-8.
    pub stderr: String,
}

impl Finished {
    /// The exit status, 0 to 255; -1 if a signal ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output if it succeeded, else an error with everything it said.
    ///
    /// # Errors
    /// If the exit status is not 0.
    pub fn into_stdout(self, what: &str) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        bail!("{what}: {}\n{}\n{}", self.status, end_of(&self.stdout), end_of(&self.stderr))
    }
}

/// A command that coreutils' `timeout` ends after `limit` (exit status 124), and kills five seconds later.
pub(crate) fn limited(limit: Duration, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &limit.as_secs().max(1).to_string()]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// Runs to the end, whatever the exit status.
pub(crate) fn finish(command: &mut Command) -> Result<Finished> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    Ok(Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs `program` with `arguments` within [`TOOL_LIMIT`]; it must succeed. Returns standard output.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    finish(limited(TOOL_LIMIT, program).args(arguments).env("LC_ALL", "C"))?.into_stdout(&format!("{program} {}", arguments.join(" ")))
}

fn end_of(text: &str) -> &str {
    let start = text.char_indices().rev().nth(REPEATED_CHARACTERS).map_or(0, |(at, _)| at);
    text[start..].trim()
}

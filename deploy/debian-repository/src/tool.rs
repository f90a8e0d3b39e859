//! Runs Debian's tools: arguments as a vector, the C locale, errors with the end of what the tool said.

use std::process::Command;

use crate::Error;

/// How much of a tool's standard error an [`Error`] repeats; enough for the last lines, which name the cause.
const STDERR_LIMIT_BYTES: usize = 2_000;

/// Runs `tool` to its end and returns its standard output.
pub(crate) fn run(tool: &str, command: &mut Command) -> Result<String, Error> {
    let output = command.env("LC_ALL", "C").output().map_err(|source| Error::ToolMissing { tool: tool.to_owned(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::ToolFailed { tool: tool.to_owned(), status: output.status.to_string(), stderr: end_of(&output.stderr) })
}

/// The architecture of this machine in Debian's words, such as `amd64`, as dpkg says it.
///
/// # Errors
/// [`Error::ToolMissing`] where there is no dpkg.
pub fn native_architecture() -> Result<String, Error> {
    Ok(run("dpkg", Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

fn end_of(stderr: &[u8]) -> String {
    let start = stderr.len().saturating_sub(STDERR_LIMIT_BYTES);
    String::from_utf8_lossy(&stderr[start..]).trim().to_owned()
}

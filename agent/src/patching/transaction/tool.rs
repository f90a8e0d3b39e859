//! Runs a small tool of the system (systemctl, systemd-run) to its end: bounded in time and output, without a shell.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use patchwave_common::domain::clean_text;

use crate::packages::CommandSpec;

/// Bound on what is read of the output. `systemctl show` of every unit of a busy host is about 100 KB.
const OUTPUT_MAX_BYTES: u64 = 4 * 1024 * 1024;
const ASK_INTERVAL: Duration = Duration::from_millis(5);
/// Where tools are looked for.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Waits between two looks at something that tells nobody when it changes: a child's end with a limit, a file of another process. The one
/// place in patching that sleeps, always on a thread of its own, never on the runtime's; each caller's constant argues its interval.
#[allow(clippy::disallowed_methods)] // See above.
pub fn pause(interval: Duration) {
    std::thread::sleep(interval);
}

/// Runs it; its standard output, or why not.
pub fn run(spec: &CommandSpec) -> Result<String, String> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).env_clear().env("PATH", SEARCH_PATH).envs(&spec.environment);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", spec.program))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || stdout.map(read).unwrap_or_default());
    let error_reader = std::thread::spawn(move || stderr.map(read).unwrap_or_default());
    let deadline = Instant::now() + Duration::from_secs(spec.time_limit_secs);
    let status = loop {
        match child.try_wait().map_err(|error| format!("cannot wait for {}: {error}", spec.program))? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                // One that ended meanwhile is as wanted.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} did not end within {} s", spec.program, spec.time_limit_secs));
            }
            None => pause(ASK_INTERVAL),
        }
    };
    let output = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(output);
    }
    let said = error_reader.join().unwrap_or_default();
    Err(format!("{} failed ({status}): {}", spec.program, clean_text(said.trim(), 500)))
}

/// Reads to the end, keeps what is within the bound.
fn read(mut pipe: impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.by_ref().take(OUTPUT_MAX_BYTES).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

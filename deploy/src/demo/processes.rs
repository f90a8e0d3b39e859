//! Starts this program again as an agent or as the controller, and ends what it started.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// This program as another part.
pub(super) fn own(part: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg(part).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
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

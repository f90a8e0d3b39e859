//! Patchwave's agent as a systemd service inside a host, from the unit files that operators use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::Finished;
use crate::{Binaries, Host};

/// The agent's service.
pub(crate) const UNIT: &str = "patchwave-agent.service";

/// Where the program goes in a host, as the unit file has it.
const PROGRAM: &str = "/usr/bin/patchwave-agent";

/// What is put into a host to make it an agent.
#[derive(Debug, Clone)]
pub struct AgentInstallation {
    /// The program.
    pub binary: PathBuf,
    /// The unit file, installed under its own file name.
    pub unit: PathBuf,
    /// Further files: path inside, contents, mode. Drop-ins, configuration, checks.
    pub files: Vec<(String, String, String)>,
}

impl AgentInstallation {
    /// The built agent and the project's own unit file.
    #[must_use]
    pub fn usual(binaries: &Binaries) -> Self {
        let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(UNIT);
        Self { binary: binaries.patchwave_agent.clone(), unit, files: Vec::new() }
    }

    /// Adds a file, such as `/etc/systemd/system/patchwave-agent.service.d/test.conf`.
    #[must_use]
    pub fn with_file(mut self, path: &str, contents: &str, mode: &str) -> Self {
        self.files.push((path.to_owned(), contents.to_owned(), mode.to_owned()));
        self
    }
}

impl Host {
    /// Puts the agent in; neither enrols nor starts it.
    ///
    /// # Errors
    /// If a file cannot be written, or the program does not run in the host.
    pub fn install_agent(&self, installation: &AgentInstallation) -> Result<()> {
        self.copy_in(&installation.binary, PROGRAM, "0755")?;
        let name = installation.unit.file_name().context("the unit file has no name")?.to_string_lossy();
        self.copy_in(&installation.unit, &format!("/etc/systemd/system/{name}"), "0644")?;
        for (path, contents, mode) in &installation.files {
            self.write(path, contents, mode)?;
        }
        self.agent(&["--version"])?
            .into_stdout("patchwave-agent --version")
            .context("the built agent does not run in a host (hint: built on a newer release than the hosts' has a newer C library?)")?;
        self.run("systemctl", &["daemon-reload"]).map(|_| ())
    }

    /// Runs `patchwave-agent` inside with these arguments: `enroll`, `status`, `inventory`, `doctor`.
    ///
    /// # Errors
    /// If the host does not run; the program's own failure is in the result.
    pub fn agent(&self, arguments: &[&str]) -> Result<Finished> {
        self.try_run(PROGRAM, arguments)
    }

    /// Enables and starts the agent's service.
    ///
    /// # Errors
    /// If systemd cannot start it.
    pub fn start_agent(&self) -> Result<()> {
        self.run("systemctl", &["enable", "--now", UNIT]).map(|_| ())
    }

    /// Stops the agent's service in an orderly way.
    ///
    /// # Errors
    /// If systemd cannot stop it.
    pub fn stop_agent(&self) -> Result<()> {
        self.run("systemctl", &["stop", UNIT]).map(|_| ())
    }

    /// Kills the agent's process with SIGKILL and leaves the rest of its unit alone; systemd starts it again if the unit says so.
    ///
    /// # Errors
    /// If there is nothing to kill.
    pub fn kill_agent(&self) -> Result<()> {
        self.run("systemctl", &["kill", "--kill-whom=main", "--signal=KILL", UNIT]).map(|_| ())
    }

    /// The last lines of the agent's journal.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn agent_journal(&self) -> Result<String> {
        self.journal(UNIT, 200)
    }
}

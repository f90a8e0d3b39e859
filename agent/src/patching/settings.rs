//! What patching needs to know about the host.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use patchwave_common::domain::Manager;

use crate::packages::PackageSettings;

/// How to reach this very program in another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// The agent's binary, absolute.
    pub program: PathBuf,
    /// What comes before the transaction's directory, e.g. `run-transaction`.
    pub arguments: Vec<OsString>,
}

impl Runner {
    /// The present binary with the subcommand `run-transaction`.
    pub fn this_program() -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec!["run-transaction".into()] })
    }
}

/// Where a package manager runs (rule 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a transient systemd unit where systemd runs the host and the agent is root, else in a session of its own.
    Automatic,
    /// In a session of its own, whatever the host has: sandbox hosts and tests.
    Session,
}

/// Settings of patching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchingSettings {
    /// The agent's state directory: the local hold's file is there, and all that patching keeps goes below [`Self::directory`].
    pub state_dir: PathBuf,
    /// Executables that policies may name as health checks.
    pub checks_dir: PathBuf,
    /// The root of a sandbox host, told to executable checks as `PATCHWAVE_ROOT`; `None` on a real host, whose units are watched too.
    pub root: Option<PathBuf>,
    /// The package manager that carries out orders.
    pub manager: Manager,
    /// How another process opens it.
    pub packages: PackageSettings,
    /// How another process of this program is started.
    pub runner: Runner,
    /// Where package managers run.
    pub isolation: Isolation,
    /// Receipts, originals and staged files of all cases may take so many bytes; those of a case at hand are never deleted.
    pub disk_bound_bytes: u64,
    /// How often the hold file, lost processes and old files are looked at.
    pub poll: Duration,
}

impl PatchingSettings {
    /// How often the driver looks around by default: a lifted hold is noticed within it, and a look costs one `stat`.
    pub const POLL_DEFAULT: Duration = Duration::from_secs(2);
    /// Originals of a distribution upgrade take about 1 GB, of a usual patch some 10 MB.
    pub const DISK_BOUND_DEFAULT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

    /// What patching keeps; nobody else writes there. Mode 0700.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.state_dir.join("patching")
    }

    /// Where staged files lie.
    #[must_use]
    pub fn stage_dir(&self) -> PathBuf {
        self.directory().join("stage")
    }
}

//! What the patching driver is to do, as data: argument vectors and file actions. Serialisable, so that a journal can hold them.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One command: program and arguments, never a shell line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CommandSpec {
    /// The program, looked for in `PATH` unless absolute.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to the environment (which should otherwise hold `PATH` alone).
    pub environment: BTreeMap<String, String>,
    /// It is stopped after so many seconds.
    pub time_limit_secs: u64,
    /// What it is for, in a few words, for logs and reports.
    pub purpose: String,
    /// Its failure does not end the list of steps: what follows copes with it.
    pub may_fail: bool,
}

/// One step of a list that is carried out in order; the list ends at the first failure (but see [`CommandSpec::may_fail`]).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Run a command, on a real host in its own transient unit (rule 23).
    Run(CommandSpec),
    /// Call [`super::PackageManager::perform`], from a process that may write where the packages are: the agent's own sandbox may
    /// forbid that, then the action travels in its serialised form to a process outside.
    Perform(Action),
}

/// A file action of a return, or a transaction of the simulated package manager.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Deletes the conffiles that are new in the target version, so that a downgrade forgets them.
    DeleteNewConffiles {
        /// The receipt's directory.
        receipt: PathBuf,
    },
    /// Puts back every saved path of the receipt as it was, absence included, and deletes what dpkg leaves beside conffiles.
    RestorePaths {
        /// The receipt's directory.
        receipt: PathBuf,
    },
    /// Brings the simulated package manager to the receipt's targets.
    SimulatedApply {
        /// The receipt's directory.
        receipt: PathBuf,
        /// The staged set that is applied.
        staged: Box<super::StagedSet>,
    },
    /// Brings the simulated package manager's packages back to the receipt's.
    SimulatedRestore {
        /// The receipt's directory.
        receipt: PathBuf,
    },
}

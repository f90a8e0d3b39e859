//! Package managers: what is installed, what could be, and how to get there and back.
//!
//! One trait, [`PackageManager`]; one table of built-ins, [`BUILT_INS`]; one contract suite (`agent/tests/packages/`) that
//! every implementation passes. A new package manager is one folder here, one line in the table and one fixture in the suite.
//!
//! Terms: *staging* downloads without changing what is installed; an *original* is the very file from which an installed version
//! was installed; a *step* is one command or file action of a transaction, carried out by the patching driver, not here; a *receipt*
//! is what was recorded before anything changed, and what a host returns to.
//!
//! The order of use, which the types enforce: [`PackageManager::stage`] gives a [`StagedSet`], [`PackageManager::simulate`] of it a
//! [`Simulation`], [`PackageManager::snapshot`] of both a [`Receipt`], and only with a receipt are there
//! [`PackageManager::apply_steps`]. [`PackageManager::restore_steps`] need the receipt alone.
//!
//! All calls block: from asynchronous code use `spawn_blocking`. Nothing here starts a transaction by itself, keeps state of a rollout,
//! or talks to the controller.

pub mod apt;
mod command;
mod error;
mod process;
mod receipt;
mod redact;
mod rules;
pub mod simulated;
mod transaction;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{CandidateSet, Digest, Inventory, Manager, QuarantineKey, RebootRequired, TargetSet};

pub use command::{Action, CommandSpec, Step};
pub use error::PackageError;
pub use receipt::{Addition, Difference, Original, PackageRecord, PackagedFile, PathRole, PathState, Receipt, SavedPath};
pub use redact::redact;
pub use transaction::{Change, ChangeKind, MissingOriginal, NotStaged, Refused, Simulation, StagedFile, StagedSet};

/// A cheap mark of a state of the package database: two equal marks mean that nothing changed in between.
/// Made from `stat` alone, so asking costs microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(pub Digest);

/// Whether another process works on the packages right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockState {
    /// A transaction could begin.
    Free,
    /// Someone else holds the lock.
    Held {
        /// The holder's process id, where the system tells it.
        process: Option<u32>,
        /// The lock file.
        lock: PathBuf,
    },
}

/// What Patchwave needs of a package manager. Calls may be made from several threads; each one is complete in itself.
pub trait PackageManager: Send + Sync + std::fmt::Debug {
    /// Which package manager this is.
    fn manager(&self) -> Manager;

    /// A mark of the package database's present state, from `stat` alone.
    fn fingerprint(&self) -> Result<Fingerprint, PackageError>;

    /// Everything installed, read from the database itself; starts no process and takes no lock. In the middle of a transaction it
    /// tells the database's pending records too.
    fn inventory(&self) -> Result<Inventory, PackageError>;

    /// The versions that installed packages could get, by the package manager's own policy; blocked ones (held, pinned) included.
    /// Costly the first time (seconds at low priority), a cache read while neither packages nor indexes change.
    fn candidates(&self) -> Result<CandidateSet, PackageError>;

    /// Fetches the archives' indexes. [`PackageError::BrokenSource`] names a source that could not be read; the others are fresh.
    fn refresh(&self) -> Result<(), PackageError>;

    /// Puts into `stage_dir` (made if absent; content-addressed, shared by all stagings) every file that the transaction needs:
    /// the targets' exact versions, new dependencies, and the originals of all that would be replaced or removed. Reuses what is
    /// there. An original that cannot be had is no failure: see [`StagedSet::way_back`]. Targets already installed at their version
    /// need no file.
    fn stage(&self, targets: &TargetSet, stage_dir: &Path) -> Result<StagedSet, NotStaged>;

    /// Resolves the transaction on the present state of the host with exactly the staged versions, and tells every change or why it
    /// must not be (rules 14 and 15). Changes nothing.
    fn simulate(&self, staged: &StagedSet, rules: &TransactionRules) -> Result<Simulation, Refused>;

    /// Records what a return needs (rule 12) in `receipt_dir`, which becomes self-contained: originals are linked or copied into it.
    /// An existing receipt there is replaced; the receipt file is written last, so a directory without one was interrupted.
    fn snapshot(&self, staged: &StagedSet, simulation: &Simulation, receipt_dir: &Path) -> Result<Receipt, PackageError>;

    /// The steps that carry out a simulated transaction. Running them again after an interruption (with [`Self::repair_steps`]
    /// before them) completes what is missing and repeats nothing.
    fn apply_steps(&self, staged: &StagedSet, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError>;

    /// The steps that make the package manager able to work again after a transaction was interrupted half-way. Harmless where
    /// nothing was interrupted.
    fn repair_steps(&self, rules: &TransactionRules) -> Vec<Step>;

    /// The steps that return the host to exactly what the receipt holds, from wherever it is: nothing begun, half-way or done.
    /// They need no network. The units of [`Receipt::units`] are to be restarted after them by the caller.
    fn restore_steps(&self, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError>;

    /// Carries out one file action of a step list. Idempotent: it can be repeated after an interruption.
    fn perform(&self, action: &Action) -> Result<(), PackageError>;

    /// How the host differs from the receipt's targets: versions, states, marks. Empty when the transaction is complete.
    fn verify_targets(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError>;

    /// How the host differs from what it was when the receipt was made: versions, marks, conffiles, packaged files. Empty when the
    /// return is complete.
    fn verify_receipt(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError>;

    /// Whether someone else holds the package manager's lock.
    fn lock_state(&self) -> Result<LockState, PackageError>;

    /// Makes the host itself refuse exactly these versions, and no others that an earlier call named (rule 13). Empty lifts all.
    fn set_quarantine(&self, keys: &[QuarantineKey]) -> Result<(), PackageError>;

    /// Active tools that change packages on their own (rule 16), e.g. `apt-daily-upgrade.timer`; ordered.
    fn other_hands(&self) -> Vec<String>;

    /// Whether the host asks for a reboot.
    fn reboot_required(&self) -> RebootRequired;

    /// Directories in which a change tells that the inventory or the candidates may have changed.
    fn watched_directories(&self) -> Vec<PathBuf>;
}

/// Removes from a stage directory every file whose digest is not in `keep`, and what an interrupted staging left; returns the bytes
/// freed. Not to be called while a staging runs.
pub fn clean_stage(stage_dir: &Path, keep: &BTreeSet<Digest>) -> Result<u64, PackageError> {
    transaction::clean_stage(stage_dir, keep)
}

/// How to reach a host's packages.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackageSettings {
    /// The root directory of the packages; `None` for the machine's own. A root of one's own needs no root user.
    pub root: Option<PathBuf>,
    /// The agent's state directory: caches go below it.
    pub state_dir: PathBuf,
    /// Staged files and originals may take so many bytes.
    pub stage_limit_bytes: u64,
    /// Staging leaves so many bytes free on the disk.
    pub keep_free_bytes: u64,
}

/// Opens one package manager.
type Open = fn(&PackageSettings) -> Result<Arc<dyn PackageManager>, PackageError>;

/// Every package manager that this agent has, in the order in which they are looked for.
pub const BUILT_INS: &[(Manager, Open)] = &[(Manager::Dpkg, apt::open), (Manager::Simulated, simulated::open)];

/// Opens the package manager of this name.
pub fn open(manager: Manager, settings: &PackageSettings) -> Result<Arc<dyn PackageManager>, PackageError> {
    let built_in = BUILT_INS.iter().find(|(named, _)| *named == manager);
    built_in.ok_or(PackageError::NoSuchManager { manager }).and_then(|(_, open)| open(settings))
}

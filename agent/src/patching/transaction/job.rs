//! The directory through which an agent hands a transaction to another process, and learns how it ended.
//!
//! * `job.json`: offered. Whoever renames it decides: the process that begins it renames it to `claimed.json`, an agent that does not want
//!   it any more to `cancelled.json`; a rename happens once, so a transaction begins at most once and never after it was called off.
//! * `running.json`: the process that is about to claim, or did.
//! * `result.json`: how it ended, written as a whole and synced.
//! * `0.out`, `0.err`, …: what the commands said, bounded.
//!
//! All files are 0600 in a directory 0700 of the agent's own user, and the process checks that before it believes them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use patchwave_common::domain::Manager;
use patchwave_common::runtime::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::packages::{PackageSettings, Step};
use crate::patching::machine::{LeaseDeadline, TransactionName, TransactionOutcome};

/// Version of the files' form: an agent that was upgraded while a transaction ran reads what the old one wrote, or says that it cannot.
const FORMAT: u32 = 1;
/// Bound on a job: it may hold the staged set of some thousands of packages.
const JOB_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Bound on the other files.
const SMALL_MAX_BYTES: u64 = 1024 * 1024;

/// What a transaction is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    format: u32,
    /// Its name.
    pub transaction: TransactionName,
    /// What must hold at the moment of beginning; nothing for repairs and take-backs.
    pub conditions: Option<Conditions>,
    /// The package manager that performs the steps' file actions.
    pub manager: Manager,
    /// How it is opened.
    pub packages: PackageSettings,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// All steps together may take so many seconds.
    pub time_limit_secs: u64,
}

/// What an apply transaction must find at the very moment at which it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// A live lease (rule 2).
    pub lease: LeaseDeadline,
    /// No local hold in this state directory.
    pub hold_in: PathBuf,
}

/// The process that carries a transaction out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The boot that it runs in.
    pub boot_id: String,
    /// Its process id, which is its session's too.
    pub pid: i32,
    /// When it started, in the kernel's ticks since boot: with the process id it names a process for one boot.
    pub start_ticks: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ResultFile {
    format: u32,
    outcome: TransactionOutcome,
}

/// Why a transaction's files are not believed or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or directory that somebody else could have written.
    #[error("{} is not trusted: {why} (hint: it must belong to the agent's user and be closed to everybody else)", path.display())]
    Untrusted {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A file that does not hold what it should.
    #[error("{} cannot be understood: {detail}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

impl Job {
    /// A job in this release's form.
    #[must_use]
    pub fn new(transaction: TransactionName, conditions: Option<Conditions>, manager: Manager, packages: PackageSettings) -> Self {
        Self { format: FORMAT, transaction, conditions, manager, packages, steps: Vec::new(), time_limit_secs: 0 }
    }
}

/// A transaction's directory.
#[derive(Debug, Clone)]
pub struct JobDirectory {
    path: PathBuf,
}

impl JobDirectory {
    /// The directory at `path`, which may not be there yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Offers a job.
    pub fn offer(&self, job: &Job) -> Result<(), JobError> {
        atomic_file::private_directory(&self.path)?;
        self.write("job.json", job)
    }

    /// Calls a job off; `true` if it was not claimed and never can be from now on.
    pub fn cancel(&self) -> Result<bool, JobError> {
        self.rename("job.json", "cancelled.json")
    }

    /// Takes a job on; `None` where it was called off, or taken before.
    pub fn claim(&self) -> Result<Option<Job>, JobError> {
        self.trust_directory()?;
        // Read before the rename: what cannot be read is not begun.
        let Some(job) = self.read::<Job>("job.json", JOB_MAX_BYTES)? else { return Ok(None) };
        if job.format != FORMAT {
            return Err(self.unreadable("job.json", format!("it has form {}, this release knows {FORMAT}", job.format)));
        }
        Ok(self.rename("job.json", "claimed.json")?.then_some(job))
    }

    /// Whether a process took the job on.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        self.path.join("claimed.json").exists()
    }

    /// Names the process that is about to claim.
    pub fn write_running(&self, running: &Running) -> Result<(), JobError> {
        self.trust_directory()?;
        self.write("running.json", running)
    }

    /// The process that claimed, or was about to.
    pub fn running(&self) -> Result<Option<Running>, JobError> {
        self.read("running.json", SMALL_MAX_BYTES)
    }

    /// Says how it ended.
    pub fn write_result(&self, outcome: &TransactionOutcome) -> Result<(), JobError> {
        self.write("result.json", &ResultFile { format: FORMAT, outcome: outcome.clone() })
    }

    /// How it ended, where it did.
    pub fn result(&self) -> Result<Option<TransactionOutcome>, JobError> {
        Ok(self.read::<ResultFile>("result.json", SMALL_MAX_BYTES)?.map(|file| file.outcome))
    }

    /// Refuses a directory that others could write to.
    fn trust_directory(&self) -> Result<(), JobError> {
        let metadata =
            fs::symlink_metadata(&self.path).map_err(|source| FileError::Io { action: "examine", path: self.path.clone(), source })?;
        let why = if !metadata.is_dir() {
            "it is no directory"
        } else if metadata.uid() != rustix::process::geteuid().as_raw() {
            "it belongs to another user"
        } else if metadata.mode() & 0o077 != 0 {
            "others may enter it"
        } else {
            return Ok(());
        };
        Err(JobError::Untrusted { path: self.path.clone(), why })
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, JobError> {
        let io = |action| move |source| FileError::Io { action, path: self.path.join(from), source };
        match fs::rename(self.path.join(from), self.path.join(to)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io("rename")(error).into()),
        }
        File::open(&self.path).and_then(|directory| directory.sync_all()).map_err(io("sync the directory of"))?;
        Ok(true)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), JobError> {
        let bytes = serde_json::to_vec(value).map_err(|error| self.unreadable(name, error.to_string()))?;
        Ok(atomic_file::write(&self.path.join(name), &bytes, atomic_file::MODE_SECRET)?)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str, max_bytes: u64) -> Result<Option<T>, JobError> {
        let path = self.path.join(name);
        let Some(file) = open_trusted(&path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let io = |source| FileError::Io { action: "read", path: path.clone(), source };
        let length = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        if length as u64 > max_bytes {
            return Err(FileError::TooLong { path, max_bytes }.into());
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.unreadable(name, error.to_string()))
    }

    fn unreadable(&self, name: &str, detail: String) -> JobError {
        JobError::Unreadable { path: self.path.join(name), detail }
    }
}

/// Opens a file that only the present user could have written; the open file is asked, so it is the one that is read.
fn open_trusted(path: &Path) -> Result<Option<File>, JobError> {
    let io = |source| FileError::Io { action: "open", path: path.to_owned(), source };
    let no_follow = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error).into()),
    };
    let metadata = file.metadata().map_err(io)?;
    let why = if !metadata.is_file() {
        "it is no regular file"
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        "it belongs to another user"
    } else if metadata.mode() & 0o077 != 0 {
        "others may read or write it"
    } else {
        return Ok(Some(file));
    };
    Err(JobError::Untrusted { path: path.to_owned(), why })
}

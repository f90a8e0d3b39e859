//! The one way for the rest of the agent to patching: commands in, events out, a status to look at.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{
    Digest, Directive, DirectiveHistory, DirectiveProgress, Generation, Lease, QuarantineKey, RolloutId, StageRequest, StageResult,
};
use patchwave_common::runtime::atomic_file::{self, FileError};
use patchwave_common::runtime::clock::Clock;
use tokio::sync::{mpsc, watch};

use super::{PatchingSettings, driver};
use crate::packages::PackageManager;

/// Commands wait in a queue of this length; a session that is faster than the driver waits. A session sends a handful a minute.
pub(super) const COMMANDS: usize = 64;
/// Events wait in a queue of this length. A session that does not take them loses those beyond; the next hello tells the whole history.
pub(super) const EVENTS: usize = 256;
/// Bound on the status file: one history and a few sentences.
const STATUS_MAX_BYTES: u64 = 1024 * 1024;

/// What the session tells patching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A session begins. To be sent before the hello is made: leases count from here at the earliest.
    Connected,
    /// The welcome's time.
    ClockOffset {
        /// The controller's clock minus this host's, in milliseconds.
        offset_ms: i64,
    },
    /// An order.
    Directive(Box<Directive>),
    /// An order is void unless its transaction has begun.
    Withdraw(Generation),
    /// Leave to begin.
    Lease {
        /// As the controller gave it.
        lease: Lease,
        /// Boot time of the question that it answers, in milliseconds.
        asked_ms: u64,
    },
    /// The controller is done with a directive.
    Conclude {
        /// Which.
        generation: Generation,
        /// How long its originals stay.
        keep_originals: Duration,
    },
    /// All versions in quarantine.
    Quarantine(Vec<QuarantineKey>),
    /// Download ahead.
    Stage(StageRequest),
}

/// What patching tells the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// About a directive.
    Progress {
        /// Which.
        generation: Generation,
        /// Its rollout.
        rollout: RolloutId,
        /// What happened.
        progress: DirectiveProgress,
    },
    /// A stage request ended.
    Staged {
        /// The rollout that asked.
        rollout: RolloutId,
        /// Root of its plan.
        plan_root: Digest,
        /// How.
        result: StageResult,
    },
}

/// Where patching stands, for the hello and for `patchwave-agent status`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PatchingStatus {
    /// In a word, e.g. `idle`, `applying`, `taking back`.
    pub state: String,
    /// Everything reported about the present directive, or about the one that ended last.
    pub history: Option<DirectiveHistory>,
    /// Newest generation seen.
    pub newest_generation: Option<Generation>,
    /// The local hold's reason while it is on.
    pub hold: Option<String>,
    /// Receipts and journals lie here.
    pub directory: PathBuf,
}

/// Why patching cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PatchingError {
    /// A file of patching's own cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Patching, running. Dropping the last handle ends the driver; a transaction in flight goes on and is found again at the next start.
#[derive(Clone)]
pub struct PatchingHandle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<PatchingStatus>,
}

impl std::fmt::Debug for PatchingHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PatchingHandle").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl PatchingHandle {
    /// Reads what an earlier run left and goes on. Call it inside a tokio runtime.
    pub fn start(
        settings: PatchingSettings,
        manager: Arc<dyn PackageManager>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, mpsc::Receiver<Event>), PatchingError> {
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let (event_sender, events) = mpsc::channel(EVENTS);
        let status = driver::start(settings, manager, clock, command_receiver, event_sender)?;
        Ok((Self { commands, status }, events))
    }

    /// Tells patching something; waits while the queue is full. `false` where the driver has ended, which it does only with the process.
    pub async fn send(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// The status, as it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<PatchingStatus> {
        self.status.clone()
    }
}

fn status_path(state_dir: &Path) -> PathBuf {
    state_dir.join("patching").join("status.json")
}

/// Writes the status file.
pub(super) fn write_status(state_dir: &Path, status: &PatchingStatus) -> Result<(), FileError> {
    let path = status_path(state_dir);
    let bytes = serde_json::to_vec(status).map_err(|error| FileError::Io { action: "write", path: path.clone(), source: error.into() })?;
    atomic_file::write(&path, &bytes, atomic_file::MODE_SECRET)
}

/// The status that a running agent wrote last; `None` where none ever did. For the command line, which is another process.
pub fn read_status(state_dir: &Path) -> Result<Option<PatchingStatus>, FileError> {
    match atomic_file::read_bounded(&status_path(state_dir), STATUS_MAX_BYTES) {
        // A status of another release is no status; the next change writes a new one.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

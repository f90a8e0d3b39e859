//! The service: puts identity, packages, patching and session together and keeps them running until it is told to end.
//!
//! There are two kinds of agent, told apart by the identity that enrolment wrote and by types from there on: [`managed`] makes patching
//! and the hands that use it; a report-only agent is built without either and sees its packages through
//! [`crate::session::contents::ReadOnly`] alone.
//!
//! One thread runs everything that waits; what blocks (reading packages, fetching indexes) goes to a few threads that end when idle. At
//! the end nothing needs to be finished: transactions run outside the agent, and every file is written whole or not at all.

mod controller;
pub mod lock;
pub mod managed;
pub mod notify;
pub mod open;
mod parts;
pub mod status_file;
mod watch_host;

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::HostMode;
use patchwave_common::runtime::atomic_file::{self, FileError};
use patchwave_common::runtime::clock::{Clock, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::lock::{InstanceLock, LockError};
use self::managed::{ManagedHands, forward};
use self::notify::Notify;
use self::parts::Parts;
pub use self::watch_host::read_facts;
use crate::config::Settings;
use crate::identity::{HostIdentityError, IdentityStore};
use crate::packages::PackageError;
use crate::patching::{PatchingError, PatchingHandle, Runner};
use crate::session::contents::ReadOnly;
use crate::session::hands::NoHands;

/// Events of the host that wait for the session; it takes them at once unless it writes to disk.
const LOCAL_EVENTS: usize = 256;
/// Threads for blocking work: inventory, candidates, a refresh and patching's own, at once.
const BLOCKING_THREADS: usize = 8;
/// An idle thread's stack is given back after this.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The status file is written at most so often.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another agent runs.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The host is not enrolled, or its identity is damaged.
    #[error(transparent)]
    Identity(#[from] HostIdentityError),
    /// The packages cannot be reached.
    #[error(transparent)]
    Packages(#[from] PackageError),
    /// Patching cannot start.
    #[error(transparent)]
    Patching(#[from] PatchingError),
    /// The runtime or a signal handler cannot be made.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// A part of the agent ended although none ever does.
    #[error("a part of the agent ended by itself; hint: its last words are in the log above")]
    PartEnded,
}

/// Runs the agent until SIGTERM or SIGINT. `runner` is how this program is started again to carry out a transaction.
///
/// # Errors
/// What keeps it from starting; or that a part of it ended, so that the service manager starts it anew.
pub fn run(settings: Settings, runner: Runner) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build()
        .map_err(RunError::Start)?;
    let result = runtime.block_on(serve(settings, runner));
    // Whatever blocks still (a candidate search, say) changes nothing that matters.
    runtime.shutdown_background();
    result
}

async fn serve(settings: Settings, runner: Runner) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Start)?;
    let notify = Arc::new(Notify::from_environment());
    atomic_file::private_directory(&settings.state_dir)?;
    let _lock = InstanceLock::take(&settings.state_dir)?;
    let store = IdentityStore::new(&settings.state_dir);
    let identity = store.load()?;
    let manager = open::open_packages(&settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut tasks = JoinSet::new();
    match identity.mode {
        HostMode::ReportOnly => {
            let (parts, _) = Parts::new(settings, store, identity, ReadOnly::new(manager), clock)?;
            parts.start(NoHands, &notify, &mut tasks).await?;
        }
        HostMode::Managed => {
            let patching = open::patching_settings(&settings, runner);
            let packages = ReadOnly::new(Arc::clone(&manager));
            let (parts, events) = Parts::new(settings, store, identity, packages, Arc::clone(&clock))?;
            let (patching, news) = PatchingHandle::start(patching, Arc::clone(&manager), clock)?;
            tasks.spawn(forward(news, events));
            parts.start(ManagedHands::new(patching, manager), &notify, &mut tasks).await?;
        }
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to end (SIGTERM)"),
        _ = interrupt.recv() => tracing::info!("told to end (SIGINT)"),
        _ = tasks.join_next() => return Err(RunError::PartEnded),
    }
    notify.stopping();
    Ok(())
}

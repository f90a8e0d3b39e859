//! The running agent's own account of itself, a file for `patchwave-agent status`.
//!
//! Written when something changed, at most once a second and never for a heartbeat. Whether the agent still runs is not told by the file
//! but by the lock.

use std::path::{Path, PathBuf};

use patchwave_common::domain::{HostId, HostMode, InstanceId, Timestamp};
use patchwave_common::runtime::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::session::status::SessionStatus;

/// For the owner and the owner's group (an administrators' group on a real host).
const MODE: u32 = 0o640;
/// Bound on the file: a dozen fields and a sentence.
const MAX_BYTES: u64 = 64 * 1024;

/// How the agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Process id.
    pub pid: u32,
    /// The agent's version.
    pub version: String,
    /// This run.
    pub instance: InstanceId,
    /// When it started.
    pub started: Timestamp,
    /// Who the host is, by its certificate.
    pub host: HostId,
    /// What the host agreed to at enrolment.
    pub mode: HostMode,
    /// The controller's address.
    pub controller: String,
    /// When the certificate ends.
    pub certificate_until: Timestamp,
    /// The session.
    pub session: SessionStatus,
}

/// Where it is.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("status.json")
}

/// Writes it; blocks.
///
/// # Errors
/// The file cannot be written.
pub fn write(state_dir: &Path, status: &AgentStatus) -> Result<(), FileError> {
    atomic_file::write(&path(state_dir), &serde_json::to_vec_pretty(status).unwrap_or_default(), MODE)
}

/// What the last run wrote; `None` where none ever did, or where it is of another release.
///
/// # Errors
/// The file cannot be read.
pub fn read(state_dir: &Path) -> Result<Option<AgentStatus>, FileError> {
    match atomic_file::read_bounded(&path(state_dir), MAX_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

//! One agent a state directory: a second one would fight over the journal and look to the controller like a cloned host.
//!
//! The lock is the kernel's (`flock`), so it is gone with the process, however that ended. The file stays.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

const FILE: &str = "agent.lock";

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent has it.
    #[error("another agent runs on {}; hint: `systemctl status patchwave-agent`, or give this one a state directory of its own", state_dir.display())]
    Running {
        /// The state directory.
        state_dir: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The right to be the agent of a state directory, until dropped.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock; the state directory must be there.
    ///
    /// # Errors
    /// Another agent has it, or the file cannot be used.
    pub fn take(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(FILE);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = opened.map_err(|source| LockError::Io { path: path.clone(), source })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Running { state_dir: state_dir.to_owned() }),
            Err(errno) => Err(LockError::Io { path, source: errno.into() }),
        }
    }
}

/// Whether an agent runs on this state directory. Where the file cannot be looked at, none can be told of.
#[must_use]
pub fn is_running(state_dir: &Path) -> bool {
    let Ok(file) = File::open(state_dir.join(FILE)) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_agent_on_one_state_directory_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_running(directory.path()));
        let first = InstanceLock::take(directory.path()).unwrap();
        assert!(is_running(directory.path()));
        assert!(matches!(InstanceLock::take(directory.path()), Err(LockError::Running { .. })));
        drop(first);
        assert!(!is_running(directory.path()));
        InstanceLock::take(directory.path()).unwrap();
    }
}

//! Whether another process works on the packages: asks the kernel who holds the lock, takes none itself.

use std::fs::File;
use std::path::PathBuf;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::layout::Layout;
use crate::packages::{LockState, PackageError};

/// apt's lock first: it is held for a whole transaction, dpkg's own for each run of dpkg.
pub(crate) fn state(layout: &Layout) -> Result<LockState, PackageError> {
    for name in ["lock-frontend", "lock"] {
        let path = layout.dpkg().join(name);
        if let Some(process) = holder(&path)? {
            return Ok(LockState::Held { process, lock: path });
        }
    }
    Ok(LockState::Free)
}

/// The process that holds a lock; the inner `None` where the kernel does not tell (another container's).
#[allow(clippy::option_option)]
fn holder(path: &PathBuf) -> Result<Option<Option<u32>>, PackageError> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Never locked on this root.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PackageError::io("open", path)(error)),
    };
    let whole = Flock::from(FlockType::WriteLock);
    let found = fcntl_getlk(&file, &whole).map_err(|error| PackageError::io("ask for the lock on", path)(error.into()))?;
    Ok(found.map(|lock| lock.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())))
}

//! The local hold: while its file is there, no change begins on this host. It is a file so that it works with the agent down, survives
//! reboots, and is looked at by the process that begins a transaction at the very moment of beginning.

use std::path::{Path, PathBuf};

use patchwave_common::domain::clean_text;
use patchwave_common::runtime::atomic_file::{self, FileError};

/// Bound on the file; a reason is a sentence.
const HOLD_MAX_BYTES: u64 = 4096;
const REASON_MAX_CHARS: usize = 500;

/// The hold's file in patching's state directory.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("hold")
}

/// Puts the hold on, or changes its reason.
pub fn set(state_dir: &Path, reason: &str) -> Result<(), FileError> {
    atomic_file::private_directory(state_dir)?;
    atomic_file::write(&path(state_dir), clean_text(reason.trim(), REASON_MAX_CHARS).as_bytes(), atomic_file::MODE_SECRET)
}

/// Lifts the hold; one that is not on is no error.
pub fn lift(state_dir: &Path) -> Result<(), FileError> {
    atomic_file::remove(&path(state_dir))
}

/// The hold's reason while it is on. A file that cannot be read holds too: the owner wanted something.
#[must_use]
pub fn read(state_dir: &Path) -> Option<String> {
    match atomic_file::read_bounded(&path(state_dir), HOLD_MAX_BYTES) {
        Ok(bytes) => {
            let reason = clean_text(String::from_utf8_lossy(&bytes).trim(), REASON_MAX_CHARS);
            Some(if reason.is_empty() { "no reason was given".to_owned() } else { reason })
        }
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hold_is_on_from_set_to_lift_and_tells_its_reason_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), None);
        set(directory.path(), "  month end\nclosing ").unwrap();
        assert_eq!(read(directory.path()).unwrap(), "month end closing");
        set(directory.path(), "").unwrap();
        assert!(read(directory.path()).is_some(), "a hold without a reason holds");
        lift(directory.path()).unwrap();
        lift(directory.path()).unwrap();
        assert_eq!(read(directory.path()), None);
    }

    #[test]
    fn a_hold_that_cannot_be_read_holds() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(path(directory.path())).unwrap();
        assert!(read(directory.path()).is_some());
    }
}

//! The local hold: the host's owner says "change nothing", and no order from outside lifts it.
//!
//! It is a file in the state directory, so it holds across restarts and is seen by the agent, by a transaction that is about to begin,
//! and by `doctor`. What has begun finishes; the hold stops the next change.

use std::path::{Path, PathBuf};

use patchwave_common::domain::{Timestamp, clean_text};
use patchwave_common::runtime::atomic_file::{self, FileError, MODE_PUBLIC};
use serde::{Deserialize, Serialize};

/// Bound on the file: a reason of a line.
const MAX_BYTES: u64 = 4096;
/// Characters of a reason; it stands in tables.
pub const MAX_REASON_CHARS: usize = 200;

/// A hold that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, in the owner's words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// Where the hold of an agent with this state directory stands.
#[must_use]
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("hold.json")
}

/// The hold, if it is on. A file that cannot be read or understood counts as a hold: who wrote it wanted changes to stop.
#[must_use]
pub fn read(state_dir: &Path) -> Option<Hold> {
    let unreadable = |why: String| Hold { reason: format!("the hold file cannot be read: {why}"), since: Timestamp(0) };
    match atomic_file::read_bounded(&path(state_dir), MAX_BYTES) {
        Ok(bytes) => Some(match serde_json::from_slice::<Hold>(&bytes) {
            Ok(hold) => Hold { reason: clean_text(&hold.reason, MAX_REASON_CHARS), since: hold.since },
            Err(error) => unreadable(error.to_string()),
        }),
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(unreadable(error.to_string())),
    }
}

/// Sets the hold; one that is on gets the new reason and keeps its instant.
///
/// # Errors
/// The file could not be written.
pub fn set(state_dir: &Path, reason: &str, now: Timestamp) -> Result<Hold, FileError> {
    let since = read(state_dir).map_or(now, |hold| hold.since);
    let hold = Hold { reason: clean_text(reason.trim(), MAX_REASON_CHARS), since };
    let bytes = serde_json::to_vec(&hold).unwrap_or_default();
    atomic_file::write(&path(state_dir), &bytes, MODE_PUBLIC).map(|()| hold)
}

/// Lifts the hold; tells whether one was on.
///
/// # Errors
/// The file could not be removed.
pub fn lift(state_dir: &Path) -> Result<bool, FileError> {
    let was_on = read(state_dir).is_some();
    atomic_file::remove(&path(state_dir)).map(|()| was_on)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_hold_stays_until_it_is_lifted_and_remembers_since_when() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()), None);
        set(directory.path(), " quarter end\n", Timestamp(5)).unwrap();
        set(directory.path(), "still", Timestamp(9)).unwrap();
        assert_eq!(read(directory.path()), Some(Hold { reason: "still".into(), since: Timestamp(5) }));
        assert!(lift(directory.path()).unwrap());
        assert!(!lift(directory.path()).unwrap());
        assert_eq!(read(directory.path()), None);
    }

    #[test]
    fn a_hold_file_that_makes_no_sense_is_a_hold() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(path(directory.path()), "rubbish").unwrap();
        assert!(read(directory.path()).unwrap().reason.contains("cannot be read"));
    }
}

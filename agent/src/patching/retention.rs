//! How long receipts, originals and staged files stay: so long after the controller concluded their case, within a bound of bytes.
//!
//! What is at hand is never deleted. Beyond the bound the oldest goes first: staged files of rollouts, then cases that were concluded,
//! then the others that are over, and those that need a person's attention last.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use patchwave_common::domain::{Digest, Generation, RolloutId, Timestamp};
use patchwave_common::runtime::atomic_file::{self, FileError};
use serde::{Deserialize, Serialize};

use super::machine::{Case, End, Standing};
use super::store::{Layout, Store};
use crate::packages::clean_stage;

const DAY: Duration = Duration::from_secs(86_400);
/// Staged files of a rollout: as long as a policy keeps originals by default. A rollout that still waits then stages again.
const STAGED_DAYS: u32 = 14;
/// A case on which nothing was begun has nothing to return to; its journal is kept for a look at yesterday.
const REFUSED_DAYS: u32 = 1;
/// A case that ended and was never concluded: its controller may be gone for good.
const ENDED_DAYS: u32 = 30;
/// A case that needs attention, after which nobody will look.
const ATTENTION_DAYS: u32 = 90;
/// Bound on a note of staged files: 100,000 digests.
const NOTE_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// How a case's directory is named while it is deleted.
const DOOMED: &str = ".deleted";

/// What cleaning goes by.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The civil time.
    pub now: Timestamp,
    /// Everything together may take so much.
    pub disk_bound_bytes: u64,
    /// The case at hand.
    pub present: Option<Generation>,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Cases with their receipts.
    pub cases: usize,
    /// Rollouts' staged files.
    pub stagings: usize,
    /// Bytes of staged files.
    pub stage_bytes: u64,
}

/// What a rollout staged, kept beside the stage directory, whose files many rollouts share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedNote {
    /// When.
    pub at: Timestamp,
    /// Its files.
    pub digests: Vec<Digest>,
}

impl StagedNote {
    /// Keeps the note; a rollout's name is a file name.
    pub fn save(&self, layout: &Layout, rollout: &RolloutId) -> Result<(), FileError> {
        let path = layout.staged_directory().join(format!("{rollout}.json"));
        let bytes =
            serde_json::to_vec(self).map_err(|error| FileError::Io { action: "write", path: path.clone(), source: error.into() })?;
        atomic_file::write(&path, &bytes, atomic_file::MODE_SECRET)
    }
}

/// One thing that could go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Case(Generation),
    Staging(RolloutId),
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    item: Item,
    /// What goes first beyond the bound: smaller ranks.
    rank: u8,
    /// When it began to age.
    since: Timestamp,
    /// When it goes in any case.
    until: Timestamp,
    bytes: u64,
}

/// Deletes what is beyond its time or the bound. Not while anything is staged.
pub fn clean(store: &Mutex<Store>, stage_dir: &Path, bounds: &Bounds, needed: &[Digest]) -> Result<Cleaned, String> {
    let (layout, cases) = {
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        (store.layout().clone(), store.cases().map_err(|error| error.to_string())?)
    };
    remove_doomed(&layout.cases_directory())?;
    let notes = read_notes(&layout);
    let mut entries: Vec<Entry> = cases.cases.values().filter_map(|case| case_entry(case, bounds, &layout)).collect();
    entries.extend(notes.iter().map(|(rollout, note)| Entry {
        item: Item::Staging(rollout.clone()),
        rank: 0,
        since: note.at,
        until: note.at.plus(DAY * STAGED_DAYS),
        bytes: note.digests.iter().map(|digest| staged_bytes(stage_dir, *digest)).sum(),
    }));
    let mut cleaned = Cleaned::default();
    let total = bytes_below(&layout.cases_directory()).saturating_add(bytes_below(stage_dir));
    let going = choose(entries, total, bounds);
    for item in &going {
        match item {
            Item::Case(generation) => {
                remove_case(&layout.case_directory(*generation))?;
                cleaned.cases += 1;
            }
            Item::Staging(rollout) => {
                let path = layout.staged_directory().join(format!("{rollout}.json"));
                atomic_file::remove(&path).map_err(|error| error.to_string())?;
                cleaned.stagings += 1;
            }
        }
    }
    let kept = notes.iter().filter(|(rollout, _)| !going.contains(&Item::Staging(rollout.clone())));
    let mut keep: BTreeSet<Digest> = kept.flat_map(|(_, note)| note.digests.iter().copied()).collect();
    keep.extend(needed);
    cleaned.stage_bytes = clean_stage(stage_dir, &keep).map_err(|error| error.to_string())?;
    Ok(cleaned)
}

/// What goes: everything beyond its time, then by rank and age until the rest is within the bound.
fn choose(mut entries: Vec<Entry>, total: u64, bounds: &Bounds) -> Vec<Item> {
    entries.sort_by_key(|entry| (entry.rank, entry.since));
    let mut left = total;
    let mut going = Vec::new();
    for expired in [true, false] {
        for entry in &entries {
            let goes = if expired { entry.until <= bounds.now } else { left > bounds.disk_bound_bytes };
            if goes && !going.contains(&entry.item) {
                left = left.saturating_sub(entry.bytes);
                going.push(entry.item.clone());
            }
        }
    }
    going
}

fn case_entry(case: &Case, bounds: &Bounds, layout: &Layout) -> Option<Entry> {
    let generation = case.apply.generation;
    if bounds.present == Some(generation) {
        return None;
    }
    let Standing::Ended(end) = &case.standing else { return None };
    let (rank, since, keep) = match (end, case.concluded) {
        (End::NeedsAttention { .. }, _) => (3, case.accepted_at, DAY * ATTENTION_DAYS),
        (_, Some((at, keep))) => (1, at, keep),
        (End::Refused(_), None) if !case.changed => (1, case.accepted_at, DAY * REFUSED_DAYS),
        (_, None) => (2, case.accepted_at, DAY * ENDED_DAYS),
    };
    let bytes = bytes_below(&layout.case_directory(generation));
    Some(Entry { item: Item::Case(generation), rank, since, until: since.plus(keep), bytes })
}

fn read_notes(layout: &Layout) -> Vec<(RolloutId, StagedNote)> {
    let Ok(entries) = fs::read_dir(layout.staged_directory()) else { return Vec::new() };
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let rollout = RolloutId::parse(name.to_str()?.strip_suffix(".json")?).ok()?;
        let bytes = atomic_file::read_bounded(&entry.path(), NOTE_MAX_BYTES).ok()?;
        Some((rollout, serde_json::from_slice(&bytes).ok()?))
    };
    entries.filter_map(|entry| read(entry.ok()?)).collect()
}

/// Renamed first, so that a case is there as a whole or not at all.
fn remove_case(directory: &Path) -> Result<(), String> {
    let doomed = directory.with_file_name(format!(".{}{DOOMED}", directory.file_name().unwrap_or_default().to_string_lossy()));
    let failed = |error: std::io::Error| format!("cannot delete {}: {error}", directory.display());
    fs::rename(directory, &doomed).map_err(failed)?;
    fs::remove_dir_all(&doomed).map_err(failed)
}

/// Finishes deletions that were interrupted.
fn remove_doomed(cases: &Path) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(cases) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(DOOMED)) {
        fs::remove_dir_all(&path).map_err(|error| format!("cannot delete {}: {error}", path.display()))?;
    }
    Ok(())
}

fn staged_bytes(stage_dir: &Path, digest: Digest) -> u64 {
    fs::metadata(stage_dir.join(format!("{digest}.deb"))).map_or(0, |metadata| metadata.len())
}

/// Bytes on disk below a directory; a file with several names there counts once. What cannot be read counts as nothing.
fn bytes_below(directory: &Path) -> u64 {
    let mut seen = BTreeSet::new();
    let mut total: u64 = 0;
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                waiting.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                total = total.saturating_add(metadata.len());
            }
        }
    }
    total
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;

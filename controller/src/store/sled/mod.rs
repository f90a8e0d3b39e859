//! The selectable embedded store: sled, one folder (mode 0700).
//!
//! Measured of sled 0.34, and what is done about it here:
//! * Its `flush` is not an fsync on Linux, so [`sync_files`] syncs the log, the blobs and the folders before a commit is acknowledged.
//! * After a torn or cut tail it opens with silent holes among older rows, at an older state, or panics. So every commit carries a number,
//!   the highest acknowledged one stands in a file beside the log, and every opening reads all rows and compares their number and sum with
//!   what they must be ([`Engine::VERIFY_ON_OPEN`]). What does not fit is refused as damaged; nothing is mended.
//! * After kill -9 on a busy machine about one store in five hundred does not open again ("corruption"), which is refused in the same way.
//! * When the disk fills up under it, it hangs. So a commit is tried only while there is room for it and to spare ([`SPARE_BYTES`]).
//! * It has no snapshots: one is a copy in memory, taken while writes wait.
//!
//! redb, which refuses every damage by itself, is the default.

#[cfg(test)]
mod power_cut;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::embedded::engine::{Engine, RowChange, Rows, Visit};
use super::{Result, StoreError};

/// Pages kept in memory; see the same constant of redb.
const CACHE_BYTES: u64 = 64 << 20;
/// Room that must be left beside what a commit writes: sled writes whole segments of 512 KiB and moves rows on the side.
const SPARE_BYTES: u64 = 8 << 20;
/// The row that numbers commits; behind every table of the adapter.
const COMMITS_KEY: &[u8] = &[u8::MAX, 0];
/// File beside the log with the number of the last acknowledged commit.
const ACKNOWLEDGED_FILE: &str = "patchwave-acknowledged";
/// File whose lock keeps a second controller out; sled's own error for that cannot be told from others.
const LOCK_FILE: &str = "patchwave-lock";

/// Sled's threads let go within milliseconds of the last handle's end, on a busy machine within some hundred.
const LET_GO_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const LET_GO_PAUSE: Duration = Duration::from_millis(10);

/// Rows in a sled database.
pub(crate) struct SledEngine {
    path: PathBuf,
    database: sled::Db,
    acknowledged: File,
    state: Mutex<State>,
    syncs: AtomicU64,
    /// Whether a commit failed inside sled, which takes no more after that.
    broken: AtomicBool,
    /// Held open for its lock.
    _lock: File,
}

struct State {
    commits: u64,
    /// Blobs that are on disk; they are written once.
    synced_blobs: HashSet<OsString>,
}

impl SledEngine {
    /// Opens the folder or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io = |doing: &str, error: &std::io::Error| StoreError::io(path, doing, error);
        if !path.exists() {
            DirBuilder::new().mode(0o700).create(path).map_err(|error| io("make the folder", &error))?;
            let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(above).and_then(|above| above.sync_all()).map_err(|error| io("sync the folder above", &error))?;
        }
        let private_file =
            |name: &str| OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path.join(name));
        let lock = private_file(LOCK_FILE).map_err(|error| io("open the lock file", &error))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => StoreError::InUse { path: path.to_owned() },
            std::fs::TryLockError::Error(error) => io("lock", &error),
        })?;
        let acknowledged = private_file(ACKNOWLEDGED_FILE).map_err(|error| io("open the file of commits", &error))?;
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let (database, commits) = guarded(path, || {
            let database = open_when_let_go(&config).map_err(|error| translate(path, error))?;
            let commits = database.get(COMMITS_KEY).map_err(|error| translate(path, error))?;
            Ok((database, commits.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes)))
        })?;
        let promised = read_number(&acknowledged).map_err(|error| io("read the file of commits", &error))?;
        if commits < promised {
            let detail = format!("the last {} commits that were acknowledged are gone", promised - commits);
            return Err(StoreError::damaged(path, detail));
        }
        let state = Mutex::new(State { commits, synced_blobs: HashSet::new() });
        Ok(Self {
            path: path.to_owned(),
            database,
            acknowledged,
            state,
            syncs: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// How often a commit was synced, for the test that watches this.
    #[cfg(test)]
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    /// Refuses a commit that might not fit.
    fn check_room(&self, rows: &[RowChange]) -> Result<()> {
        let bytes: usize = rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        let disk = rustix::fs::statvfs(&self.path).map_err(|error| StoreError::io(&self.path, "ask for free space", &error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let needed = (bytes as u64).saturating_mul(2).saturating_add(SPARE_BYTES);
        if free < needed { Err(StoreError::Full { path: self.path.clone() }) } else { Ok(()) }
    }

    /// Syncs every file that a commit may have written: the log, new blobs, and the folders that name them.
    fn sync_files(&self, state: &mut State) -> std::io::Result<()> {
        File::open(self.path.join("db"))?.sync_all()?;
        let blobs = self.path.join("blobs");
        let mut present = HashSet::new();
        if blobs.is_dir() {
            for blob in std::fs::read_dir(&blobs)? {
                let name = blob?.file_name();
                if !state.synced_blobs.contains(&name) {
                    File::open(blobs.join(&name))?.sync_all()?;
                }
                present.insert(name);
            }
            if present.difference(&state.synced_blobs).next().is_some() {
                File::open(&blobs)?.sync_all()?;
            }
        }
        state.synced_blobs = present;
        File::open(&self.path)?.sync_all()?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// The number in the file of commits; 0 in a new one.
fn read_number(file: &File) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(u64::from_be_bytes(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

/// Runs a part of sled that is known to panic on damaged files.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(StoreError::damaged(path, "sled gave up on its files")))
}

/// Sled lets go of its own lock some time after its last handle is gone. Ours is held here, so nobody else has the folder open.
#[allow(clippy::disallowed_methods)] // Nothing tells when sled has let go.
fn open_when_let_go(config: &sled::Config) -> sled::Result<sled::Db> {
    let deadline = Instant::now() + LET_GO_LIMIT;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") && Instant::now() < deadline => {
                std::thread::sleep(LET_GO_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn translate(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => StoreError::damaged(path, "its log is cut off"),
        sled::Error::Io(error) => StoreError::io(path, "read or write", &error),
        sled::Error::Corruption { at, .. } => StoreError::damaged(path, format!("sled found corruption at {at:?}")),
        sled::Error::ReportableBug(detail) => StoreError::damaged(path, detail),
        error => StoreError::Io { path: path.to_owned(), detail: error.to_string() },
    }
}

impl Rows for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(&self.path, || {
            let found = self.database.get(key).map_err(|error| translate(&self.path, error))?;
            Ok(found.map(|value| value.to_vec()))
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        guarded(&self.path, || {
            for row in self.database.range::<&[u8], _>(from..to) {
                let (key, value) = row.map_err(|error| translate(&self.path, error))?;
                if !visit(&key, &value)? {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Engine for SledEngine {
    const VERIFY_ON_OPEN: bool = true;

    fn commit(&self, rows: Vec<RowChange>) -> Result<()> {
        self.check_room(&rows)?;
        // Until all of it is done.
        self.broken.store(true, Ordering::SeqCst);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let commits = state.commits + 1;
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch.insert(COMMITS_KEY, commits.to_be_bytes().as_slice());
        guarded(&self.path, || {
            self.database.apply_batch(batch).and_then(|()| self.database.flush()).map_err(|error| translate(&self.path, error))
        })?;
        self.sync_files(&mut state).map_err(|error| StoreError::io(&self.path, "sync", &error))?;
        // Not synced: it only has to reach the disk some time, and it may lag behind the log but never lead.
        self.acknowledged.write_all_at(&commits.to_be_bytes(), 0).map_err(|error| StoreError::io(&self.path, "note the commit", &error))?;
        state.commits = commits;
        self.broken.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn reopen(&self) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Io { path: self.path.clone(), detail: "sled takes no more writes after one failed".into() });
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        let mut copy = BTreeMap::new();
        self.scan(&[], COMMITS_KEY, &mut |key, value| {
            copy.insert(key.to_vec(), value.to_vec());
            Ok(true)
        })?;
        Ok(Box::new(Arc::new(copy)))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(number: u64, size: usize) -> RowChange {
        (vec![1, number as u8], Some(vec![number as u8; size]))
    }

    #[test]
    fn a_store_opens_again_as_soon_as_it_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        for number in 0..20 {
            let engine = SledEngine::open(&path).unwrap();
            engine.commit(vec![row(number, 1000)]).unwrap();
        }
    }

    #[test]
    fn every_commit_syncs_the_files_before_it_returns() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(&folder.path().join("store")).unwrap();
        for commit in 1..=5 {
            engine.commit(vec![row(commit, 100)]).unwrap();
            assert_eq!(engine.syncs(), commit);
        }
    }

    #[test]
    fn a_value_in_a_file_of_its_own_is_synced_too() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(&folder.path().join("store")).unwrap();
        engine.commit(vec![row(1, 3 << 20)]).unwrap();
        let blobs = std::fs::read_dir(engine.path.join("blobs")).unwrap().count();
        assert!(blobs > 0, "sled keeps a value of 3 MiB in a file of its own");
        assert_eq!(engine.state.lock().unwrap().synced_blobs.len(), blobs);
    }

    #[test]
    fn an_older_log_under_newer_acknowledgements_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let (path, older) = (folder.path().join("store"), folder.path().join("older"));
        let engine = SledEngine::open(&path).unwrap();
        engine.commit(vec![row(1, 100)]).unwrap();
        drop(engine);
        std::fs::copy(path.join("db"), &older).unwrap();
        let engine = SledEngine::open(&path).unwrap();
        engine.commit(vec![row(2, 100)]).unwrap();
        drop(engine);
        std::fs::copy(&older, path.join("db")).unwrap();
        for snapshot in std::fs::read_dir(&path).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("snap"))
        {
            std::fs::remove_file(snapshot.path()).unwrap();
        }
        let error = SledEngine::open(&path).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    }
}

//! The default store: redb, one file (mode 0600), synced on every commit.
//!
//! Opening verifies the checksum of every page, so that a file that was changed, cut or garbled is refused instead of trusted; it costs
//! one read of the file (measured: 5 s for a GB, about a million hosts). The file is locked for this process. redb latches after a failed
//! write; [`Engine::reopen`] ends that.
//!
//! Commits are *two-phase*: data is synced before the header names it, and the header is synced after. redb's default of one sync takes a
//! newest commit whose pages do not fit for one that was never finished and goes back to the one before, so damage to the pages of an
//! acknowledged commit would lose it in silence; and its checksum is not one that withstands bytes chosen by an attacker. After a
//! two-phase commit such a file is refused. It also keeps a failed sync harmless: pages that the kernel then takes for clean are pages that
//! no header names. What it costs stands in README.md beside this folder.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod power_cut;

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend, StorageError, TableDefinition, TableError,
};

use super::embedded::engine::{Engine, RowChange, Rows, Visit};
use super::{Result, StoreError};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// Pages kept in memory. Hot are the newest log rows and the inner pages of the tree: a thousandth of the data. Read models live elsewhere.
const CACHE_BYTES: usize = 64 << 20;

/// Opens the database; asked again for each reopening.
type Opener = Box<dyn Fn() -> Result<Database> + Send + Sync>;

/// Rows in a redb file.
pub(crate) struct RedbEngine {
    path: PathBuf,
    opener: Opener,
    /// Empty only where a reopen failed.
    database: RwLock<Option<Database>>,
}

impl RedbEngine {
    /// Opens the file or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = path.to_owned();
        Self::over(path, Box::new(move || open_database(&file)))
    }

    fn over(path: &Path, opener: Opener) -> Result<Self> {
        let database = opener()?;
        Ok(Self { path: path.to_owned(), opener, database: RwLock::new(Some(database)) })
    }

    fn with_database<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match database.as_ref() {
            Some(database) => guarded(&self.path, || work(database).map_err(|error| translate(&self.path, error))),
            None => Err(StoreError::Io { path: self.path.clone(), detail: "it could not be opened again after a failed write".into() }),
        }
    }

    fn read(&self) -> Result<RedbSnapshot> {
        let transaction = self.with_database(|database| Ok(database.begin_read()?))?;
        Ok(RedbSnapshot { path: self.path.clone(), transaction })
    }
}

fn open_database(path: &Path) -> Result<Database> {
    if !path.exists() {
        return make_database(path);
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| StoreError::io(path, "open", &error))?;
    // redb would take an empty file for a new one; made as below, none is ever empty.
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(StoreError::damaged(path, "the file is empty"));
    }
    let backend = FileBackend::new(file).map_err(|error| translate_open(path, error))?;
    build(path, backend, CACHE_BYTES)
}

/// Makes a database under another name and gives it its own when it is whole, so that a crash leaves nothing that looks damaged.
fn make_database(path: &Path) -> Result<Database> {
    let folder = folder_of(path);
    // Mode 0600.
    let file = tempfile::Builder::new().prefix(".new-store-").tempfile_in(folder).map_err(|error| StoreError::io(path, "make", &error))?;
    let own = file.as_file().try_clone().map_err(|error| StoreError::io(path, "make", &error))?;
    let backend = FileBackend::new(own).map_err(|error| translate_open(path, error))?;
    let database = build(path, backend, CACHE_BYTES)?;
    // Two controllers that start at once on nothing: the second one finds the first one's file.
    file.persist_noclobber(path).map_err(|_| StoreError::InUse { path: path.to_owned() })?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::io(path, "sync its folder", &error))?;
    Ok(database)
}

fn build(path: &Path, backend: impl StorageBackend, cache_bytes: usize) -> Result<Database> {
    guarded(path, || {
        Builder::new()
            .set_cache_size(cache_bytes)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
            .map_err(|error| translate_open(path, error))
    })
}

/// Runs a part of redb. It may panic where a page changed under it after the opening had verified it.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(StoreError::damaged(path, "redb gave up on the file")))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn translate_open(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse { path: path.to_owned() },
        DatabaseError::RepairAborted => StoreError::damaged(path, "it could not be repaired"),
        // Patchwave never wrote an older one.
        DatabaseError::UpgradeRequired(format) => StoreError::damaged(path, format!("its header says format {format} of redb")),
        DatabaseError::Storage(StorageError::Io(error)) if is_damage(error.kind()) => {
            StoreError::damaged(path, format!("it is not a redb file or is cut off ({error})"))
        }
        error => translate(path, error.into()),
    }
}

/// What redb says of a file that is not its own or too short.
fn is_damage(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput)
}

fn translate(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Corrupted(detail) => StoreError::damaged(path, detail),
        redb::Error::Io(error) => StoreError::io(path, "read or write", &error),
        error => StoreError::Io { path: path.to_owned(), detail: error.to_string() },
    }
}

impl Rows for RedbEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read()?.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.read()?.scan(from, to, visit)
    }
}

impl Engine for RedbEngine {
    fn commit(&self, batch: Vec<RowChange>) -> Result<()> {
        self.with_database(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            {
                let mut table = transaction.open_table(ROWS)?;
                for (key, value) in &batch {
                    match value {
                        Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                        None => table.remove(key.as_slice())?,
                    };
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    fn reopen(&self) -> Result<()> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one first: it holds the lock on the file.
        drop(database.take());
        *database = Some((self.opener)()?);
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        Ok(Box::new(self.read()?))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// One read transaction: the rows of one instant.
struct RedbSnapshot {
    path: PathBuf,
    transaction: ReadTransaction,
}

impl RedbSnapshot {
    /// The table; `None` in a file that was never written.
    fn table(&self) -> Result<Option<redb::ReadOnlyTable<&'static [u8], &'static [u8]>>> {
        match self.transaction.open_table(ROWS) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(translate(&self.path, error.into())),
        }
    }
}

impl Rows for RedbSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        guarded(&self.path, || {
            let Some(table) = self.table()? else { return Ok(None) };
            let found = redb::ReadableTable::get(&table, key).map_err(|error| translate(&self.path, error.into()))?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        guarded(&self.path, || {
            let Some(table) = self.table()? else { return Ok(()) };
            let rows = redb::ReadableTable::range::<&[u8]>(&table, from..to).map_err(|error| translate(&self.path, error.into()))?;
            for row in rows {
                let (key, value) = row.map_err(|error| translate(&self.path, error.into()))?;
                if !visit(key.value(), value.value())? {
                    break;
                }
            }
            Ok(())
        })
    }
}

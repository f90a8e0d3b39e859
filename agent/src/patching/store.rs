//! Where patching keeps what outlives the agent: the fence, the quarantine, and a directory per case.
//!
//! ```text
//! patching/fence.json  quarantine.json  status.json  stage/
//! patching/cases/1-42/  journal  receipt/  active-units.json  patchwave-tx-1-42-apply-1/ …
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use patchwave_common::domain::{Generation, QuarantineKey, UnitName};
use patchwave_common::runtime::atomic_file::{self, FileError};

use super::journal::{Journal, JournalError};
use super::machine::{Case, Fence, Record, TransactionName};

/// Bound on the fence file: one history of at most 64 reports of a few hundred bytes.
const FENCE_MAX_BYTES: u64 = 1024 * 1024;
/// Bound on the quarantine file: ten thousand keys.
const QUARANTINE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Bound on the list of units.
const UNITS_MAX_BYTES: u64 = 1024 * 1024;

/// Where each thing lies.
#[derive(Debug, Clone)]
pub struct Layout {
    directory: PathBuf,
}

/// The files of patching.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    open: Option<(Generation, Journal)>,
}

/// Every case on disk, as far as it can be read.
#[derive(Debug, Default)]
pub struct Cases {
    /// By the generation of the apply directive.
    pub cases: BTreeMap<Generation, Case>,
    /// Journals that cannot be read.
    pub damaged: Vec<JournalError>,
}

impl Layout {
    /// Everything below that directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The directory of all cases.
    #[must_use]
    pub fn cases_directory(&self) -> PathBuf {
        self.directory.join("cases")
    }

    /// What was staged, a file per rollout.
    #[must_use]
    pub fn staged_directory(&self) -> PathBuf {
        self.directory.join("staged")
    }

    /// The directory of a case.
    #[must_use]
    pub fn case_directory(&self, case: Generation) -> PathBuf {
        self.cases_directory().join(case_name(case))
    }

    /// The directory of a case's receipt.
    #[must_use]
    pub fn receipt_directory(&self, case: Generation) -> PathBuf {
        self.case_directory(case).join("receipt")
    }

    /// The directory of a transaction.
    #[must_use]
    pub fn transaction_directory(&self, transaction: &TransactionName) -> PathBuf {
        self.case_directory(transaction.case).join(transaction.to_string())
    }

    fn journal_path(&self, case: Generation) -> PathBuf {
        self.case_directory(case).join("journal")
    }
}

impl Store {
    /// Where each thing lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Opens the directory, which is made where it is absent.
    pub fn open(directory: &Path) -> Result<Self, FileError> {
        atomic_file::private_directory(directory)?;
        let layout = Layout::new(directory);
        atomic_file::private_directory(&layout.cases_directory())?;
        atomic_file::private_directory(&layout.staged_directory())?;
        Ok(Self { layout, open: None })
    }

    /// The fence; an absent file is a host that never had an order.
    pub fn fence(&self) -> Result<Fence, FileError> {
        Ok(self.read("fence.json", FENCE_MAX_BYTES)?.unwrap_or_default())
    }

    /// Keeps the fence.
    pub fn save_fence(&self, fence: &Fence) -> Result<(), FileError> {
        self.write("fence.json", fence)
    }

    /// The versions in quarantine.
    pub fn quarantine(&self) -> Result<BTreeSet<QuarantineKey>, FileError> {
        Ok(self.read("quarantine.json", QUARANTINE_MAX_BYTES)?.unwrap_or_default())
    }

    /// Whether there ever was a version in quarantine.
    #[must_use]
    pub fn has_quarantine(&self) -> bool {
        self.layout.directory.join("quarantine.json").exists()
    }

    /// Keeps the versions in quarantine.
    pub fn save_quarantine(&self, keys: &BTreeSet<QuarantineKey>) -> Result<(), FileError> {
        self.write("quarantine.json", keys)
    }

    /// Keeps the units that were active before a case changed anything, of those that its packages ship.
    pub fn save_active_units(&self, case: Generation, units: &[UnitName]) -> Result<(), FileError> {
        self.write(&format!("cases/{}/active-units.json", case_name(case)), &units)
    }

    /// What [`Self::save_active_units`] kept; none where it did not.
    pub fn active_units(&self, case: Generation) -> Result<Vec<UnitName>, FileError> {
        Ok(self.read(&format!("cases/{}/active-units.json", case_name(case)), UNITS_MAX_BYTES)?.unwrap_or_default())
    }

    /// Appends a record to a case's journal and syncs it; an acceptance makes the journal.
    pub fn append(&mut self, case: Generation, record: &Record) -> Result<(), JournalError> {
        let path = self.layout.journal_path(case);
        let mut journal = match self.open.take() {
            Some((open, journal)) if open == case => journal,
            _ if matches!(record, Record::Accepted { .. }) => Journal::create(&path)?,
            _ => Journal::open(&path)?.0,
        };
        let result = journal.append(record);
        self.open = Some((case, journal));
        result
    }

    /// One case; `None` where there is none, or it never got so far as to be accepted.
    pub fn case(&self, case: Generation) -> Result<Option<Case>, JournalError> {
        match Journal::read(&self.layout.journal_path(case)) {
            Ok(records) => Ok(Case::fold(&records)),
            Err(JournalError::File(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The case that an order or its take-back belongs to.
    pub fn case_of(&self, generation: Generation) -> Result<Option<Case>, JournalError> {
        if let Some(case) = self.case(generation)? {
            return Ok(Some(case));
        }
        let is_meant = |case: &Case| case.back.as_ref().is_some_and(|back| back.generation == generation);
        Ok(self.cases()?.cases.into_values().find(is_meant))
    }

    /// Every case. A directory whose name is no case's is left alone: somebody moved it away.
    pub fn cases(&self) -> Result<Cases, FileError> {
        let directory = self.layout.cases_directory();
        let io = |source| FileError::Io { action: "read", path: directory.clone(), source };
        let mut found = Cases::default();
        for entry in std::fs::read_dir(&directory).map_err(io)? {
            let Some(generation) = entry.map_err(io)?.file_name().to_str().and_then(parse_case_name) else { continue };
            match self.case(generation) {
                Ok(Some(case)) if case.apply.generation == generation => {
                    found.cases.insert(generation, case);
                }
                Ok(_) => {}
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str, max_bytes: u64) -> Result<Option<T>, FileError> {
        let path = self.layout.directory.join(name);
        let bytes = match atomic_file::read_bounded(&path, max_bytes) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let invalid = |error: serde_json::Error| FileError::Io { action: "understand", path, source: error.into() };
        serde_json::from_slice(&bytes).map(Some).map_err(invalid)
    }

    fn write<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), FileError> {
        let path = self.layout.directory.join(name);
        let bytes =
            serde_json::to_vec(value).map_err(|error| FileError::Io { action: "write", path: path.clone(), source: error.into() })?;
        atomic_file::write(&path, &bytes, atomic_file::MODE_SECRET)
    }
}

fn case_name(case: Generation) -> String {
    format!("{}-{}", case.epoch, case.counter)
}

fn parse_case_name(name: &str) -> Option<Generation> {
    let (epoch, counter) = name.split_once('-')?;
    let generation = Generation { epoch: epoch.parse().ok()?, counter: counter.parse().ok()? };
    (case_name(generation) == name).then_some(generation)
}

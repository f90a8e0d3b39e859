//! What a simulated host is: one JSON file, changed as a whole, and real files under a root directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use patchwave_common::domain::{
    InstallState, InstalledPackage, Inventory, Manager, Mark, NotStagedReason, Origin, PackageId, PackageName, PackageVersion,
    QuarantineKey, RebootRequired,
};
use patchwave_common::runtime::atomic_file;

use crate::packages::PackageError;

/// Bound on the state file: a simulated host has tens of packages of a few hundred bytes.
const STATE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A package in one version, with what it brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct SimulatedPackage {
    /// Name and architecture.
    pub id: PackageId,
    /// The version.
    pub version: PackageVersion,
    /// Source package.
    pub source: PackageName,
    /// Where it comes from.
    pub origin: Origin,
    /// Packages that must be installed with it.
    pub depends: Vec<PackageName>,
    /// Packages that must go.
    pub conflicts: Vec<PackageName>,
    /// Files by absolute path inside the root.
    pub files: BTreeMap<String, String>,
    /// Configuration files: an edit of the administrator stays, as dpkg has it.
    pub conffiles: BTreeMap<String, String>,
    /// Units that it ships.
    pub units: Vec<String>,
    /// Configuring it fails, as a broken maintainer script does.
    pub broken: bool,
}

impl SimulatedPackage {
    /// A package for all architectures, of a source and origin of its own; the fields are public.
    #[must_use]
    pub fn new(name: PackageName, version: PackageVersion, architecture: patchwave_common::domain::Architecture) -> Self {
        let origin = Origin { origin: "Simulated".to_owned(), label: "Simulated-Security".to_owned(), ..Origin::default() };
        let id = PackageId { name: name.clone(), architecture };
        Self {
            id,
            version,
            source: name,
            origin,
            depends: Vec::new(),
            conflicts: Vec::new(),
            files: BTreeMap::new(),
            conffiles: BTreeMap::new(),
            units: Vec::new(),
            broken: false,
        }
    }
}

/// An installed package, and what it brought.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SimulatedInstalled {
    /// The package.
    pub package: SimulatedPackage,
    /// Asked for or brought.
    pub mark: Mark,
    /// Held.
    pub held: bool,
    /// How far it got.
    pub state: InstallState,
}

/// Everything about a simulated host. Tests change it through [`super::Simulated::change`].
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct SimulatedState {
    /// What is installed, by `name:architecture`.
    pub installed: BTreeMap<String, SimulatedInstalled>,
    /// What the archive offers, as of the last refresh.
    pub archive: Vec<SimulatedPackage>,
    /// What the archive will offer from the next refresh on; `None` for no change.
    pub next_archive: Option<Vec<SimulatedPackage>>,
    /// The archive cannot be read, with what is said about it.
    pub broken_source: Option<String>,
    /// Staging fails this way.
    pub stage_fault: Option<NotStagedReason>,
    /// Versions that the administrator forbade.
    pub pinned: BTreeSet<(PackageName, PackageVersion)>,
    /// Versions that Patchwave forbade.
    pub quarantined: Vec<QuarantineKey>,
    /// Someone else holds the lock.
    pub locked: bool,
    /// A transaction stops after so many packages, as if it had been killed.
    pub interrupt_after: Option<usize>,
    /// Other tools that change packages.
    pub other_hands: Vec<String>,
    /// Whether a reboot is asked for.
    pub reboot: RebootRequired,
    /// Every change made, in order, e.g. `upgrade web:all 1 2`: the witness that nothing was done twice.
    pub history: Vec<String>,
}

impl SimulatedState {
    /// Installs a package at once, as the host's past; no file is written.
    pub fn put(&mut self, package: SimulatedPackage, mark: Mark) {
        let installed = SimulatedInstalled { mark, held: false, state: InstallState::Installed, package };
        self.installed.insert(installed.package.id.to_string(), installed);
    }

    pub(super) fn inventory(&self) -> Inventory {
        let packages = self.installed.values().map(|installed| InstalledPackage {
            id: installed.package.id.clone(),
            version: installed.package.version.clone(),
            source: installed.package.source.clone(),
            source_version: installed.package.version.clone(),
            state: installed.state,
            mark: installed.mark,
            held: installed.held,
        });
        Inventory::new(Manager::Simulated, packages)
    }

    /// The archive's versions of one package, lowest first.
    pub(super) fn offers(&self, id: &PackageId) -> Vec<&SimulatedPackage> {
        let mut offers: Vec<_> = self.archive.iter().filter(|package| package.id == *id).collect();
        offers.sort_by(|left, right| left.version.compare(&right.version, Manager::Simulated));
        offers
    }

    pub(super) fn is_quarantined(&self, package: &SimulatedPackage) -> bool {
        self.quarantined.iter().any(|key| key.source == package.source && key.version == package.version)
    }
}

/// The state file, read and written as a whole.
#[derive(Debug)]
pub(super) struct StateFile {
    pub(super) path: PathBuf,
    writing: Mutex<()>,
}

impl StateFile {
    pub(super) fn open(root: &Path) -> Result<Self, PackageError> {
        std::fs::create_dir_all(root).map_err(PackageError::io("make", root))?;
        let file = Self { path: root.join("simulated.json"), writing: Mutex::new(()) };
        if !file.path.exists() {
            file.write(&SimulatedState::default())?;
        }
        Ok(file)
    }

    pub(super) fn read(&self) -> Result<SimulatedState, PackageError> {
        let json = atomic_file::read_bounded(&self.path, STATE_MAX_BYTES)?;
        serde_json::from_slice(&json).map_err(|error| PackageError::Damaged {
            path: self.path.clone(),
            detail: error.to_string(),
            hint: "delete it: the simulated host starts empty",
        })
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut SimulatedState) -> T) -> Result<T, PackageError> {
        let _held = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // An agent and the process of its transaction both change the host; dpkg has its lock for that.
        let path = self.path.with_extension("lock");
        let lock = std::fs::File::create(&path).map_err(PackageError::io("open", &path))?;
        lock.lock().map_err(PackageError::io("lock", &path))?;
        let mut state = self.read()?;
        let result = change(&mut state);
        self.write(&state)?;
        Ok(result)
    }

    fn write(&self, state: &SimulatedState) -> Result<(), PackageError> {
        let json = serde_json::to_vec(state).map_err(|error| PackageError::io("write", &self.path)(std::io::Error::other(error)))?;
        Ok(atomic_file::write(&self.path, &json, atomic_file::MODE_PUBLIC)?)
    }
}

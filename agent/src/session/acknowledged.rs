//! What the controller is known to have on disk, kept across restarts: so that a restart sends nothing when nothing changed, and a
//! difference when something did.
//!
//! An inventory is written before it is sent and named by its digest; the acknowledgement only names it. So nothing of it stays in memory.
//! Losing these files costs one full inventory and nothing else: what cannot be read counts as absent. All calls block.

use std::fs;
use std::path::{Path, PathBuf};

use patchwave_common::domain::{Digest, InstalledPackage, Inventory, Manager};
use patchwave_common::runtime::atomic_file::{self, FileError, MODE_SECRET};
use serde::{Deserialize, Serialize};

/// Bound on a kept inventory: 200,000 packages, the most that the wire takes, at 300 bytes each.
const INVENTORY_MAX_BYTES: u64 = 64 * 1024 * 1024;
const NAMES_MAX_BYTES: u64 = 4096;
const NAMES_FILE: &str = "acknowledged.json";

/// Digests of what the controller has on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Acknowledged {
    /// The inventory.
    pub inventory: Option<Digest>,
    /// The candidates.
    pub candidates: Option<Digest>,
}

#[derive(Serialize)]
struct KeptOut<'a> {
    manager: Manager,
    packages: Vec<&'a InstalledPackage>,
}

#[derive(Deserialize)]
struct KeptIn {
    manager: Manager,
    packages: Vec<InstalledPackage>,
}

/// The directory that holds them.
#[derive(Debug, Clone)]
pub struct AcknowledgedFiles {
    directory: PathBuf,
}

impl AcknowledgedFiles {
    /// Below an agent's state directory; makes the directory.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(state_dir: &Path) -> Result<Self, FileError> {
        let directory = state_dir.join("session");
        atomic_file::private_directory(&directory)?;
        Ok(Self { directory })
    }

    /// What was acknowledged.
    #[must_use]
    pub fn read(&self) -> Acknowledged {
        let bytes = atomic_file::read_bounded(&self.directory.join(NAMES_FILE), NAMES_MAX_BYTES).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// The inventory with this digest, if it is kept and sound.
    #[must_use]
    pub fn inventory(&self, digest: Digest) -> Option<Inventory> {
        let bytes = atomic_file::read_bounded(&self.inventory_path(digest), INVENTORY_MAX_BYTES).ok()?;
        let kept: KeptIn = serde_json::from_slice(&bytes).ok()?;
        Some(Inventory::new(kept.manager, kept.packages)).filter(|inventory| inventory.digest() == digest)
    }

    /// Keeps an inventory that is about to be sent, or that the controller says it has.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, inventory: &Inventory) -> Result<(), FileError> {
        let path = self.inventory_path(inventory.digest());
        if path.exists() {
            return Ok(());
        }
        let kept = KeptOut { manager: inventory.manager(), packages: inventory.iter().collect() };
        atomic_file::write(&path, &serde_json::to_vec(&kept).unwrap_or_default(), MODE_SECRET)
    }

    /// Whether an inventory is kept.
    #[must_use]
    pub fn has(&self, digest: Digest) -> bool {
        self.inventory_path(digest).exists()
    }

    /// Notes that the controller has this inventory on disk; every other kept inventory goes.
    ///
    /// # Errors
    /// The note cannot be written. A leftover that cannot be removed is no error; it goes next time.
    pub fn acknowledge_inventory(&self, digest: Digest) -> Result<(), FileError> {
        self.note(Acknowledged { inventory: Some(digest), ..self.read() })?;
        let stays = self.inventory_path(digest);
        let leftovers = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        for leftover in leftovers.filter(|path| *path != stays && !path.ends_with(NAMES_FILE)) {
            let _ = fs::remove_file(leftover);
        }
        Ok(())
    }

    /// Notes that the controller has these candidates on disk.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn acknowledge_candidates(&self, digest: Digest) -> Result<(), FileError> {
        self.note(Acknowledged { candidates: Some(digest), ..self.read() })
    }

    fn note(&self, acknowledged: Acknowledged) -> Result<(), FileError> {
        let bytes = serde_json::to_vec(&acknowledged).unwrap_or_default();
        atomic_file::write(&self.directory.join(NAMES_FILE), &bytes, MODE_SECRET)
    }

    fn inventory_path(&self, digest: Digest) -> PathBuf {
        self.directory.join(format!("inventory-{digest}.json"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::{Architecture, InstallState, Mark, PackageId, PackageName, PackageVersion};

    use super::*;

    fn inventory(version: &str) -> Inventory {
        let name = PackageName::parse("jq").unwrap();
        let version = PackageVersion::parse(version).unwrap();
        let package = InstalledPackage {
            id: PackageId { name: name.clone(), architecture: Architecture::parse("amd64").unwrap() },
            version: version.clone(),
            source: name,
            source_version: version,
            state: InstallState::Installed,
            mark: Mark::Manual,
            held: false,
        };
        Inventory::new(Manager::Dpkg, [package])
    }

    #[test]
    fn what_was_acknowledged_is_known_after_a_restart_and_older_inventories_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let files = AcknowledgedFiles::open(directory.path()).unwrap();
        let (old, new) = (inventory("1"), inventory("2"));
        files.keep(&old).unwrap();
        files.acknowledge_inventory(old.digest()).unwrap();
        files.keep(&new).unwrap();
        files.acknowledge_inventory(new.digest()).unwrap();
        files.acknowledge_candidates(Digest::of(b"c")).unwrap();
        let files = AcknowledgedFiles::open(directory.path()).unwrap();
        assert_eq!(files.read(), Acknowledged { inventory: Some(new.digest()), candidates: Some(Digest::of(b"c")) });
        assert_eq!(files.inventory(new.digest()), Some(new));
        assert_eq!(files.inventory(old.digest()), None);
        assert_eq!(fs::read_dir(directory.path().join("session")).unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_file_counts_as_absent() {
        let directory = tempfile::tempdir().unwrap();
        let files = AcknowledgedFiles::open(directory.path()).unwrap();
        let have = inventory("1");
        files.keep(&have).unwrap();
        let path = files.inventory_path(have.digest());
        let damaged = fs::read_to_string(&path).unwrap().replace("\"1\"", "\"3\"");
        fs::write(&path, damaged).unwrap();
        assert_eq!(files.inventory(have.digest()), None);
        fs::write(directory.path().join("session").join(NAMES_FILE), "{").unwrap();
        assert_eq!(files.read(), Acknowledged::default());
    }
}

//! Makes ready what the core asks for: inventory differences and candidates, read from the packages and nowhere else.
//!
//! [`ReadOnly`] is all that a session ever sees of a package manager: it can look and cannot change. All calls block.

use std::path::PathBuf;
use std::sync::Arc;

use patchwave_common::domain::{CandidateSet, Digest, Inventory, InventoryDelta, Manager, RebootRequired};
use patchwave_common::runtime::atomic_file::FileError;

use super::acknowledged::{Acknowledged, AcknowledgedFiles};
use crate::packages::{Fingerprint, PackageError, PackageManager};

/// A package manager that can be looked at only. A report-only agent holds nothing else of one.
#[derive(Debug, Clone)]
pub struct ReadOnly(Arc<dyn PackageManager>);

impl ReadOnly {
    /// The reading side of a package manager.
    #[must_use]
    pub fn new(manager: Arc<dyn PackageManager>) -> Self {
        Self(manager)
    }

    /// Which package manager it is.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.0.manager()
    }

    /// A cheap mark of the package database's state.
    ///
    /// # Errors
    /// As the package manager says.
    pub fn fingerprint(&self) -> Result<Fingerprint, PackageError> {
        self.0.fingerprint()
    }

    /// Everything installed.
    ///
    /// # Errors
    /// As the package manager says.
    pub fn inventory(&self) -> Result<Inventory, PackageError> {
        self.0.inventory()
    }

    /// What installed packages could get.
    ///
    /// # Errors
    /// As the package manager says.
    pub fn candidates(&self) -> Result<CandidateSet, PackageError> {
        self.0.candidates()
    }

    /// Active tools that change packages on their own.
    #[must_use]
    pub fn other_hands(&self) -> Vec<String> {
        self.0.other_hands()
    }

    /// Whether the host asks for a reboot.
    #[must_use]
    pub fn reboot_required(&self) -> RebootRequired {
        self.0.reboot_required()
    }

    /// Directories in which a change tells that the packages may have changed.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        self.0.watched_directories()
    }
}

/// The packages and what the controller knows of them.
#[derive(Debug, Clone)]
pub struct Contents {
    packages: ReadOnly,
    files: AcknowledgedFiles,
}

impl Contents {
    /// Contents from these packages, with the acknowledgements in these files.
    #[must_use]
    pub fn new(packages: ReadOnly, files: AcknowledgedFiles) -> Self {
        Self { packages, files }
    }

    /// What the controller is known to have.
    #[must_use]
    pub fn acknowledged(&self) -> Acknowledged {
        self.files.read()
    }

    /// The inventory as it is now, as a difference from `base` where that is still kept, else whole. It is kept before it is returned, so
    /// that an acknowledgement of it can be remembered.
    ///
    /// # Errors
    /// The packages cannot be read. (A disk too full to keep the inventory costs a full one later, and is no error here.)
    pub fn inventory_since(&self, base: Option<Digest>) -> Result<InventoryDelta, PackageError> {
        let inventory = self.packages.inventory()?;
        let digest = inventory.digest();
        if base == Some(digest) {
            let manager = inventory.manager();
            return Ok(InventoryDelta { base, digest, manager, changed: Vec::new(), removed: Vec::new() });
        }
        if let Err(error) = self.files.keep(&inventory) {
            tracing::warn!(%error, "the inventory cannot be kept; the next one will be sent whole");
        }
        let base = base.and_then(|base| self.files.inventory(base));
        Ok(inventory.delta_from(base.as_ref()))
    }

    /// The candidates as they are now.
    ///
    /// # Errors
    /// They cannot be computed.
    pub fn candidates(&self) -> Result<CandidateSet, PackageError> {
        self.packages.candidates()
    }

    /// Remembers that the controller has this inventory on disk.
    ///
    /// # Errors
    /// The note cannot be written; then the next start sends more than it needs to.
    pub fn acknowledge_inventory(&self, digest: Digest) -> Result<(), FileError> {
        if !self.files.has(digest)
            && let Ok(inventory) = self.packages.inventory()
            && inventory.digest() == digest
        {
            self.files.keep(&inventory)?;
        }
        self.files.acknowledge_inventory(digest)
    }

    /// Remembers that the controller has these candidates on disk.
    ///
    /// # Errors
    /// The note cannot be written; then the next start sends more than it needs to.
    pub fn acknowledge_candidates(&self, digest: Digest) -> Result<(), FileError> {
        self.files.acknowledge_candidates(digest)
    }
}

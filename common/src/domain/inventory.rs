//! What a host has, its digest, and the difference between two of them.

use std::collections::BTreeMap;

use super::{Candidate, Digest, DigestBuilder, InstallState, InstalledPackage, Manager, Mark, PackageId};

/// Everything installed by one package manager, ordered, each package once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    manager: Manager,
    packages: BTreeMap<PackageId, InstalledPackage>,
}

/// Why a delta does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryError {
    /// The delta starts from another inventory than the one at hand; the full one is needed.
    OtherBase,
    /// Applying the delta did not give the digest that it promises.
    DigestMismatch,
}

impl std::fmt::Display for InventoryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::OtherBase => "the delta starts from another inventory; the full inventory is needed",
            Self::DigestMismatch => "the delta does not give the digest that it promises; the full inventory is needed",
        })
    }
}
impl std::error::Error for InventoryError {}

/// What changed between two inventories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryDelta {
    /// Digest of the inventory that this starts from; `None` for a full inventory.
    pub base: Option<Digest>,
    /// Digest of the result.
    pub digest: Digest,
    /// Package manager.
    pub manager: Manager,
    /// Packages that are new or differ.
    pub changed: Vec<InstalledPackage>,
    /// Packages that are gone.
    pub removed: Vec<PackageId>,
}

impl Inventory {
    /// An inventory of these packages; of two with one identity the later stands.
    pub fn new(manager: Manager, packages: impl IntoIterator<Item = InstalledPackage>) -> Self {
        Self { manager, packages: packages.into_iter().map(|package| (package.id.clone(), package)).collect() }
    }

    /// The package manager.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// One package.
    #[must_use]
    pub fn get(&self, id: &PackageId) -> Option<&InstalledPackage> {
        self.packages.get(id)
    }

    /// All packages, ordered by name and architecture.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &InstalledPackage> {
        self.packages.values()
    }

    /// How many packages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Digest over every field of every package, in order; two hosts with the same digest have the same packages.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.field(self.manager.as_str().as_bytes());
        for package in self.packages.values() {
            let (state, mark) = (package.state as u8, package.mark as u8);
            builder.field(package.id.name.as_str().as_bytes());
            builder.field(package.id.architecture.as_str().as_bytes());
            builder.field(package.version.as_str().as_bytes());
            builder.field(package.source.as_str().as_bytes());
            builder.field(package.source_version.as_str().as_bytes());
            builder.field(&[state, mark, u8::from(package.held)]);
        }
        builder.finish()
    }

    /// The difference from `base` to this; with no base, everything.
    #[must_use]
    pub fn delta_from(&self, base: Option<&Self>) -> InventoryDelta {
        let base = base.filter(|base| base.manager == self.manager);
        let changed =
            self.packages.values().filter(|package| base.and_then(|base| base.get(&package.id)) != Some(package)).cloned().collect();
        let removed =
            base.map_or_else(Vec::new, |base| base.packages.keys().filter(|id| !self.packages.contains_key(*id)).cloned().collect());
        InventoryDelta { base: base.map(Self::digest), digest: self.digest(), manager: self.manager, changed, removed }
    }

    /// Applies a delta to `base`; the result has exactly the digest that the delta promises, or it is refused.
    pub fn apply(base: Option<&Self>, delta: InventoryDelta) -> Result<Self, InventoryError> {
        let mut packages = match (delta.base, base) {
            (None, _) => BTreeMap::new(),
            (Some(digest), Some(base)) if base.digest() == digest => base.packages.clone(),
            _ => return Err(InventoryError::OtherBase),
        };
        for id in &delta.removed {
            packages.remove(id);
        }
        packages.extend(delta.changed.into_iter().map(|package| (package.id.clone(), package)));
        let inventory = Self { manager: delta.manager, packages };
        if inventory.digest() == delta.digest { Ok(inventory) } else { Err(InventoryError::DigestMismatch) }
    }
}

/// The candidates of a host: every installed package for which another version could be had.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct CandidateSet {
    /// Ordered by name and architecture.
    pub candidates: Vec<Candidate>,
}

impl CandidateSet {
    /// Orders the candidates.
    #[must_use]
    pub fn new(mut candidates: Vec<Candidate>) -> Self {
        candidates.sort();
        Self { candidates }
    }

    /// Digest over all candidates; unchanged digest, nothing to send.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut builder = DigestBuilder::default();
        for candidate in &self.candidates {
            builder.field(candidate.id.to_string().as_bytes());
            builder.field(candidate.from.as_str().as_bytes());
            builder.field(candidate.to.as_str().as_bytes());
            builder.field(candidate.source.as_str().as_bytes());
            builder.field(candidate.source_version.as_str().as_bytes());
            let origin = &candidate.origin;
            for field in [&origin.origin, &origin.label, &origin.suite, &origin.codename, &origin.component, &origin.site] {
                builder.field(field.as_bytes());
            }
            builder.field(candidate.sha256.map_or([0; 32], |digest| digest.0).as_slice());
            builder.field(&candidate.size_bytes.to_be_bytes());
            builder.field(&[candidate.blocked.map_or(0, |blocked| 1 + blocked as u8)]);
        }
        builder.finish()
    }
}

impl InstalledPackage {
    /// Whether the package is installed and configured.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.state == InstallState::Installed
    }

    /// Whether a dependency brought it.
    #[must_use]
    pub fn is_auto(&self) -> bool {
        self.mark == Mark::Auto
    }
}

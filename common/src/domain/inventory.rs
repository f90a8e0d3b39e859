//! What a host has, its digest, and the difference between two of them.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use super::{Candidate, Digest, DigestBuilder, InstallState, InstalledPackage, Manager, Mark, PackageId};

/// Most packages of one inventory: forty times what a full desktop has. A controller holds an inventory for each host, some 50 MB at this size.
pub const MAX_PACKAGES: usize = 200_000;

/// Everything installed by one package manager, ordered, each package once.
///
/// A controller holds one for each host, and most packages are the same on most hosts: packages are shared, so that another inventory made
/// from this one by a delta costs one pointer for each package that is in both.
#[derive(Clone)]
pub struct Inventory {
    manager: Manager,
    packages: Vec<Arc<InstalledPackage>>,
    /// Computed when first asked for.
    digest: OnceLock<Digest>,
}

impl PartialEq for Inventory {
    fn eq(&self, other: &Self) -> bool {
        (self.manager, &self.packages) == (other.manager, &other.packages)
    }
}
impl Eq for Inventory {}

impl std::fmt::Debug for Inventory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inventory").field("manager", &self.manager).field("packages", &self.packages).finish()
    }
}

/// Why a delta does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryError {
    /// The delta starts from another inventory than the one at hand; the full one is needed.
    OtherBase,
    /// Applying the delta did not give the digest that it promises.
    DigestMismatch,
    /// The result would have more than [`MAX_PACKAGES`].
    TooMany(usize),
}

impl std::fmt::Display for InventoryError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OtherBase => formatter.write_str("the delta starts from another inventory; the full inventory is needed"),
            Self::DigestMismatch => {
                formatter.write_str("the delta does not give the digest that it promises; the full inventory is needed")
            }
            Self::TooMany(packages) => {
                write!(formatter, "the inventory would have {packages} packages; at most {MAX_PACKAGES} are allowed")
            }
        }
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
        Self::of_shared(manager, packages.into_iter().map(Arc::new).collect())
    }

    fn of_shared(manager: Manager, mut packages: Vec<Arc<InstalledPackage>>) -> Self {
        // Stable, so that the later of two with one identity stays the later.
        packages.sort_by(|left, right| left.id.cmp(&right.id));
        packages.dedup_by(|later, earlier| {
            let same = later.id == earlier.id;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        packages.shrink_to_fit();
        Self { manager, packages, digest: OnceLock::new() }
    }

    /// The package manager.
    #[must_use]
    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// One package.
    #[must_use]
    pub fn get(&self, id: &PackageId) -> Option<&InstalledPackage> {
        let at = self.packages.binary_search_by(|package| package.id.cmp(id)).ok()?;
        self.packages.get(at).map(Arc::as_ref)
    }

    /// All packages, ordered by name and architecture.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &InstalledPackage> {
        self.packages.iter().map(Arc::as_ref)
    }

    /// Puts equal packages of other inventories in the place of this one's, as `shared` knows them; its content stays what it is.
    pub fn share(&mut self, mut shared: impl FnMut(&Arc<InstalledPackage>) -> Arc<InstalledPackage>) {
        for package in &mut self.packages {
            let other = shared(package);
            debug_assert_eq!(*package, other, "only what is equal may be shared");
            *package = other;
        }
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
        *self.digest.get_or_init(|| self.compute_digest())
    }

    fn compute_digest(&self) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.field(self.manager.as_str().as_bytes());
        for package in &self.packages {
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
        // What was made from one another shares most packages; those need not be compared.
        let is_new = |package: &Arc<InstalledPackage>| {
            let before = base.and_then(|base| base.get(&package.id));
            before.is_none_or(|before| !std::ptr::eq(before, package.as_ref()) && before != package.as_ref())
        };
        let changed = self.packages.iter().filter(|package| is_new(package)).map(|package| package.as_ref().clone()).collect();
        let removed = base.map_or_else(Vec::new, |base| {
            base.iter().filter(|package| self.get(&package.id).is_none()).map(|package| package.id.clone()).collect()
        });
        InventoryDelta { base: base.map(Self::digest), digest: self.digest(), manager: self.manager, changed, removed }
    }

    /// Applies a delta to `base`; the result has exactly the digest that the delta promises, or it is refused.
    pub fn apply(base: Option<&Self>, delta: InventoryDelta) -> Result<Self, InventoryError> {
        let mut packages = match (delta.base, base) {
            (None, _) => Vec::new(),
            (Some(digest), Some(base)) if base.digest() == digest => base.packages.clone(),
            _ => return Err(InventoryError::OtherBase),
        };
        if !delta.removed.is_empty() {
            let removed: BTreeSet<&PackageId> = delta.removed.iter().collect();
            packages.retain(|package| !removed.contains(&package.id));
        }
        packages.extend(delta.changed.into_iter().map(Arc::new));
        let inventory = Self::of_shared(delta.manager, packages);
        // Each delta is bounded where it is read; many of them together are not.
        if inventory.len() > MAX_PACKAGES {
            return Err(InventoryError::TooMany(inventory.len()));
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{Architecture, PackageName, PackageVersion};

    fn packages(numbers: std::ops::Range<usize>) -> Vec<InstalledPackage> {
        let version = PackageVersion::parse("1").unwrap();
        let package = |number| {
            let name = PackageName::parse(format!("p{number}")).unwrap();
            let id = PackageId { name: name.clone(), architecture: Architecture::parse("amd64").unwrap() };
            let (state, mark, held) = (InstallState::Installed, Mark::Auto, false);
            InstalledPackage { id, version: version.clone(), source: name, source_version: version.clone(), state, mark, held }
        };
        numbers.map(package).collect()
    }

    #[test]
    fn deltas_cannot_make_an_inventory_grow_beyond_its_bound() {
        let full = Inventory::new(Manager::Dpkg, packages(0..MAX_PACKAGES));
        let more =
            |changed| InventoryDelta { base: Some(full.digest()), digest: full.digest(), manager: Manager::Dpkg, changed, removed: vec![] };
        assert_eq!(Inventory::apply(Some(&full), more(packages(0..1))).unwrap().len(), MAX_PACKAGES);
        let one_more = more(packages(MAX_PACKAGES..MAX_PACKAGES + 1));
        assert_eq!(Inventory::apply(Some(&full), one_more), Err(InventoryError::TooMany(MAX_PACKAGES + 1)));
    }
}

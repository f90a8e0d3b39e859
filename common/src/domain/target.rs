//! Exact versions: what a plan wants on a host.

use super::{Digest, DigestBuilder, Manager, PackageId, PackageName, PackageVersion};

/// One package of a plan: from exactly this version to exactly that one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct PackageTarget {
    /// Name and architecture.
    #[serde(flatten)]
    pub id: PackageId,
    /// The version that the plan saw installed.
    pub from: PackageVersion,
    /// The version that the plan wants.
    pub to: PackageVersion,
    /// Source package.
    pub source: PackageName,
    /// Origin in its short form; part of the quarantine key.
    pub origin: String,
    /// Hash of the .deb, where the archive's index told it.
    pub sha256: Option<Digest>,
    /// Size of the .deb in bytes; 0 where unknown.
    pub size_bytes: u64,
}

/// What one transaction changes. Ordered and never empty; many hosts share one set, which is interned by its digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TargetSet {
    /// The package manager that carries it out.
    pub manager: Manager,
    /// Ordered by package.
    pub targets: Vec<PackageTarget>,
}

impl TargetSet {
    /// Orders the targets; `None` where there are none.
    #[must_use]
    pub fn new(manager: Manager, mut targets: Vec<PackageTarget>) -> Option<Self> {
        targets.sort();
        targets.dedup_by(|later, earlier| later.id == earlier.id);
        (!targets.is_empty()).then_some(Self { manager, targets })
    }

    /// Names the set.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut builder = DigestBuilder::default();
        builder.field(self.manager.as_str().as_bytes());
        for target in &self.targets {
            builder.field(target.id.to_string().as_bytes());
            builder.field(target.from.as_str().as_bytes());
            builder.field(target.to.as_str().as_bytes());
            builder.field(target.source.as_str().as_bytes());
            builder.field(target.origin.as_bytes());
            builder.field(target.sha256.map_or([0; 32], |digest| digest.0).as_slice());
            builder.field(&target.size_bytes.to_be_bytes());
        }
        builder.finish()
    }
}

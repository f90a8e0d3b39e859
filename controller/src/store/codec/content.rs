//! What hosts have and could get: interned package versions, inventories as sets of their ids, candidates.

use patchwave_common::domain::{
    Architecture, Blocked, Candidate, CandidateSet, InstallState, InstalledPackage, Inventory, Manager, Mark, Origin, PackageId,
    PackageName,
};
use patchwave_proto::store::v1;
use roaring::RoaringBitmap;

use crate::store::InventoryRows;

use super::{CodecError, Stored, digest, known, manager_from_message, manager_to_message, unspecified};

/// A row of the table of package versions, without its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PackageVersion {
    pub manager: Manager,
    pub package: InstalledPackage,
}

impl Stored for PackageVersion {
    type Message = v1::PackageVersion;
    const WHAT: &'static str = "package version";

    fn to_message(&self) -> v1::PackageVersion {
        let state = match self.package.state {
            InstallState::Installed => v1::InstallState::Installed,
            InstallState::ConfigFiles => v1::InstallState::ConfigFiles,
            InstallState::Incomplete => v1::InstallState::Incomplete,
        };
        let mark = match self.package.mark {
            Mark::Manual => v1::Mark::Manual,
            Mark::Auto => v1::Mark::Auto,
        };
        v1::PackageVersion {
            manager: manager_to_message(self.manager),
            name: self.package.id.name.to_string(),
            architecture: self.package.id.architecture.to_string(),
            version: self.package.version.to_string(),
            source: self.package.source.to_string(),
            source_version: self.package.source_version.to_string(),
            state: state.into(),
            mark: mark.into(),
            held: self.package.held,
        }
    }

    fn from_message(message: v1::PackageVersion) -> Result<Self, CodecError> {
        let state = match known(message.state, "install state")? {
            v1::InstallState::Installed => InstallState::Installed,
            v1::InstallState::ConfigFiles => InstallState::ConfigFiles,
            v1::InstallState::Incomplete => InstallState::Incomplete,
            v1::InstallState::Unspecified => return unspecified("install state"),
        };
        let mark = match known(message.mark, "mark")? {
            v1::Mark::Manual => Mark::Manual,
            v1::Mark::Auto => Mark::Auto,
            v1::Mark::Unspecified => return unspecified("mark"),
        };
        let package = InstalledPackage {
            id: PackageId { name: PackageName::parse(message.name)?, architecture: Architecture::parse(message.architecture)? },
            version: patchwave_common::domain::PackageVersion::parse(message.version)?,
            source: PackageName::parse(message.source)?,
            source_version: patchwave_common::domain::PackageVersion::parse(message.source_version)?,
            state,
            mark,
            held: message.held,
        };
        Ok(Self { manager: manager_from_message(message.manager)?, package })
    }
}

impl Stored for InventoryRows {
    type Message = v1::InventorySet;
    const WHAT: &'static str = "inventory";

    fn to_message(&self) -> v1::InventorySet {
        let mut bytes = Vec::with_capacity(self.rows.serialized_size());
        // Writing into a Vec cannot fail; were it to, the length would not fit and reading would say so.
        let _infallible = self.rows.serialize_into(&mut bytes);
        v1::InventorySet { manager: manager_to_message(self.manager), package_versions: bytes }
    }

    fn from_message(message: v1::InventorySet) -> Result<Self, CodecError> {
        let rows =
            RoaringBitmap::deserialize_from(message.package_versions.as_slice()).map_err(|error| CodecError::new(Self::WHAT, error))?;
        Ok(Self { manager: manager_from_message(message.manager)?, rows })
    }
}

impl Stored for CandidateSet {
    type Message = v1::CandidateSet;
    const WHAT: &'static str = "candidates";

    fn to_message(&self) -> v1::CandidateSet {
        let mut origins: Vec<&Origin> = self.candidates.iter().map(|candidate| &candidate.origin).collect();
        origins.sort();
        origins.dedup();
        let candidates = self.candidates.iter().map(|candidate| {
            // Every origin was collected above, so it is found.
            let index = origins.binary_search(&&candidate.origin).unwrap_or_default();
            candidate_to_message(candidate, u32::try_from(index).unwrap_or(u32::MAX))
        });
        v1::CandidateSet { candidates: candidates.collect(), origins: origins.iter().map(|origin| origin_to_message(origin)).collect() }
    }

    fn from_message(message: v1::CandidateSet) -> Result<Self, CodecError> {
        let origins: Vec<Origin> = message.origins.into_iter().map(origin_from_message).collect();
        let candidates: Result<Vec<_>, CodecError> =
            message.candidates.into_iter().map(|candidate| candidate_from_message(candidate, &origins)).collect();
        Ok(Self::new(candidates?))
    }
}

fn candidate_to_message(candidate: &Candidate, origin: u32) -> v1::Candidate {
    let blocked = match candidate.blocked {
        None => v1::Blocked::Not,
        Some(Blocked::Held) => v1::Blocked::Held,
        Some(Blocked::Pinned) => v1::Blocked::Pinned,
    };
    v1::Candidate {
        name: candidate.id.name.to_string(),
        architecture: candidate.id.architecture.to_string(),
        from: candidate.from.to_string(),
        to: candidate.to.to_string(),
        source: candidate.source.to_string(),
        source_version: candidate.source_version.to_string(),
        origin,
        sha256: candidate.sha256.map(|digest| digest.0.to_vec()),
        size_bytes: candidate.size_bytes,
        blocked: blocked.into(),
    }
}

fn candidate_from_message(message: v1::Candidate, origins: &[Origin]) -> Result<Candidate, CodecError> {
    let version = |text: String| patchwave_common::domain::PackageVersion::parse(text);
    let origin = usize::try_from(message.origin).ok().and_then(|index| origins.get(index));
    Ok(Candidate {
        id: PackageId { name: PackageName::parse(message.name)?, architecture: Architecture::parse(message.architecture)? },
        from: version(message.from)?,
        to: version(message.to)?,
        source: PackageName::parse(message.source)?,
        source_version: version(message.source_version)?,
        origin: origin.ok_or_else(|| CodecError::new("candidate origin", format!("no origin {}", message.origin)))?.clone(),
        sha256: message.sha256.map(|bytes| digest(&bytes)).transpose()?,
        size_bytes: message.size_bytes,
        blocked: match known(message.blocked, "blocked")? {
            v1::Blocked::Not => None,
            v1::Blocked::Held => Some(Blocked::Held),
            v1::Blocked::Pinned => Some(Blocked::Pinned),
        },
    })
}

fn origin_to_message(origin: &Origin) -> v1::Origin {
    let origin = origin.clone();
    v1::Origin {
        origin: origin.origin,
        label: origin.label,
        suite: origin.suite,
        codename: origin.codename,
        component: origin.component,
        site: origin.site,
    }
}

fn origin_from_message(message: v1::Origin) -> Origin {
    Origin {
        origin: message.origin,
        label: message.label,
        suite: message.suite,
        codename: message.codename,
        component: message.component,
        site: message.site,
    }
}

/// An inventory of rows read back; every row must be of its package manager and no two may be one package.
pub(crate) fn inventory_from_packages(manager: Manager, packages: Vec<PackageVersion>) -> Result<Inventory, CodecError> {
    let expected = packages.len();
    if let Some(stranger) = packages.iter().find(|row| row.manager != manager) {
        return Err(CodecError::new("inventory", format!("package {} is of another package manager", stranger.package.id)));
    }
    let inventory = Inventory::new(manager, packages.into_iter().map(|row| row.package));
    if inventory.len() == expected { Ok(inventory) } else { Err(CodecError::new("inventory", "two rows are the same package")) }
}

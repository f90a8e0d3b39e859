//! Inventories, candidates, targets.

use patchwave_common::domain::{
    Architecture, Blocked, Candidate, CandidateSet, Digest, InstallState, InstalledPackage, InventoryDelta, MAX_PACKAGES, Manager, Mark,
    Origin, PackageId, PackageName, PackageTarget, PackageVersion, QuarantineKey, TargetSet, clean_text,
};

use super::{MAX_FACT_CHARS, MAX_TARGETS, WireError, bounded, value};
use crate::fleet::v1 as wire;

fn encode_digest(digest: Option<Digest>) -> Vec<u8> {
    digest.map_or_else(Vec::new, |digest| digest.0.to_vec())
}

/// An empty field stands for none.
pub(super) fn decode_digest(field: &'static str, bytes: &[u8]) -> Result<Option<Digest>, WireError> {
    if bytes.is_empty() { Ok(None) } else { value(field, Digest::from_bytes(bytes)).map(Some) }
}

fn decode_id(name: &str, architecture: &str) -> Result<PackageId, WireError> {
    Ok(PackageId {
        name: value("package name", PackageName::parse(name))?,
        architecture: value("architecture", Architecture::parse(architecture))?,
    })
}

fn version(text: &str) -> Result<PackageVersion, WireError> {
    value("version", PackageVersion::parse(text))
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

/// Sent only where it says something new: most sources have the name and version of their binary.
fn unless<'a>(text: &'a str, default: &str) -> &'a str {
    if text == default { "" } else { text }
}

fn encode_package(package: &InstalledPackage) -> wire::Package {
    let state = match package.state {
        InstallState::Installed => wire::InstallState::Installed,
        InstallState::ConfigFiles => wire::InstallState::ConfigFiles,
        InstallState::Incomplete => wire::InstallState::Incomplete,
    };
    wire::Package {
        name: package.id.name.to_string(),
        architecture: package.id.architecture.to_string(),
        version: package.version.to_string(),
        source: unless(package.source.as_str(), package.id.name.as_str()).to_owned(),
        source_version: unless(package.source_version.as_str(), package.version.as_str()).to_owned(),
        state: state.into(),
        automatic: package.is_auto(),
        held: package.held,
    }
}

fn decode_package(package: &wire::Package) -> Result<InstalledPackage, WireError> {
    let state = match package.state() {
        wire::InstallState::Installed => InstallState::Installed,
        wire::InstallState::ConfigFiles => InstallState::ConfigFiles,
        wire::InstallState::Incomplete => InstallState::Incomplete,
        wire::InstallState::Unspecified => return Err(WireError::Unknown("install state")),
    };
    Ok(InstalledPackage {
        id: decode_id(&package.name, &package.architecture)?,
        version: version(&package.version)?,
        source: value("source", PackageName::parse(or(&package.source, &package.name)))?,
        source_version: version(or(&package.source_version, &package.version))?,
        state,
        mark: if package.automatic { Mark::Auto } else { Mark::Manual },
        held: package.held,
    })
}

pub(super) fn encode_inventory(delta: &InventoryDelta) -> wire::InventoryDelta {
    wire::InventoryDelta {
        base_digest: encode_digest(delta.base),
        digest: delta.digest.0.to_vec(),
        manager: delta.manager.as_str().to_owned(),
        changed: delta.changed.iter().map(encode_package).collect(),
        removed: delta.removed.iter().map(encode_id).collect(),
        lines: String::new(),
    }
}

fn encode_id(id: &PackageId) -> wire::PackageId {
    wire::PackageId { name: id.name.to_string(), architecture: id.architecture.to_string() }
}

pub(super) fn decode_inventory(delta: wire::InventoryDelta) -> Result<InventoryDelta, WireError> {
    Ok(InventoryDelta {
        base: decode_digest("base digest", &delta.base_digest)?,
        digest: decode_digest("digest", &delta.digest)?.ok_or(WireError::Missing("digest"))?,
        manager: value("manager", Manager::parse(&delta.manager))?,
        changed: bounded("changed packages", delta.changed, MAX_PACKAGES)?.iter().map(decode_package).collect::<Result<_, _>>()?,
        removed: bounded("removed packages", delta.removed, MAX_PACKAGES)?
            .iter()
            .map(|id| decode_id(&id.name, &id.architecture))
            .collect::<Result<_, _>>()?,
    })
}

/// One candidate to the wire.
#[must_use]
pub fn encode_candidate(candidate: &Candidate) -> wire::Candidate {
    let blocked = match candidate.blocked {
        None => "",
        Some(Blocked::Held) => "held",
        Some(Blocked::Pinned) => "pinned",
    };
    let origin = &candidate.origin;
    wire::Candidate {
        name: candidate.id.name.to_string(),
        architecture: candidate.id.architecture.to_string(),
        from_version: candidate.from.to_string(),
        to_version: candidate.to.to_string(),
        source: unless(candidate.source.as_str(), candidate.id.name.as_str()).to_owned(),
        source_version: unless(candidate.source_version.as_str(), candidate.to.as_str()).to_owned(),
        origin: Some(wire::Origin {
            origin: origin.origin.clone(),
            label: origin.label.clone(),
            suite: origin.suite.clone(),
            codename: origin.codename.clone(),
            component: origin.component.clone(),
            site: origin.site.clone(),
        }),
        sha256: encode_digest(candidate.sha256),
        size_bytes: candidate.size_bytes,
        blocked: blocked.to_owned(),
    }
}

/// One candidate from the wire.
pub fn decode_candidate(candidate: &wire::Candidate) -> Result<Candidate, WireError> {
    let blocked = match candidate.blocked.as_str() {
        "" => None,
        "held" => Some(Blocked::Held),
        "pinned" => Some(Blocked::Pinned),
        _ => return Err(WireError::Unknown("blocked")),
    };
    let origin = candidate.origin.clone().unwrap_or_default();
    let text = |field: &str| clean_text(field, MAX_FACT_CHARS);
    Ok(Candidate {
        id: decode_id(&candidate.name, &candidate.architecture)?,
        from: version(&candidate.from_version)?,
        to: version(&candidate.to_version)?,
        source: value("source", PackageName::parse(or(&candidate.source, &candidate.name)))?,
        source_version: version(or(&candidate.source_version, &candidate.to_version))?,
        origin: Origin {
            origin: text(&origin.origin),
            label: text(&origin.label),
            suite: text(&origin.suite),
            codename: text(&origin.codename),
            component: text(&origin.component),
            site: text(&origin.site),
        },
        sha256: decode_digest("sha256", &candidate.sha256)?,
        size_bytes: candidate.size_bytes,
        blocked,
    })
}

pub(super) fn encode_candidates(set: &CandidateSet) -> wire::Candidates {
    wire::Candidates { digest: set.digest().0.to_vec(), candidates: set.candidates.iter().map(encode_candidate).collect() }
}

pub(super) fn decode_candidates(set: wire::Candidates) -> Result<CandidateSet, WireError> {
    let candidates = bounded("candidates", set.candidates, MAX_PACKAGES)?;
    Ok(CandidateSet::new(candidates.iter().map(decode_candidate).collect::<Result<_, _>>()?))
}

pub(super) fn encode_targets(set: &TargetSet) -> wire::TargetSet {
    let target = |target: &PackageTarget| wire::PackageTarget {
        name: target.id.name.to_string(),
        architecture: target.id.architecture.to_string(),
        from_version: target.from.to_string(),
        to_version: target.to.to_string(),
        source: target.source.to_string(),
        origin: target.origin.clone(),
        sha256: encode_digest(target.sha256),
        size_bytes: target.size_bytes,
    };
    wire::TargetSet { manager: set.manager.as_str().to_owned(), targets: set.targets.iter().map(target).collect() }
}

pub(super) fn decode_targets(set: Option<wire::TargetSet>) -> Result<TargetSet, WireError> {
    let set = set.ok_or(WireError::Missing("targets"))?;
    let target = |target: &wire::PackageTarget| {
        Ok(PackageTarget {
            id: decode_id(&target.name, &target.architecture)?,
            from: version(&target.from_version)?,
            to: version(&target.to_version)?,
            source: value("source", PackageName::parse(&target.source))?,
            origin: clean_text(&target.origin, MAX_FACT_CHARS),
            sha256: decode_digest("sha256", &target.sha256)?,
            size_bytes: target.size_bytes,
        })
    };
    let manager = value("manager", Manager::parse(&set.manager))?;
    let targets = bounded("targets", set.targets, MAX_TARGETS)?.iter().map(target).collect::<Result<_, WireError>>()?;
    TargetSet::new(manager, targets).ok_or(WireError::Missing("targets"))
}

pub(super) fn encode_quarantine(key: &QuarantineKey) -> wire::QuarantineKey {
    wire::QuarantineKey {
        manager: key.manager.as_str().to_owned(),
        origin: key.origin.clone(),
        source: key.source.to_string(),
        version: key.version.to_string(),
        architecture: key.architecture.to_string(),
    }
}

pub(super) fn decode_quarantine(key: &wire::QuarantineKey) -> Result<QuarantineKey, WireError> {
    Ok(QuarantineKey {
        manager: value("manager", Manager::parse(&key.manager))?,
        origin: clean_text(&key.origin, MAX_FACT_CHARS),
        source: value("source", PackageName::parse(&key.source))?,
        version: version(&key.version)?,
        architecture: value("architecture", Architecture::parse(&key.architecture))?,
    })
}

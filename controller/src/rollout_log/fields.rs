//! Small values that plans and events share.

use patchwave_common::domain::{
    Architecture, Digest, Generation, Manager, PackageId, PackageName, PackageTarget, PackageVersion, QuarantineKey, TargetSet,
};
use patchwave_proto::store::rollout::v1 as proto;

use super::LogError;

pub(super) fn encode_generation(generation: Generation) -> proto::Generation {
    proto::Generation { epoch: generation.epoch, counter: generation.counter }
}

pub(super) fn decode_generation(generation: &proto::Generation) -> Generation {
    Generation { epoch: generation.epoch, counter: generation.counter }
}

pub(super) fn encode_targets(set: &TargetSet) -> proto::TargetSet {
    let encode = |target: &PackageTarget| proto::Target {
        name: target.id.name.to_string(),
        architecture: target.id.architecture.to_string(),
        from_version: target.from.to_string(),
        to_version: target.to.to_string(),
        source: target.source.to_string(),
        origin: target.origin.clone(),
        sha256: target.sha256.map_or_else(Vec::new, |digest| digest.0.to_vec()),
        size_bytes: target.size_bytes,
    };
    proto::TargetSet { manager: set.manager.as_str().to_owned(), targets: set.targets.iter().map(encode).collect() }
}

pub(super) fn decode_targets(set: &proto::TargetSet) -> Result<TargetSet, LogError> {
    let decode = |target: &proto::Target| {
        Ok::<_, LogError>(PackageTarget {
            id: PackageId { name: PackageName::parse(&target.name)?, architecture: Architecture::parse(&target.architecture)? },
            from: PackageVersion::parse(&target.from_version)?,
            to: PackageVersion::parse(&target.to_version)?,
            source: PackageName::parse(&target.source)?,
            origin: target.origin.clone(),
            sha256: if target.sha256.is_empty() { None } else { Some(Digest::from_bytes(&target.sha256)?) },
            size_bytes: target.size_bytes,
        })
    };
    let targets = set.targets.iter().map(decode).collect::<Result<_, _>>()?;
    TargetSet::new(Manager::parse(&set.manager)?, targets).ok_or(LogError::Missing("target"))
}

pub(super) fn encode_key(key: &QuarantineKey) -> proto::QuarantineKey {
    proto::QuarantineKey {
        manager: key.manager.as_str().to_owned(),
        origin: key.origin.clone(),
        source: key.source.to_string(),
        version: key.version.to_string(),
        architecture: key.architecture.to_string(),
    }
}

pub(super) fn decode_key(key: &proto::QuarantineKey) -> Result<QuarantineKey, LogError> {
    Ok(QuarantineKey {
        manager: Manager::parse(&key.manager)?,
        origin: key.origin.clone(),
        source: PackageName::parse(&key.source)?,
        version: PackageVersion::parse(&key.version)?,
        architecture: Architecture::parse(&key.architecture)?,
    })
}

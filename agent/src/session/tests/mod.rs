//! Tests of the core: single behaviours, and agreement with a model controller over a network that loses, doubles and reorders.
#![allow(clippy::unwrap_used, clippy::panic)]

mod agreement;
mod behaviour;

use patchwave_common::domain::{
    Architecture, Feature, HostFacts, InstallState, InstalledPackage, InstanceId, Inventory, Manager, Mark, PackageId, PackageName,
    PackageVersion, Timestamp,
};

use super::protocol::{At, Whoami};

fn whoami() -> Whoami {
    Whoami { instance: InstanceId::parse("i-1").unwrap(), agent_version: "1".into(), features: vec![Feature(Feature::APPLY_V1.into())] }
}

fn facts(hostname: &str) -> HostFacts {
    HostFacts { hostname: hostname.into(), ..HostFacts::default() }
}

fn at(ms: u64) -> At {
    At { boottime_ms: ms, wall: Timestamp(i64::try_from(ms).unwrap()) }
}

/// An inventory in which package `n` has the n-th version; 0 for absent.
fn inventory(versions: &[u8]) -> Inventory {
    let packages = versions.iter().enumerate().filter(|(_, version)| **version > 0).map(|(index, version)| {
        let name = PackageName::parse(format!("p{index}")).unwrap();
        let version = PackageVersion::parse(version.to_string()).unwrap();
        InstalledPackage {
            id: PackageId { name: name.clone(), architecture: Architecture::parse("amd64").unwrap() },
            version: version.clone(),
            source: name,
            source_version: version,
            state: InstallState::Installed,
            mark: Mark::Manual,
            held: false,
        }
    });
    Inventory::new(Manager::Simulated, packages)
}

//! Who the simulated agents are and what they have: the same in the store, on the wire and in every process.

use anyhow::Result;
use patchwave_common::domain::{
    Architecture, Candidate, CandidateSet, Digest, Feature, Hello, HostFacts, HostId, HostMode, InstallState, InstalledPackage, InstanceId,
    Inventory, Manager, Mark, Origin, PackageId, PackageName, PackageVersion, Timestamp,
};

/// The mode of every simulated agent.
pub const MODE: HostMode = HostMode::Managed;
/// What the one package that changes is called; the others are numbered.
const CHANGING: &str = "shop";
/// The version that the rollout brings.
const NEW_VERSION: &str = "2.0-1";

/// Identity of an agent.
///
/// # Errors
/// None: every number gives one.
pub fn host_id(number: u32) -> Result<HostId> {
    // As long as a real one, which has ten random bytes in base 32.
    Ok(HostId::parse(format!("h-{number:016}"))?)
}

/// What an agent says of its machine: as much as a real one says, and the same in the store, so that connecting changes none of it.
#[must_use]
pub fn facts(number: u32) -> HostFacts {
    HostFacts {
        hostname: format!("host-{number}.fleet.example"),
        os: "debian".into(),
        release: "12".into(),
        codename: "bookworm".into(),
        kernel: "6.1.0-29-amd64".into(),
        architecture: "x86_64".into(),
        cpus: 4,
        memory_bytes: 8 << 30,
        addresses: vec![format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255), format!("fd00::{number:x}")],
        booted_at_secs: 1_750_000_000 + i64::from(number),
        boot_id: format!("{number:08x}-0000-4000-8000-000000000000"),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        ..HostFacts::default()
    }
}

/// A package as dpkg has it.
///
/// # Errors
/// If name or version are none.
pub fn package(name: &str, version: &str) -> Result<InstalledPackage> {
    Ok(InstalledPackage {
        id: PackageId { name: PackageName::parse(name)?, architecture: Architecture::parse("amd64")? },
        version: PackageVersion::parse(version)?,
        source: PackageName::parse(name)?,
        source_version: PackageVersion::parse(version)?,
        state: InstallState::Installed,
        mark: Mark::Auto,
        held: false,
    })
}

/// What every agent has at first.
#[derive(Debug)]
pub struct Content {
    packages: Vec<InstalledPackage>,
    /// The inventory.
    pub inventory: Inventory,
    /// What it could get.
    pub candidates: CandidateSet,
}

impl Content {
    /// An inventory of `packages` packages, and one candidate.
    ///
    /// # Errors
    /// None: the names are fixed.
    pub fn new(packages: u32) -> Result<Self> {
        let mut all = vec![package(CHANGING, "1.0-1")?];
        for number in 1..packages {
            all.push(package(&format!("libexample{number}-data"), &format!("1.{number}.4-2+deb12u{}", number % 7))?);
        }
        let inventory = Inventory::new(Manager::Dpkg, all.iter().cloned());
        let id = all[0].id.clone();
        let (from, to) = (all[0].version.clone(), PackageVersion::parse(NEW_VERSION)?);
        let origin = Origin { origin: "Example".into(), label: "Example".into(), suite: "stable".into(), ..Origin::default() };
        let (source, source_version) = (id.name.clone(), to.clone());
        let (sha256, size_bytes, blocked) = (Some(Digest::of(b"shop")), 1 << 20, None);
        let candidate = Candidate { id, from, to, source, source_version, origin, sha256, size_bytes, blocked };
        Ok(Self { packages: all, inventory, candidates: CandidateSet { candidates: vec![candidate] } })
    }

    /// The inventory after a change that bears this name.
    ///
    /// # Errors
    /// If the name does not go into a version.
    pub fn changed(&self, name: &str) -> Result<Inventory> {
        let last = self.packages.len() - 1;
        let mut packages = self.packages.clone();
        packages[last].version = PackageVersion::parse(format!("9.{name}"))?;
        Ok(Inventory::new(Manager::Dpkg, packages))
    }
}

/// First word of an agent.
///
/// # Errors
/// None: the values are fixed.
pub fn hello(number: u32, content: &Content, inventory: Digest, now: Timestamp) -> Result<Hello> {
    Ok(Hello {
        instance: InstanceId::parse(format!("{number:032x}"))?,
        agent_version: env!("CARGO_PKG_VERSION").into(),
        features: Feature::ALL.iter().map(|name| Feature((*name).to_owned())).collect(),
        inventory: Some(inventory),
        candidates: Some(content.candidates.digest()),
        facts: facts(number),
        clock: now,
        directive: None,
        newest: None,
    })
}

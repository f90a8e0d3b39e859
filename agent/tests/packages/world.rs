//! What a contract test needs of a host, whatever its package manager: the world around [`PackageManager`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwave_agent::packages::{PackageManager, Receipt, Simulation, StagedSet, Step};
use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{Architecture, InstalledPackage, Manager, PackageId, PackageName, PackageTarget, PackageVersion, TargetSet};

/// A package as a test describes it.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    pub name: &'static str,
    pub version: &'static str,
    pub depends: &'static [&'static str],
    pub conflicts: &'static [&'static str],
    pub conffiles: Vec<(&'static str, String)>,
    pub files: Vec<(&'static str, String)>,
    /// Configuring it fails.
    pub broken: bool,
    /// Makes two builds of one version differ.
    pub build: u32,
}

pub fn spec(name: &'static str, version: &'static str) -> Spec {
    Spec { name, version, ..Spec::default() }
}

/// A host with an archive.
pub trait World {
    fn manager(&self) -> &dyn PackageManager;
    /// The host's root directory.
    fn root(&self) -> &Path;
    /// A directory for the agent's state.
    fn state(&self) -> &Path;
    /// Adds packages to the archive, and refreshes.
    fn publish(&mut self, packages: &[Spec]);
    /// Takes a version out of the archive, file and all, and refreshes.
    fn withdraw(&mut self, name: &str, version: &str);
    /// Installs from the archive, as the host's past.
    fn install(&mut self, name: &str, version: &str);
    fn mark_auto(&mut self, name: &str);
    fn hold(&mut self, name: &str, held: bool);
    /// The administrator forbids a version.
    fn pin_away(&mut self, name: &str, version: &str);
    /// The changes made since the world began, one line each.
    fn history(&self) -> Vec<String>;
    /// Runs one step to its end; what it said if it failed.
    fn run(&self, step: &Step) -> Result<(), String>;
}

pub fn rules() -> TransactionRules {
    TransactionRules {
        allow_removals: false,
        allow_new_packages: true,
        allow_no_way_back: false,
        observe_other_hands: false,
        lock_wait: Duration::from_secs(5),
        time_limit: Duration::from_secs(120),
    }
}

pub fn id(name: &str) -> PackageId {
    PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse("all").unwrap() }
}

pub fn version(text: &str) -> PackageVersion {
    PackageVersion::parse(text).unwrap()
}

pub fn target(name: &str, from: &str, to: &str) -> PackageTarget {
    PackageTarget {
        id: id(name),
        from: version(from),
        to: version(to),
        source: PackageName::parse(name).unwrap(),
        origin: "Debian-Security/stable-security".to_owned(),
        sha256: None,
        size_bytes: 0,
    }
}

pub fn targets(world: &dyn World, targets: &[(&str, &str, &str)]) -> TargetSet {
    let targets = targets.iter().map(|(name, from, to)| target(name, from, to)).collect();
    TargetSet::new(manager_of(world), targets).unwrap()
}

pub fn manager_of(world: &dyn World) -> Manager {
    world.manager().manager()
}

pub fn package(world: &dyn World, name: &str) -> Option<InstalledPackage> {
    world.manager().inventory().unwrap().get(&id(name)).cloned()
}

pub fn stage_dir(world: &dyn World) -> PathBuf {
    world.state().join("stage")
}

/// Everything up to the receipt.
pub struct Ready {
    pub staged: StagedSet,
    pub simulation: Simulation,
    pub receipt: Receipt,
}

pub fn ready(world: &dyn World, set: &TargetSet, rules: &TransactionRules) -> Ready {
    let staged = world.manager().stage(set, &stage_dir(world)).unwrap();
    let simulation = world.manager().simulate(&staged, rules).unwrap();
    let receipt = world.manager().snapshot(&staged, &simulation, &world.state().join("receipt")).unwrap();
    Ready { staged, simulation, receipt }
}

/// Runs steps as the patching driver does: the first failure ends it, unless the step may fail.
pub fn run_all(world: &dyn World, steps: &[Step]) -> Result<(), String> {
    for step in steps {
        if let Err(said) = world.run(step)
            && !matches!(step, Step::Run(command) if command.may_fail)
        {
            return Err(format!("{step:?}: {said}"));
        }
    }
    Ok(())
}

pub fn apply(world: &dyn World, ready: &Ready, rules: &TransactionRules) -> Result<(), String> {
    run_all(world, &world.manager().apply_steps(&ready.staged, &ready.receipt, rules).unwrap())
}

pub fn restore(world: &dyn World, receipt: &Receipt) -> Result<(), String> {
    run_all(world, &world.manager().restore_steps(receipt, &rules()).unwrap())
}

pub fn unlike_targets(world: &dyn World, receipt: &Receipt) -> Vec<String> {
    world.manager().verify_targets(receipt).unwrap().iter().map(ToString::to_string).collect()
}

pub fn unlike_receipt(world: &dyn World, receipt: &Receipt) -> Vec<String> {
    world.manager().verify_receipt(receipt).unwrap().iter().map(ToString::to_string).collect()
}

pub fn write(world: &dyn World, path: &str, contents: &str) {
    let path = world.root().join(path.trim_start_matches('/'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

pub fn read(world: &dyn World, path: &str) -> Option<String> {
    std::fs::read_to_string(world.root().join(path.trim_start_matches('/'))).ok()
}

pub fn delete(world: &dyn World, path: &str) {
    std::fs::remove_file(world.root().join(path.trim_start_matches('/'))).unwrap();
}

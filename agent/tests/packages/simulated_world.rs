//! The contract's world for the simulated package manager.

use std::path::Path;

use patchwave_agent::packages::simulated::{Simulated, SimulatedPackage};
use patchwave_agent::packages::{PackageManager, Step};
use patchwave_common::domain::{Architecture, Mark, PackageName};

use crate::world::{Spec, World, id, version};

pub struct SimulatedWorld {
    directory: tempfile::TempDir,
    host: Simulated,
}

impl SimulatedWorld {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Simulated::open(&directory.path().join("root")).unwrap();
        Self { host, directory }
    }
}

fn simulated(spec: &Spec) -> SimulatedPackage {
    let name = PackageName::parse(spec.name).unwrap();
    let mut package = SimulatedPackage::new(name, version(spec.version), Architecture::parse("all").unwrap());
    package.origin.suite = "stable-security".to_owned();
    package.origin.label = "Debian-Security".to_owned();
    package.depends = spec.depends.iter().map(|name| PackageName::parse(name).unwrap()).collect();
    package.conflicts = spec.conflicts.iter().map(|name| PackageName::parse(name).unwrap()).collect();
    package.conffiles = spec.conffiles.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect();
    package.files = spec.files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect();
    package.files.insert(format!("/usr/share/{}/build", spec.name), spec.build.to_string());
    package.broken = spec.broken;
    package
}

impl World for SimulatedWorld {
    fn manager(&self) -> &dyn PackageManager {
        &self.host
    }

    fn root(&self) -> &Path {
        self.host.root()
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn publish(&mut self, packages: &[Spec]) {
        self.host.change(|state| state.archive.extend(packages.iter().map(simulated))).unwrap();
    }

    fn withdraw(&mut self, name: &str, version: &str) {
        let stays = |package: &SimulatedPackage| package.id.name.as_str() != name || package.version.as_str() != version;
        self.host.change(|state| state.archive.retain(stays)).unwrap();
    }

    fn install(&mut self, name: &str, wanted: &str) {
        let state = self.host.state().unwrap();
        let package = state.archive.iter().find(|package| package.id == id(name) && package.version == version(wanted)).unwrap();
        self.host.install(package, Mark::Manual).unwrap();
    }

    fn mark_auto(&mut self, name: &str) {
        self.host.change(|state| state.installed.get_mut(&id(name).to_string()).unwrap().mark = Mark::Auto).unwrap();
    }

    fn hold(&mut self, name: &str, held: bool) {
        self.host.change(|state| state.installed.get_mut(&id(name).to_string()).unwrap().held = held).unwrap();
    }

    fn pin_away(&mut self, name: &str, wanted: &str) {
        self.host.change(|state| state.pinned.insert((PackageName::parse(name).unwrap(), version(wanted)))).unwrap();
    }

    fn history(&self) -> Vec<String> {
        self.host.state().unwrap().history
    }

    fn run(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Perform(action) => self.host.perform(action).map_err(|error| error.to_string()),
            Step::Run(command) => Err(format!("the simulated package manager has no command: {command:?}")),
        }
    }
}

//! The same shop for the agents' simulated package manager: each host has its archive in a file of its own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use patchwave_agent::packages::simulated::{Simulated as Host, SimulatedPackage};
use patchwave_common::domain::{Architecture, InstallState, Mark, PackageName, PackageVersion};

use super::{Contents, FIRST};

/// What was published, and to whom.
#[derive(Default)]
pub(in crate::demo) struct Simulated {
    archive: Vec<SimulatedPackage>,
    roots: Vec<PathBuf>,
}

impl Simulated {
    /// As with a real archive, hosts see it when they refresh.
    pub(super) fn publish(&mut self, contents: &[Contents]) -> anyhow::Result<()> {
        for each in contents {
            self.archive.push(package(each)?);
        }
        for root in &self.roots {
            let archive = self.archive.clone();
            Host::open(root)?.change(|state| state.next_archive = Some(archive))?;
        }
        Ok(())
    }

    pub(super) fn install(&mut self, roots: &[PathBuf]) -> anyhow::Result<()> {
        let first = self.archive.iter().find(|package| package.version.as_str() == FIRST).context("no first version")?;
        for root in roots {
            let host = Host::open(root)?;
            host.change(|state| state.archive = self.archive.clone())?;
            host.install(first, Mark::Manual)?;
        }
        self.roots.extend_from_slice(roots);
        Ok(())
    }
}

/// As the host's file says; `None` unless it is wholly installed.
pub(super) fn installed(root: &Path, package: &str) -> anyhow::Result<Option<String>> {
    let state = Host::open(root)?.state()?;
    let found = state.installed.into_values().find(|installed| installed.package.id.name.as_str() == package);
    let found = found.filter(|installed| installed.state == InstallState::Installed);
    Ok(found.map(|installed| installed.package.version.to_string()))
}

fn package(contents: &Contents) -> anyhow::Result<SimulatedPackage> {
    let version = PackageVersion::parse(contents.version)?;
    let mut package = SimulatedPackage::new(PackageName::parse(contents.name)?, version, Architecture::parse("all")?);
    package.origin.origin = "Shop".to_owned();
    package.origin.label = "Shop".to_owned();
    package.depends = contents.depends.map(PackageName::parse).transpose()?.into_iter().collect();
    package.conffiles = contents.conffiles.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    package.files = contents.files.iter().map(|(path, _, text)| ((*path).to_owned(), text.clone())).collect();
    Ok(package)
}

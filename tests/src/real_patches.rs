//! Chooses packages to patch at run time: real ones that have an older and a newer version in Debian's archive, and ones
//! built here where there are not enough (a point release empties the difference, a machine may have no network).

use anyhow::{Context as _, Result};
use patchwave_debian_repository::{Package, ReleaseFields, Repository, RepositoryServer};

use crate::{Fleet, Host};

/// Small packages without siblings that must move along, not on a minimal system: added to those that are there already.
const OTHERS: [&str; 4] = ["unzip", "rsync", "libexpat1", "libpng16-16"];

/// An update that can be made and taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealPatch {
    /// The binary package.
    pub package: String,
    /// The version to start from.
    pub older: String,
    /// The version to patch to.
    pub newer: String,
    /// Whether a host has the older version from the start; else see [`RealPatches::make_outdated`].
    pub installed: bool,
    /// Whether it was built here because the archive offers too few.
    pub built_here: bool,
}

/// The chosen patches, and the repository of those that had to be built.
#[derive(Debug)]
pub struct RealPatches {
    /// As many as were asked for, those of the archive first.
    pub patches: Vec<RealPatch>,
    built: Option<(Repository, RepositoryServer)>,
}

impl RealPatches {
    /// Brings a host to the older version of every patch; both versions are candidates there afterwards.
    ///
    /// # Errors
    /// With what apt said.
    pub fn make_outdated(&self, host: &Host) -> Result<()> {
        if let Some((repository, server)) = &self.built {
            host.add_source("patchwave-tests", &repository.source_line(&server.url()))?;
        }
        let missing = self.patches.iter().filter(|patch| !patch.installed);
        let exact: Vec<String> = missing.map(|patch| format!("{}={}", patch.package, patch.older)).collect();
        if exact.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["install", "--no-install-recommends"];
        arguments.extend(exact.iter().map(String::as_str));
        host.apt_get(&arguments).map(|_| ())
    }
}

/// Chooses `wanted` patches that move one package each, as apt on this freshly booted host sees the archive.
///
/// # Errors
/// If apt cannot be asked, or a package cannot be built.
pub fn real_patches(fleet: &Fleet, host: &Host, wanted: usize) -> Result<RealPatches> {
    let mut patches = Vec::new();
    let upgradable = host.run("apt-get", &["--simulate", "dist-upgrade"])?;
    let names = upgradable.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    for package in names.chain(OTHERS) {
        if patches.len() == wanted {
            break;
        }
        // Replacing apt while a test drives it would test something else.
        if package.starts_with("apt") || package.starts_with("libapt") {
            continue;
        }
        patches.extend(candidate(host, package)?);
    }
    if patches.len() == wanted {
        return Ok(RealPatches { patches, built: None });
    }
    let (mut repository, server) = fleet.repository("built-patches", ReleaseFields::named("patchwave-tests"))?;
    for number in patches.len()..wanted {
        let file = format!("/usr/share/patchwave-example-{number}");
        let older = Package::new(&format!("patchwave-example-{number}"), "1.0-1").file(&file, 0o644, "1.0\n");
        repository.add(&older)?;
        repository.add(&older.clone().with_version("1.1-1").file(&file, 0o644, "1.1\n"))?;
        patches.push(RealPatch {
            package: older.name().to_owned(),
            older: "1.0-1".to_owned(),
            newer: "1.1-1".to_owned(),
            installed: false,
            built_here: true,
        });
    }
    repository.publish()?;
    Ok(RealPatches { patches, built: Some((repository, server)) })
}

/// The patch that this package offers, if its newest version can be installed alone and another version is there.
fn candidate(host: &Host, package: &str) -> Result<Option<RealPatch>> {
    let versions = versions(&host.run("apt-cache", &["madison", package])?);
    let (Some(newer), Some(oldest)) = (versions.first(), versions.last()) else { return Ok(None) };
    let installed = host.installed_version(package)?;
    let older = installed.as_ref().unwrap_or(oldest);
    if newer == older || !versions.contains(older) {
        return Ok(None);
    }
    let from_here = if installed.is_some() { newer } else { older };
    let simulated = host.try_run("apt-get", &["--simulate", "--no-install-recommends", "install", &format!("{package}={from_here}")])?;
    let moves = |word: &str| simulated.stdout.lines().filter(|line| line.starts_with(word)).count();
    let alone = simulated.status.success() && moves("Inst ") == 1 && moves("Remv ") == 0;
    Ok(alone.then(|| RealPatch {
        package: package.to_owned(),
        older: older.clone(),
        newer: newer.clone(),
        installed: installed.is_some(),
        built_here: false,
    }))
}

/// `apt-cache madison` lists the newest version first, once per archive that has it.
fn versions(madison: &str) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    for version in madison.lines().filter_map(|line| line.split('|').nth(1)) {
        if !versions.iter().any(|known| known == version.trim()) {
            versions.push(version.trim().to_owned());
        }
    }
    versions
}

impl RealPatch {
    /// The package in its newer version, as apt takes it.
    #[must_use]
    pub fn to_newer(&self) -> String {
        format!("{}={}", self.package, self.newer)
    }

    /// The package in its older version, as apt takes it.
    #[must_use]
    pub fn to_older(&self) -> String {
        format!("{}={}", self.package, self.older)
    }

    /// Which of the two a host has.
    ///
    /// # Errors
    /// If it has neither.
    pub fn is_applied_on(&self, host: &Host) -> Result<bool> {
        let installed = host.installed_version(&self.package)?.with_context(|| format!("{} is not installed", self.package))?;
        anyhow::ensure!(installed == self.older || installed == self.newer, "{} is at {installed}: {self:?}", self.package);
        Ok(installed == self.newer)
    }
}

//! What a host's package is called where advisories speak of it.

use std::sync::Arc;

use patchwave_common::domain::{Candidate, InstallState, InstalledPackage, Inventory};

use crate::advisory::record::{Space, System};

/// A version of a package in a space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageKey {
    /// Where its name means something.
    pub space: Space,
    /// Its name there.
    pub name: Arc<str>,
    /// Its version there.
    pub version: Arc<str>,
}

impl PackageKey {
    /// The key of an installed package; `None` for one of which only configuration is left. One whose installation was cut off counts:
    /// its files are there.
    #[must_use]
    pub fn of(space: &Space, package: &InstalledPackage) -> Option<Self> {
        if package.state == InstallState::ConfigFiles {
            return None;
        }
        let versions = (package.version.as_str(), package.source_version.as_str());
        Some(Self::of_source(space, package.source.as_str(), versions))
    }

    /// The key of what a host would have with a candidate installed.
    #[must_use]
    pub fn of_candidate(space: &Space, candidate: &Candidate) -> Self {
        Self::of_source(space, candidate.source.as_str(), (candidate.to.as_str(), candidate.source_version.as_str()))
    }

    /// The name by which distributions' advisories know a source package.
    #[must_use]
    pub fn name_of_source(source: &str) -> Arc<str> {
        signed_kernel(source).unwrap_or_else(|| source.into())
    }

    fn of_source(space: &Space, source: &str, (version, source_version): (&str, &str)) -> Self {
        let (name, version) = match (space.system(), signed_kernel(source)) {
            (System::Debian | System::Ubuntu, Some(kernel)) => (kernel, version),
            _ => (source.into(), source_version),
        };
        Self { space: space.clone(), name, version: version.into() }
    }
}

/// The keys of an inventory, ordered, each once.
#[must_use]
pub fn package_keys(space: &Space, inventory: &Inventory) -> Vec<PackageKey> {
    let mut keys: Vec<PackageKey> = inventory.iter().filter_map(|package| PackageKey::of(space, package)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The source of which advisories speak, for the source that only adds signatures to its kernels: `linux` for Debian's
/// `linux-signed-amd64` and Ubuntu's `linux-signed`, `linux-hwe-6.8` for `linux-signed-hwe-6.8`. The signed binaries carry the version of the
/// kernel that they hold; their own source's version counts the signing.
fn signed_kernel(source: &str) -> Option<Arc<str>> {
    const ARCHITECTURES: [&str; 4] = ["-amd64", "-arm64", "-i386", "-armhf"];
    let flavour = source.strip_prefix("linux-signed")?;
    let flavour = ARCHITECTURES.iter().find_map(|architecture| flavour.strip_suffix(architecture)).unwrap_or(flavour);
    (flavour.is_empty() || flavour.starts_with('-')).then(|| format!("linux{flavour}").into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::dpkg::installed_packages;

    use super::*;

    #[test]
    fn a_signed_kernel_is_the_kernel_that_was_signed() {
        for (source, kernel) in [
            ("linux-signed-amd64", Some("linux")),
            ("linux-signed", Some("linux")),
            ("linux-signed-hwe-6.8", Some("linux-hwe-6.8")),
            ("linux", None),
            ("linux-signedx", None),
        ] {
            assert_eq!(signed_kernel(source).as_deref(), kernel, "{source}");
        }
        let text = "Package: linux-image-6.1.0-40-amd64\nStatus: install ok installed\nArchitecture: amd64\n\
            Source: linux-signed-amd64 (6.1.153+1)\nVersion: 6.1.153-1\n";
        let package = installed_packages(text).next().unwrap();
        let key = PackageKey::of(&Space::parse("Debian:12").unwrap(), &package).unwrap();
        assert_eq!((key.name.as_ref(), key.version.as_ref()), ("linux", "6.1.153-1"));
    }

    #[test]
    fn a_rebuilt_binary_counts_by_its_source_and_what_was_removed_does_not_count() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nSource: s (1-1)\nVersion: 1-1+b2\n\n\
            Package: b\nStatus: install ok installed\nArchitecture: amd64\nSource: s (1-1)\nVersion: 1-1+b2\n\n\
            Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n";
        let inventory = Inventory::new(patchwave_common::domain::Manager::Dpkg, installed_packages(text));
        let keys = package_keys(&Space::parse("Debian:12").unwrap(), &inventory);
        assert_eq!(keys.iter().map(|key| (key.name.as_ref(), key.version.as_ref())).collect::<Vec<_>>(), [("s", "1-1")]);
    }
}

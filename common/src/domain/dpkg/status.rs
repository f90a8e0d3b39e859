//! What a paragraph of dpkg's `status` says of a package.

use super::{Paragraph, paragraphs};
use crate::domain::{Architecture, InstallState, InstalledPackage, Mark, PackageId, PackageName, PackageVersion};

/// Every package of a `status` file, marks and pending records apart; what is no package is skipped.
pub fn installed_packages(text: &str) -> impl Iterator<Item = InstalledPackage> {
    paragraphs(text).filter_map(|paragraph| {
        let name = PackageName::parse(paragraph.get("Package")?).ok()?;
        let architecture = Architecture::parse(paragraph.get("Architecture")?).ok()?;
        installed_package(PackageId { name, architecture }, &paragraph)
    })
}

/// The package of a paragraph, its mark left at [`Mark::Manual`]; `None` for one that is not there.
#[must_use]
pub fn installed_package(id: PackageId, paragraph: &Paragraph<'_>) -> Option<InstalledPackage> {
    let mut words = paragraph.get("Status")?.split_whitespace();
    let (want, error, state) = (words.next()?, words.next()?, words.next()?);
    let state = match state {
        "not-installed" => return None,
        "config-files" => InstallState::ConfigFiles,
        "installed" if error == "ok" => InstallState::Installed,
        _ => InstallState::Incomplete,
    };
    let version = paragraph.get("Version").or_else(|| paragraph.get("Config-Version"))?;
    let version = PackageVersion::parse(version).ok()?;
    let (source, source_version) = source_of(paragraph, &id.name, &version);
    Some(InstalledPackage { id, version, source, source_version, state, mark: Mark::Manual, held: want == "hold" })
}

/// `Source: name` or `Source: name (version)`; without the field both are the binary package's own.
#[must_use]
pub fn source_of(paragraph: &Paragraph<'_>, name: &PackageName, version: &PackageVersion) -> (PackageName, PackageVersion) {
    let Some(field) = paragraph.get("Source") else {
        return (name.clone(), version.clone());
    };
    let (source, rest) = field.split_once(' ').unwrap_or((field, ""));
    let told = rest.trim_ascii().trim_start_matches('(').trim_end_matches(')');
    // What is the same is shared: a host keeps an inventory in memory all the time.
    let told = if told.is_empty() || told == version.as_str() { None } else { PackageVersion::parse(told).ok() };
    (PackageName::parse(source).unwrap_or_else(|_| name.clone()), told.unwrap_or_else(|| version.clone()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_package_is_told_with_its_source_and_how_far_it_got() {
        let text = "Package: libx\nStatus: install ok installed\nArchitecture: amd64\nSource: x (1:2-3)\nVersion: 1:2-3+b1\n\n\
            Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
            Package: never\nStatus: purge ok not-installed\nArchitecture: all\n\n\
            Package: half\nStatus: hold reinstreq half-installed\nArchitecture: all\nVersion: 2\n\n\
            Package: -odd\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n";
        let packages: Vec<_> = installed_packages(text).collect();
        let told: Vec<_> =
            packages.iter().map(|it| (it.id.name.as_str(), it.source.as_str(), it.source_version.as_str(), it.state)).collect();
        assert_eq!(
            told,
            [
                ("libx", "x", "1:2-3", InstallState::Installed),
                ("gone", "gone", "1", InstallState::ConfigFiles),
                ("half", "half", "2", InstallState::Incomplete),
            ]
        );
        assert_eq!(packages.iter().map(|it| it.held).collect::<Vec<_>>(), [false, false, true]);
    }
}

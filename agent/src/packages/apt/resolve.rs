//! Asks apt's resolver what a transaction would do (`apt-get --simulate`), and reads the answer. Nothing is changed.

use std::collections::BTreeMap;

use patchwave_common::domain::{Architecture, Inventory, Manager, PackageId, PackageName, PackageVersion};

use crate::packages::{Change, ChangeKind, rules};

/// One line of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Install { name: String, from: Option<PackageVersion>, to: PackageVersion, architecture: Architecture },
    Remove { name: String },
    Configure { name: String, version: PackageVersion, architecture: Architecture },
}

/// The changes that a simulation's output tells, with what is installed as the inventory knows it. Ordered by package.
pub(crate) fn changes(output: &str, inventory: &Inventory) -> Vec<Change> {
    let mut changes: BTreeMap<PackageId, Change> = BTreeMap::new();
    for line in output.lines().filter_map(parse_line) {
        match line {
            Line::Install { name, from, to, architecture } => {
                let Some(new) = id(&name, &architecture) else {
                    continue;
                };
                let installed = rules::installed(inventory, &new).filter(|_| from.is_some());
                let from = installed.map(|package| package.version.clone()).or(from);
                let kind = match from.as_ref().map(|from| from.compare(&to, Manager::Dpkg)) {
                    None => ChangeKind::Install,
                    Some(std::cmp::Ordering::Greater) => ChangeKind::Downgrade,
                    // The same version again is how apt mends a package that it must reinstall.
                    Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal) => ChangeKind::Upgrade,
                };
                let id = installed.map_or(new, |package| package.id.clone());
                changes.insert(id.clone(), Change { id, kind, from, to: Some(to), mark: installed.map(|package| package.mark) });
            }
            Line::Remove { name } => {
                let Some(package) = by_apt_name(inventory, &name) else {
                    continue;
                };
                let change = Change {
                    id: package.id.clone(),
                    kind: ChangeKind::Remove,
                    from: Some(package.version.clone()),
                    to: None,
                    mark: Some(package.mark),
                };
                // A package that is removed and installed again in one transaction is a replacement.
                changes.entry(package.id.clone()).or_insert(change);
            }
            Line::Configure { name, version, architecture } => {
                let Some(package) = id(&name, &architecture).and_then(|id| rules::installed(inventory, &id).cloned()) else {
                    continue;
                };
                changes.entry(package.id.clone()).or_insert(Change {
                    id: package.id,
                    kind: ChangeKind::Configure,
                    from: Some(package.version),
                    to: Some(version),
                    mark: Some(package.mark),
                });
            }
        }
    }
    changes.into_values().collect()
}

fn id(name: &str, architecture: &Architecture) -> Option<PackageId> {
    // Foreign packages are named with their architecture, which the brackets repeat.
    let name = name.split(':').next().unwrap_or_default();
    Some(PackageId { name: PackageName::parse(name).ok()?, architecture: architecture.clone() })
}

/// Apt names a package of the native architecture by its name alone; so does it one for all architectures.
fn by_apt_name<'a>(inventory: &'a Inventory, name: &str) -> Option<&'a patchwave_common::domain::InstalledPackage> {
    let (name, architecture) = name.split_once(':').map_or((name, None), |(name, architecture)| (name, Some(architecture)));
    let mut named = inventory.iter().filter(|package| package.id.name.as_str() == name);
    match architecture {
        Some(architecture) => named.find(|package| package.id.architecture.as_str() == architecture),
        None => {
            let named: Vec<_> = named.collect();
            let native = std::env::consts::ARCH;
            named.iter().find(|package| is_native(package.id.architecture.as_str(), native)).or_else(|| named.first()).copied()
        }
    }
}

/// Debian's name of the architecture that this program was built for.
fn is_native(debian: &str, rust: &str) -> bool {
    let native = match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        other => other,
    };
    debian == native
}

/// `Inst name [old] (new origin, origin [architecture]) [broken:arch ]`, `Remv name [old]`, `Purg name [old]`, `Conf name (new … [arch])`.
fn parse_line(line: &str) -> Option<Line> {
    let (verb, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    PackageName::parse(name).ok()?;
    let name = name.to_owned();
    match verb {
        "Remv" | "Purg" => Some(Line::Remove { name }),
        "Inst" | "Conf" => {
            let from = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).and_then(|(old, _)| PackageVersion::parse(old).ok());
            let details = rest.split_once('(')?.1;
            let details = details.split_once(')').map_or(details, |(details, _)| details);
            let to = PackageVersion::parse(details.split_whitespace().next()?).ok()?;
            let architecture = details.rsplit_once('[')?.1.trim_end_matches(']');
            let architecture = Architecture::parse(architecture).ok()?;
            Some(if verb == "Inst" {
                Line::Install { name, from, to, architecture }
            } else {
                Line::Configure { name, version: to, architecture }
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::status;
    use super::*;

    const UPGRADE: &str = include_str!("../../../tests/packages_fixtures/apt-get-simulate-upgrade.txt");
    const REMOVAL: &str = include_str!("../../../tests/packages_fixtures/apt-get-simulate-removal.txt");

    fn inventory(packages: &[(&str, &str, &str)]) -> Inventory {
        let text: String = packages
            .iter()
            .map(|(name, version, architecture)| {
                format!("Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nVersion: {version}\n\n")
            })
            .collect();
        status::parse([text.as_str()].into_iter(), &status::parse_marks("")).into_inventory()
    }

    fn told(output: &str, inventory: &Inventory) -> Vec<String> {
        let show = |version: &Option<PackageVersion>| version.as_ref().map_or("-".to_owned(), ToString::to_string);
        let changes = changes(output, inventory).into_iter();
        changes.map(|change| format!("{:?} {} {} {}", change.kind, change.id, show(&change.from), show(&change.to))).collect()
    }

    #[test]
    fn an_upgrade_with_a_new_dependency_is_read_from_the_real_tools_output() {
        let inventory = inventory(&[("web", "1.0-1", "all"), ("web-lib", "1.0-1", "all")]);
        assert_eq!(told(UPGRADE, &inventory), ["Upgrade web:all 1.0-1 2.0-1", "Install web-new:all - 1.0-1"]);
    }

    #[test]
    fn a_removal_is_read_from_the_real_tools_output() {
        let inventory = inventory(&[("web", "1.0-1", "all"), ("web-lib", "1.0-1", "all")]);
        assert_eq!(told(REMOVAL, &inventory), ["Install rival:all - 1.0-1", "Remove web-lib:all 1.0-1 -"]);
    }

    #[test]
    fn foreign_siblings_brackets_and_changed_architectures_are_read() {
        let output = "Inst libx [1] (2 Debian:12/stable, D:1/x [amd64]) [libx:amd64 on libx:i386] [libx:i386 ]\n\
            Inst libx:i386 [1] (2 Debian:12/stable [i386]) []\nConf libx (2 Debian [amd64])\nConf libx:i386 (2 Debian [i386])\n\
            Inst tool [1] (2 D [amd64])\nConf other (3 D [all])\nPurg old [9]\nInst  broken\nRemv\n";
        let inventory =
            inventory(&[("libx", "1", "amd64"), ("libx", "1", "i386"), ("tool", "1", "all"), ("other", "3", "all"), ("old", "9", "amd64")]);
        let wanted =
            ["Upgrade libx:amd64 1 2", "Upgrade libx:i386 1 2", "Remove old:amd64 9 -", "Configure other:all 3 3", "Upgrade tool:all 1 2"];
        assert_eq!(told(output, &inventory), wanted);
    }

    proptest! {
        #[test]
        fn any_output_is_survived(text in "((Inst|Remv|Conf|Purg)?[ -~]{0,30}\n){0,10}") {
            let _ = changes(&text, &inventory(&[("a", "1", "all")]));
        }
    }
}

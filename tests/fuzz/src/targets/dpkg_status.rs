//! dpkg's database: `status`, pending records and apt's marks, parted by the byte 0xff (the marks first).
//!
//! Holds: no more packages than paragraphs; a later part only replaces or removes; the inventory written down again as a status file is read
//! as the same inventory, and its difference to nothing restores it.

use patchwave_agent::fuzzing::apt;
use patchwave_common::domain::{InstallState, Inventory};

use super::samples;
use crate::clean::assert_clean;
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let mut texts = pieces::texts(data);
    let marks = texts.remove(0);
    let (inventory, conffiles) = apt::database(&texts, &marks);
    assert!(inventory.len() + conffiles <= texts.iter().map(|text| text.lines().count()).sum::<usize>());
    assert_clean(&inventory);
    let (again, _) = apt::database(&[written(&inventory)], &marks_of(&inventory));
    assert_eq!(again, inventory);
    assert_eq!(Inventory::apply(None, inventory.delta_from(None)).as_ref(), Ok(&inventory));
}

/// The inventory as dpkg would have it.
fn written(inventory: &Inventory) -> String {
    let paragraph = |package: &patchwave_common::domain::InstalledPackage| {
        let want = if package.held { "hold" } else { "install" };
        let state = match package.state {
            InstallState::Installed => "installed",
            InstallState::ConfigFiles => "config-files",
            InstallState::Incomplete => "unpacked",
        };
        format!(
            "Package: {}\nStatus: {want} ok {state}\nArchitecture: {}\nSource: {} ({})\nVersion: {}\n\n",
            package.id.name, package.id.architecture, package.source, package.source_version, package.version
        )
    };
    inventory.iter().map(paragraph).collect()
}

/// Its automatic packages as apt would have them.
fn marks_of(inventory: &Inventory) -> String {
    let automatic = inventory.iter().filter(|package| package.is_auto());
    automatic
        .map(|package| format!("Package: {}\nArchitecture: {}\nAuto-Installed: 1\n\n", package.id.name, package.id.architecture))
        .collect()
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let inventory = samples::inventory();
    let odd = "Package: libx\nStatus: hold ok installed\nArchitecture: i386\nMulti-Arch: same\nSource: x (1:2-3)\nVersion: 1:2-3+b1\nConffiles:\n \
        /etc/a 00\n /etc/b 11 obsolete\n\nPackage: gone\nStatus: deinstall ok config-files\nConfig-Version: 1\n\nPackage: never\nStatus: purge ok \
        not-installed\n";
    let pending = "Package: openssl\nStatus: install ok half-configured\nArchitecture: amd64\nVersion: 9\n";
    let join = |texts: &[&str]| texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>().join(&0xff);
    vec![join(&[&marks_of(&inventory), &written(&inventory), pending]), join(&["", odd]), join(&["", "Package: a\n\n\n"])]
}

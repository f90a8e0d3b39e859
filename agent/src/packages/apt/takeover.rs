//! Files that a transaction takes over from packages outside it (`Replaces:`): dpkg strikes them from the other package's list, and no
//! return of the transaction's own packages gives them back. So the way back is not certain, and that is known before anything changes.

use std::collections::BTreeSet;

use patchwave_common::domain::{InstallState, Inventory, PackageId};

use super::debfile;
use super::files::Files;
use super::layout::Layout;
use crate::packages::{MissingOriginal, PackageError, StagedSet, rules};

/// The packages outside the transaction that would lose a file to it, as what cannot be returned to. Looks into lists of files only where
/// a staged package says that it replaces something: without that dpkg refuses to overwrite.
pub(crate) fn losers(layout: &Layout, staged: &StagedSet, inventory: &Inventory) -> Result<Vec<MissingOriginal>, PackageError> {
    let mut taken = BTreeSet::new();
    for file in &staged.files {
        let path = file.path(&staged.directory);
        if debfile::replaces(layout, &path)? {
            taken.extend(debfile::paths(layout, &path)?);
        }
    }
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    // Siblings of other architectures share files, and those that are in the transaction have their originals.
    let involved = |id: &PackageId| {
        let within = staged.files.iter().chain(&staged.originals).map(|file| &file.id);
        let lacking = staged.missing_originals.iter().map(|missing| &missing.id);
        within.chain(lacking).any(|other| other.name == id.name)
    };
    let mut losers = Vec::new();
    for package in inventory.iter().filter(|package| package.state != InstallState::ConfigFiles && !involved(&package.id)) {
        let lost: Vec<String> = Files::new(layout, &package.id).paths()?.intersection(&taken).cloned().collect();
        if !lost.is_empty() {
            let detail = format!("the transaction takes over its files {}", rules::names(lost));
            losers.push(MissingOriginal { id: package.id.clone(), version: package.version.clone(), detail });
        }
    }
    Ok(losers)
}

//! What the receipt of a dpkg host holds, and how the host differs from it later (rule 12).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use patchwave_common::domain::PackageId;

use super::debfile;
use super::files::Files;
use super::layout::Layout;
use super::status::{self, Database, Entry};
use crate::packages::receipt::{self, Findings, Found};
use crate::packages::{Difference, PackageError, Receipt, Simulation, StagedSet, rules};

/// See [`crate::packages::PackageManager::snapshot`].
pub(crate) fn snapshot(layout: &Layout, staged: &StagedSet, simulation: &Simulation, directory: &Path) -> Result<Receipt, PackageError> {
    let database = status::read(layout)?;
    let mut findings = Findings::default();
    for change in &simulation.changes {
        let Some(entry) = entry(&database, &change.id) else {
            continue;
        };
        let found = found(layout, entry)?;
        findings.units.extend(Files::new(layout, &entry.package.id).units()?);
        findings.packages.push(found);
    }
    findings.units.sort();
    findings.units.dedup();
    for file in &staged.files {
        findings.staged_conffiles.extend(debfile::conffiles(layout, &file.path(&staged.directory))?);
    }
    receipt::write(layout.root(), staged, simulation, findings, directory)
}

fn entry<'a>(database: &'a Database, id: &PackageId) -> Option<&'a Entry> {
    database.entries.get(id).or_else(|| database.entries.values().find(|entry| rules::same_package(&entry.package.id, id)))
}

fn found(layout: &Layout, entry: &Entry) -> Result<Found, PackageError> {
    let conffiles: Vec<PathBuf> = entry.conffiles().filter_map(conffile_path).collect();
    let (files, changed_files) = Files::new(layout, &entry.package.id).examine(&conffiles.iter().cloned().collect())?;
    let mut conffile_records: Vec<String> = entry.conffiles().map(str::to_owned).collect();
    // dpkg writes them in the order in which it met them; that order means nothing.
    conffile_records.sort();
    Ok(Found { package: entry.package.clone(), conffile_records, conffiles, files, changed_files })
}

/// ` /etc/path HASH [obsolete] [remove-on-upgrade]`; a path may hold blanks.
fn conffile_path(line: &str) -> Option<PathBuf> {
    let mut rest = line.trim();
    for flag in [" obsolete", " remove-on-upgrade"] {
        rest = rest.strip_suffix(flag).unwrap_or(rest);
    }
    rest.strip_suffix(" obsolete").unwrap_or(rest).rsplit_once(' ').map(|(path, _)| PathBuf::from(path))
}

/// Deletes the target's new conffiles that the database has for the packages of the receipt.
pub(crate) fn delete_new_conffiles(layout: &Layout, receipt: &Receipt) -> Result<(), PackageError> {
    let database = status::read(layout)?;
    let entries = receipt.packages.iter().filter_map(|record| entry(&database, &record.package.id));
    let known: BTreeSet<PathBuf> = entries.flat_map(Entry::conffiles).filter_map(conffile_path).collect();
    receipt::delete_new_conffiles(layout.root(), receipt, |saved| known.contains(&saved.path))
}

/// See [`crate::packages::PackageManager::verify_receipt`].
pub(crate) fn verify(layout: &Layout, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
    let database = status::read(layout)?;
    let mut differences = rules::unlike_receipt(&database.inventory(), receipt);
    differences.extend(receipt::unlike_paths(layout.root(), receipt)?);
    for record in &receipt.packages {
        let Some(entry) = entry(&database, &record.package.id) else {
            continue;
        };
        let now = found(layout, entry)?;
        if now.conffile_records != record.conffiles {
            differences.push(Difference {
                subject: format!("{} conffiles", record.package.id),
                expected: unlike(&record.conffiles, &now.conffile_records),
                found: unlike(&now.conffile_records, &record.conffiles),
            });
        }
        differences.extend(rules::unlike_files(&record.files, &now.files));
    }
    Ok(differences)
}

/// What is in the first list alone, bounded.
fn unlike(these: &[String], those: &[String]) -> String {
    let those: BTreeSet<&String> = those.iter().collect();
    let alone: Vec<&String> = these.iter().filter(|line| !those.contains(line)).collect();
    if alone.is_empty() { "as recorded".to_owned() } else { rules::names(alone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_conffile_is_told_from_hash_and_flags() {
        for (line, path) in [
            ("/etc/a.conf 00", "/etc/a.conf"),
            (" /etc/a b 00 obsolete", "/etc/a b"),
            ("/etc/c newconffile", "/etc/c"),
            ("/etc/d 00 obsolete remove-on-upgrade", "/etc/d"),
        ] {
            assert_eq!(conffile_path(line), Some(PathBuf::from(path)), "{line}");
        }
        assert_eq!(conffile_path("nonsense"), None);
    }
}

//! What fuzz targets need of this folder: its readers of dpkg's files and of what apt says.

use std::collections::BTreeMap;

use patchwave_common::domain::{Digest, Inventory, NotStagedReason, Origin, PackageName, PackageVersion};

use super::{debfile, fetch, files, policy, refresh, resolve, status};
use crate::packages::{Change, redact};

/// The packages of a status file and its pending records, with apt's marks; and how many conffiles they list.
#[must_use]
pub fn database(texts: &[String], marks: &str) -> (Inventory, usize) {
    let database = status::parse(texts.iter().map(String::as_str), &status::parse_marks(marks));
    (database.inventory(), database.entries.values().map(|entry| entry.conffiles().count()).sum())
}

/// One version of a package, with apt's priority and the number of indexes that have it.
pub type VersionRow = (String, i32, usize);

/// Versions by package.
#[must_use]
pub fn version_tables(text: &str) -> Vec<(String, Vec<VersionRow>)> {
    let row = |row: policy::Row| (row.version, row.priority, row.indexes.len());
    policy::parse_tables(text).into_iter().map(|table| (table.name, table.rows.into_iter().map(row).collect())).collect()
}

/// The origin of each index.
#[must_use]
pub fn origins(text: &str) -> Vec<Origin> {
    policy::parse_indexes(text).into_values().collect()
}

/// What the indexes say about package files: name, version, source, hash, size.
#[must_use]
pub fn records(text: &str) -> Vec<(PackageName, PackageVersion, PackageName, Option<Digest>, u64)> {
    let record = |record: policy::Record| (record.name, record.version, record.source, record.sha256, record.size_bytes);
    policy::parse_records(text).into_iter().map(record).collect()
}

/// What a simulated transaction would change.
#[must_use]
pub fn changes(output: &str, inventory: &Inventory) -> Vec<Change> {
    resolve::changes(output, inventory)
}

/// What is told of apt's complaints: the error, if a source is at fault; the reason; the text without credentials.
#[must_use]
pub fn complaints(stderr: &str) -> (Option<String>, NotStagedReason, String) {
    (refresh::broken_source(stderr).map(|error| error.to_string()), fetch::reason_of(stderr), redact(stderr))
}

/// The checksums in a list, by path.
#[must_use]
pub fn checksums(text: &str) -> BTreeMap<String, String> {
    files::parse_checksums(text)
}

/// Where a path of a package really lies.
#[must_use]
pub fn diverted(diversions: &str, path: &str, package: &str) -> String {
    files::Diversions::parse(diversions).real(path, package).to_owned()
}

/// The path in a line of `dpkg-deb --contents`.
#[must_use]
pub fn listed_path(line: &str) -> Option<&str> {
    debfile::listed_path(line)
}

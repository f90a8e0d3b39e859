//! Which versions installed packages could get, from which origin, by apt's own policy; kept on disk until something changes.

use std::collections::HashMap;
use std::path::PathBuf;

use patchwave_common::domain::{Blocked, Candidate, CandidateSet, InstallState, InstalledPackage, Manager, Origin, PackageVersion};
use patchwave_common::runtime::atomic_file;

use super::layout::Layout;
use super::policy::{Row, Table};
use super::query::Urgency;
use super::{fingerprint, query, status};
use crate::packages::{Fingerprint, PackageError};

/// Bound on the cache file: 4,000 candidates of about 500 bytes are 2 MB.
const CACHE_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Apt's priority from which a pin keeps a version in place (apt_preferences(5)): downgrades become possible from here.
const FORCED_PRIORITY: i32 = 1000;

#[derive(serde::Serialize, serde::Deserialize)]
struct Cached {
    fingerprint: Fingerprint,
    /// Another agent version may see more in the same archives.
    agent_version: String,
    candidates: CandidateSet,
}

/// The candidates, from the cache where nothing changed since.
pub(crate) fn candidates(layout: &Layout) -> Result<CandidateSet, PackageError> {
    let before = fingerprint::of_candidates(layout)?;
    if let Some(cached) = read_cache(layout).filter(|cached| cached.fingerprint == before) {
        return Ok(cached.candidates);
    }
    let candidates = compute(layout)?;
    // What changed while apt was asked is not in the answer: an answer to a moving question is given, but not kept.
    if fingerprint::of_candidates(layout)? == before {
        let cached = Cached { fingerprint: before, agent_version: env!("CARGO_PKG_VERSION").to_owned(), candidates: candidates.clone() };
        let json = serde_json::to_vec(&cached).map_err(|error| PackageError::io("write", cache_path(layout))(error.into()))?;
        atomic_file::write(&cache_path(layout), &json, atomic_file::MODE_SECRET)?;
    }
    Ok(candidates)
}

fn cache_path(layout: &Layout) -> PathBuf {
    layout.state_dir.join("candidates.json")
}

/// A cache that cannot be read is no cache.
fn read_cache(layout: &Layout) -> Option<Cached> {
    let json = atomic_file::read_bounded(&cache_path(layout), CACHE_MAX_BYTES).ok()?;
    let cached: Cached = serde_json::from_slice(&json).ok()?;
    (cached.agent_version == env!("CARGO_PKG_VERSION")).then_some(cached)
}

fn compute(layout: &Layout) -> Result<CandidateSet, PackageError> {
    let inventory = status::inventory(layout)?;
    let installed: Vec<_> = inventory.iter().filter(|package| package.state != InstallState::ConfigFiles).collect();
    if installed.is_empty() {
        return Ok(CandidateSet::default());
    }
    let tables = query::tables(layout, Urgency::Background, installed.iter().map(|package| &package.id), &[])?;
    let mut chosen = Vec::new();
    for package in installed {
        let offered = tables.get(&package.id).and_then(|table| offer(package, table));
        chosen.extend(offered.map(|(row, pinned)| (package, row, pinned)));
    }
    if chosen.is_empty() {
        return Ok(CandidateSet::default());
    }
    let origins = query::origins(layout, Urgency::Background)?;
    let wanted: Vec<_> = chosen.iter().map(|(package, row, _)| (package.id.clone(), row.version.clone())).collect();
    let records = query::records(layout, Urgency::Background, &wanted)?;
    let candidates = chosen.into_iter().filter_map(|(package, row, pinned)| {
        let record = query::record_of(&records, &package.id, &row.version)?;
        let blocked = if package.held { Some(Blocked::Held) } else { pinned.then_some(Blocked::Pinned) };
        Some(Candidate {
            id: package.id.clone(),
            from: package.version.clone(),
            to: record.version.clone(),
            source: record.source.clone(),
            source_version: record.source_version.clone(),
            origin: origin_of(row, &origins),
            sha256: record.sha256,
            size_bytes: record.size_bytes,
            blocked,
        })
    });
    Ok(CandidateSet::new(candidates.collect()))
}

/// The version that a package could get, and whether a pin of the host forbids it. Apt's candidate if it is newer; else the highest
/// newer version that a negative pin forbids, or that a forcing pin on what is installed keeps away. Versions that apt ranks low
/// because of their archive (backports, experimental) are no candidates.
fn offer<'a>(package: &InstalledPackage, table: &'a Table) -> Option<(&'a Row, bool)> {
    let newer = |row: &&Row| {
        let version = PackageVersion::parse(&row.version).ok();
        version.is_some_and(|version| version.compare(&package.version, Manager::Dpkg).is_gt())
    };
    let candidate = table.candidate.as_deref().and_then(|version| table.row(version)).filter(newer);
    if let Some(row) = candidate {
        return Some((row, false));
    }
    let forced = table.candidate.as_deref().and_then(|version| table.row(version)).is_some_and(|row| row.priority >= FORCED_PRIORITY);
    let kept_away = |row: &&Row| row.priority < 0 || (forced && row.priority >= ORDINARY_PRIORITY);
    table.rows.iter().filter(newer).find(kept_away).map(|row| (row, true))
}

/// Apt's priority of an archive that nothing was said about.
const ORDINARY_PRIORITY: i32 = 500;

/// The origin of a version that several indexes may offer: a security archive first, else the highest priority, else the first.
fn origin_of(row: &Row, origins: &HashMap<String, Origin>) -> Origin {
    let mut known: Vec<(i32, &Origin)> =
        row.indexes.iter().filter_map(|(priority, index)| Some((*priority, origins.get(&**index)?))).collect();
    known.retain(|(_, origin)| **origin != Origin { suite: "now".to_owned(), ..Origin::default() });
    known.sort_by_key(|(priority, origin)| (!origin.is_security(), -priority));
    known.first().map(|(_, origin)| (*origin).clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::policy::parse_tables;
    use super::*;

    fn offered(version: &str, table: &str) -> Option<(String, bool)> {
        let text = format!("Package: p\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n");
        let database = status::parse([text.as_str()].into_iter(), &status::parse_marks(""));
        let package = &database.entries.values().next().unwrap().package;
        offer(package, &parse_tables(table)[0]).map(|(row, pinned)| (row.version.clone(), pinned))
    }

    #[test]
    fn apt_decides_and_pins_show_as_such() {
        let table = |candidate: &str, rows: &[(&str, i32)]| {
            let rows: String = rows.iter().map(|(version, priority)| format!("     {version} {priority}\n")).collect();
            format!("p:\n  Installed: 1\n  Candidate: {candidate}\n  Version table:\n{rows}")
        };
        for (what, table, wanted) in [
            ("apt's candidate", table("2", &[("3", 100), ("2", 500), ("1", 500)]), Some(("2", false))),
            ("nothing newer", table("1", &[("1", 500), ("0", 500)]), None),
            ("a negative pin", table("1", &[("3", -1), ("1", 500)]), Some(("3", true))),
            ("a lower version stays open beside a pin", table("2", &[("3", -1), ("2", 500), ("1", 500)]), Some(("2", false))),
            ("the installed version is forced", table("1", &[("3", 500), ("1", 1001)]), Some(("3", true))),
            ("backports wait to be asked for", table("1", &[("3", 100), ("1", 500)]), None),
            ("experimental beside a forcing pin", table("1", &[("3", 1), ("1", 1001)]), None),
            ("a forced downgrade is no update", table("0", &[("1", 500), ("0", 1001)]), None),
        ] {
            assert_eq!(offered("1", &table), wanted.map(|(version, pinned)| (version.to_owned(), pinned)), "{what}");
        }
    }

    #[test]
    fn of_several_indexes_the_security_archive_names_the_origin() {
        let origin = |label: &str| Origin { label: label.to_owned(), ..Origin::default() };
        let origins = HashMap::from([
            ("main".to_owned(), origin("Debian")),
            ("security".to_owned(), origin("Debian-Security")),
            ("status".to_owned(), Origin { suite: "now".to_owned(), ..Origin::default() }),
        ]);
        let row = |indexes: &[&str]| Row {
            version: "1".to_owned(),
            priority: 500,
            indexes: indexes.iter().map(|index| (500, (*index).into())).collect(),
        };
        assert_eq!(origin_of(&row(&["main", "security"]), &origins).label, "Debian-Security");
        assert_eq!(origin_of(&row(&["status", "main"]), &origins).label, "Debian");
        assert_eq!(origin_of(&row(&["status"]), &origins), Origin::default());
    }
}

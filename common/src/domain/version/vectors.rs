//! Holds every known comparison of the tools themselves (`versions/*.tsv` of the shared test data): `left <tab> operator <tab> right`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;

use super::{Ecosystem, compare};

/// Whose rows a file holds, by how its name begins.
const FILES: [(&str, Ecosystem); 6] = [
    ("deb-", Ecosystem::Deb),
    ("rpm-", Ecosystem::Rpm),
    ("apk-", Ecosystem::Apk),
    ("pacman-", Ecosystem::Alpm),
    ("pep440-", Ecosystem::Pep440),
    ("npm-semver-", Ecosystem::Semver),
];

/// Rows that do not hold: file, row, reason. None is needed.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

#[test]
fn every_known_comparison_holds_but_for_the_listed_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/versions");
    let Ok(files) = fs::read_dir(folder) else {
        eprintln!("LEFT OUT: {folder} is absent, so no known comparison of dpkg, rpm, apk, pacman, pip and npm was tried");
        return;
    };
    let (mut seen, mut wrong, mut rows) = (BTreeSet::new(), BTreeSet::new(), 0);
    for path in files.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some((prefix, ecosystem)) = FILES.iter().find(|(prefix, _)| name.starts_with(prefix)) else {
            panic!("{name} is of no known ecosystem");
        };
        seen.insert(prefix);
        for row in fs::read_to_string(&path).unwrap().lines().filter(|row| !row.is_empty()) {
            rows += 1;
            let [left, operator, right] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{name}: {row:?} is no row") };
            let wanted = match operator {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                ">" => Ordering::Greater,
                _ => panic!("{name}: {row:?} has another operator"),
            };
            let found = compare(*ecosystem, left, right);
            if found != Ok(wanted) || compare(*ecosystem, right, left) != Ok(wanted.reverse()) {
                eprintln!("{name}: {row:?}: {found:?}");
                wrong.insert((name.clone(), row.to_owned()));
            }
        }
    }
    assert_eq!(seen.len(), FILES.len(), "only {seen:?} have rows");
    assert!(rows > 5_000, "{rows}");
    let listed: BTreeSet<_> = EXCEPTIONS.iter().map(|(file, row, _)| ((*file).to_owned(), (*row).to_owned())).collect();
    assert_eq!(wrong, listed, "rows that disagree (left) and rows that are listed (right) differ");
}

//! A power cut under sled, seen from its files: what they were after an acknowledged write, plus any subset of the sectors that differ after
//! the next one. There is no layer below sled in which to note its writes one by one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use patchwave_common::domain::Digest;

use super::{ACKNOWLEDGED_FILE, SledEngine};
use crate::store::contract::work::{Expected, Work};
use crate::store::dice::{Dice, number_from};
use crate::store::embedded::Embedded;
use crate::store::{Store, StoreError};

const SECTOR: usize = 512;
const WRITES: u64 = 20;
/// Images of each stretch between two writes, by default.
const IMAGES: u64 = 4;

/// Every file of a folder, by its path in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn read_files(root: &Path, below: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let name = below.join(entry.unwrap().file_name());
        if root.join(&name).is_dir() {
            read_files(root, &name, files);
        } else if let Ok(bytes) = std::fs::read(root.join(&name)) {
            files.insert(name, bytes);
        }
    }
}

fn write_files(root: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// Some of what `after` has and `before` has not.
fn image(before: &Files, after: &Files, kept_in: usize, dice: &mut Dice) -> Files {
    let mut files = before.clone();
    for (name, new) in after.iter().filter(|(name, _)| *name != Path::new(ACKNOWLEDGED_FILE)) {
        let old = files.entry(name.clone()).or_default();
        let keeps = |dice: &mut Dice| kept_in == 1 || (kept_in > 1 && !dice.once_in(kept_in));
        if keeps(dice) {
            old.resize(new.len(), 0);
        }
        let length = old.len().min(new.len());
        for from in (0..length).step_by(SECTOR) {
            let sector = from..(from + SECTOR).min(length);
            if old[sector.clone()] != new[sector.clone()] && keeps(dice) {
                old[sector.clone()].copy_from_slice(&new[sector]);
            }
        }
    }
    files
}

fn open(path: &Path) -> Result<Embedded<SledEngine>, StoreError> {
    Embedded::open(SledEngine::open(path)?, || Digest::of(b"id"))
}

#[test]
fn a_power_cut_leaves_a_prefix_with_all_that_was_acknowledged_or_is_refused() {
    let mut dice = Dice::seeded("power cut under sled", 20_261_128);
    let each = number_from("PATCHWAVE_TESTS_POWER_CUTS", IMAGES);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path).unwrap();
    let (mut work, mut expected) = (Work::default(), Expected::new(&store));
    let files = |path: &Path| {
        let mut files = Files::new();
        read_files(path, Path::new(""), &mut files);
        files
    };
    let mut history = vec![files(&path)];
    for _ in 0..WRITES {
        work.write(&store).unwrap();
        expected.note(&store);
        history.push(files(&path));
    }
    drop(store);
    let (mut whole, mut refused) = (0, 0);
    for (acknowledged, stretch) in (0..).zip(history.windows(2)) {
        for number in 0..each {
            let copy = tempfile::tempdir().unwrap();
            // None of them, all, and then any.
            let files = image(&stretch[0], &stretch[1], [0, 1, 2, 8][usize::try_from(number % 4).unwrap()], &mut dice);
            write_files(copy.path(), &files);
            let what = format!("image {number} after write {acknowledged}");
            match open(copy.path()) {
                Ok(store) => {
                    let revision = expected.check(&store, acknowledged, &what);
                    Work::resume(revision).write(&store).unwrap();
                    store.verify().unwrap();
                    whole += 1;
                }
                Err(error @ StoreError::Damaged { .. }) => {
                    assert!(error.to_string().contains("patchwave restore"), "{error}");
                    refused += 1;
                }
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }
    println!("sled: {whole} power cuts left a whole store, {refused} one that was refused");
    assert!(whole >= WRITES, "it opens at least where all or none of the later writes are there");
}

//! Damaged files: a store says so, or everything is there. It never gives back less than it acknowledged, and never panics.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::durable::{everything, fill};
use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, StoreError, open};

/// A store with some thousand rows, closed, and what it held.
fn filled(kind: &'static str) -> (Bed, Vec<String>) {
    let mut bed = Bed::new(kind);
    let store = bed.store();
    fill(store.as_ref());
    for number in 0..20 {
        let mut changes: Vec<Change> =
            (0..40).map(|host_number| Change::PutHost(Box::new(host(&format!("h-{number}-{host_number}"))))).collect();
        changes.extend((0..60).map(|event_number| event(&format!("event {event_number} of {number}"))));
        write(&store, changes).unwrap();
    }
    let before = everything(store.as_ref()).unwrap();
    drop(store);
    bed.close();
    (bed, before)
}

/// The file that holds the data.
fn data_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("db") } else { path.to_owned() }
}

pub(super) fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Damages a copy of the store and opens it; says whether it was refused. Anything but refused or whole fails the test.
fn refused(bed: &Bed, before: &[String], what: &str, damage: impl FnOnce(&Path)) -> bool {
    let copies = tempfile::tempdir().unwrap();
    let path = copies.path().join("store");
    copy(&bed.path(), &path);
    damage(&data_file(&path));
    let read = open(bed.kind, &path).and_then(|store| everything(store.as_ref()));
    match read {
        Ok(after) => {
            assert!(after == before, "{}: {what}: opened with other content", bed.kind);
            false
        }
        Err(error @ StoreError::Damaged { .. }) => {
            let text = error.to_string();
            assert!(text.contains("patchwave restore") && text.contains(&*path.to_string_lossy()), "{text}");
            true
        }
        Err(other) => panic!("{}: {what}: {other:?}", bed.kind),
    }
}

pub(super) fn a_cut_file_is_refused_or_whole(bed: Bed) {
    let (bed, before) = filled(bed.kind);
    let length = fs::metadata(data_file(&bed.path())).unwrap().len();
    let used = used_length(&data_file(&bed.path()));
    let lengths =
        (0..20).map(|part| length * part / 20).chain((1..20).map(|part| used * part / 20)).chain([used - 1, used - 100, length - 1]);
    let mut count = 0;
    for cut in lengths {
        let cut_off = |file: &Path| fs::OpenOptions::new().write(true).open(file).unwrap().set_len(cut).unwrap();
        count += usize::from(refused(&bed, &before, &format!("cut at {cut} of {length}"), cut_off));
    }
    assert!(count >= 20, "only {count} cuts were noticed");
}

/// The length without zeros at the end.
fn used_length(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1)
}

pub(super) fn a_garbled_file_is_refused_or_whole(bed: Bed) {
    let (bed, before) = filled(bed.kind);
    let used = used_length(&data_file(&bed.path()));
    let mut count = 0;
    for part in 0..60_u64 {
        let at = used * part / 60 + part * 7 % 60;
        let garble = |file: &Path| {
            let file = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
            let mut bytes = [0; 16];
            file.read_exact_at(&mut bytes, at.min(used - 16)).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 0xa5);
            file.write_all_at(&bytes, at.min(used - 16)).unwrap();
        };
        count += usize::from(refused(&bed, &before, &format!("garbled at {at} of {used}"), garble));
    }
    assert!(count >= 10, "only {count} garbled places were noticed");
}

pub(super) fn a_file_of_zeros_or_noise_is_refused(bed: Bed) {
    let (bed, before) = filled(bed.kind);
    let length = usize::try_from(fs::metadata(data_file(&bed.path())).unwrap().len()).unwrap();
    assert!(refused(&bed, &before, "zeros", |file| fs::write(file, vec![0; length]).unwrap()));
    assert!(refused(&bed, &before, "noise", |file| fs::write(file, b"not a store ".repeat(length / 12)).unwrap()));
}

//! Flipped bits and cut tails of a file that was not closed, as after kill -9, and of a file that is open.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use super::CACHE_BYTES;
use super::disk::Disk;
use crate::store::contract::work::{Expected, Work};
use crate::store::dice::{Dice, number_from};
use crate::store::{Store, StoreError};

const WRITES: u64 = 30;
/// Flips at random places by default; `PATCHWAVE_TESTS_FLIPS` asks for more.
const FLIPS: u64 = 400;
/// redb's header, and the byte in it that says which of its two commit slots is the newest: one byte without a checksum. A flip of its
/// lowest bit shows the commit before, which nothing inside the file can tell from a controller that was killed just then.
const HEADER_BYTES: usize = 320;
const NEWEST_SLOT_BYTE: usize = 9;

/// The file of a store that was killed, and what it held.
fn killed() -> (Vec<u8>, Expected) {
    let disk = Disk::default();
    let store = disk.open(CACHE_BYTES).unwrap();
    let (mut work, mut expected) = (Work::default(), Expected::new(&store));
    for _ in 0..WRITES {
        work.write(&store).unwrap();
        expected.note(&store);
    }
    (disk.file(), expected)
}

/// Opens a damaged file; says whether it was refused. Anything but refused or whole fails the test.
fn refused(file: Vec<u8>, expected: &Expected, what: &str) -> bool {
    match Disk::holding(file).open(CACHE_BYTES) {
        Ok(store) => {
            assert_eq!(expected.check(&store, WRITES, what), WRITES);
            false
        }
        Err(error @ StoreError::Damaged { .. }) => {
            let text = error.to_string();
            assert!(text.contains("patchwave restore") && text.contains("/on-the-disk/store"), "{what}: {text}");
            true
        }
        Err(other) => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_flipped_bit_of_the_header_is_refused_or_harmless() {
    let (file, expected) = killed();
    let mut count = 0;
    for at in (0..HEADER_BYTES).filter(|&at| at != NEWEST_SLOT_BYTE) {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        count += usize::from(refused(flipped, &expected, &format!("header byte {at}")));
    }
    println!("{count} of {} flips of the header refused", HEADER_BYTES - 1);
    assert!(count > 100, "only {count} were noticed");
}

#[test]
fn flipped_bits_anywhere_are_refused_or_harmless() {
    let mut dice = Dice::seeded("flips", 20_261_124);
    let (file, expected) = killed();
    let used = file.iter().rposition(|&byte| byte != 0).unwrap();
    let (flips, mut count) = (number_from("PATCHWAVE_TESTS_FLIPS", FLIPS), 0);
    for _ in 0..flips {
        let (mut flipped, at, bit) = (file.clone(), HEADER_BYTES + dice.below(used - HEADER_BYTES), dice.below(8));
        flipped[at] ^= 1 << bit;
        count += u64::from(refused(flipped, &expected, &format!("bit {bit} of byte {at}")));
    }
    println!("{count} of {flips} flips refused, the others harmless");
    assert!(count > flips / 10, "only {count} were noticed");
}

#[test]
fn a_cut_or_torn_tail_of_a_killed_file_is_refused_or_harmless() {
    let mut dice = Dice::seeded("tails", 20_261_125);
    let (file, expected) = killed();
    let used = file.iter().rposition(|&byte| byte != 0).unwrap();
    let mut count = 0;
    for number in 0..60 {
        let at = if number % 2 == 0 { dice.below(used) } else { used - dice.below(20_000) };
        let mut torn = file.clone();
        // Gone, or zeros where the file system had only made room.
        if number % 4 < 2 {
            torn.truncate(at)
        } else {
            torn[at..].fill(0)
        }
        count += usize::from(refused(torn, &expected, &format!("torn at {at} of {used}, case {number}")));
    }
    println!("{count} of 60 torn tails refused");
    assert!(count >= 30, "only {count} were noticed");
}

#[test]
fn damage_under_an_open_store_is_an_error_and_never_a_panic() {
    let mut dice = Dice::seeded("damage under an open store", 20_261_126);
    for round in 0..100 {
        let disk = Disk::default();
        // So small that most is read from the disk again.
        let store = disk.open(16 << 10).unwrap();
        let mut work = Work::default();
        for _ in 0..10 {
            work.write(&store).unwrap();
        }
        let length = disk.file().len();
        for _ in 0..50 {
            disk.garble(HEADER_BYTES + dice.below(length - HEADER_BYTES), 0x55);
        }
        let answers = [store.verify(), work.write(&store).map(|_| ()), store.verify()];
        for error in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(error, StoreError::Damaged { .. } | StoreError::Io { .. }), "round {round}: {error:?}");
        }
    }
}

//! A power cut at any moment: the file as it was at the last sync, plus any subset of the later writes, also torn to pieces.
//!
//! Whatever is left must open with a consistent prefix of the writes that contains all that was acknowledged, and go on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use super::CACHE_BYTES;
use super::disk::{Disk, PAGE, Step};
use crate::store::contract::work::{Expected, Work};
use crate::store::dice::{Dice, number_from};
use crate::store::{Store, StoreError};

/// A sector is written whole or not at all.
const SECTOR: usize = 512;
/// Images of each stretch between two syncs, by default; `PATCHWAVE_TESTS_POWER_CUTS` asks for more.
const IMAGES: u64 = 8;
const WRITES: u64 = 50;

/// Which of the writes since the last sync reached the platter.
#[derive(Debug, Clone, Copy)]
enum Subset {
    None,
    All,
    OnlyLast,
    AllButLast,
    Prefix,
    Any,
    /// Each page of each write by itself.
    Pages,
    /// Each sector of each write by itself.
    Sectors,
}

const SUBSETS: [Subset; 8] =
    [Subset::None, Subset::All, Subset::OnlyLast, Subset::AllButLast, Subset::Prefix, Subset::Any, Subset::Pages, Subset::Sectors];

/// What a power cut leaves of the file.
fn image(base: &[u8], later: &[Step], subset: Subset, dice: &mut Dice) -> Vec<u8> {
    let mut file = base.to_vec();
    let kept = dice.below(later.len() + 1);
    for (number, step) in later.iter().enumerate() {
        let last = number + 1 == later.len();
        let piece = match subset {
            Subset::None => continue,
            Subset::All => usize::MAX,
            Subset::OnlyLast if last => usize::MAX,
            Subset::AllButLast if !last => usize::MAX,
            Subset::Prefix if number < kept => usize::MAX,
            Subset::Any if dice.once_in(2) => usize::MAX,
            Subset::Pages => PAGE,
            Subset::Sectors => SECTOR,
            _ => continue,
        };
        apply(&mut file, step, piece, dice);
    }
    file
}

/// Applies a step whole, or only some of its pieces.
fn apply(file: &mut Vec<u8>, step: &Step, piece: usize, dice: &mut Dice) {
    match step {
        Step::Write { offset, bytes } => {
            for (number, part) in bytes.chunks(piece.min(bytes.len().max(1))).enumerate() {
                if piece == usize::MAX || dice.once_in(2) {
                    let from = offset + number * piece.min(bytes.len());
                    file.resize(file.len().max(from + part.len()), 0);
                    file[from..from + part.len()].copy_from_slice(part);
                }
            }
        }
        // The length is one number, and reaches the platter or not.
        Step::SetLength(length) if piece == usize::MAX || dice.once_in(2) => file.resize(*length, 0),
        _ => {}
    }
}

/// Opens what was left, looks at it, goes on with it, and opens it once more.
fn check(file: Vec<u8>, expected: &Expected, acknowledged: u64, what: &str) {
    let disk = Disk::holding(file);
    let store = disk.open(CACHE_BYTES).unwrap_or_else(|error| panic!("{what}: {error}"));
    let revision = expected.check(&store, acknowledged, what);
    let mut work = Work::resume(revision);
    work.write(&store).unwrap_or_else(|error| panic!("{what}: {error}"));
    // Not closed: killed.
    let again = Disk::holding(disk.file()).open(CACHE_BYTES).unwrap_or_else(|error| panic!("{what}, then killed: {error}"));
    assert_eq!(again.write(work.next()).unwrap(), revision + 2, "{what}");
    again.verify().unwrap();
}

#[test]
fn a_power_cut_at_any_moment_leaves_a_prefix_with_all_that_was_acknowledged() {
    let mut dice = Dice::seeded("power cut", 20_261_123);
    let each = number_from("PATCHWAVE_TESTS_POWER_CUTS", IMAGES);
    let disk = Disk::default();
    let mut store = disk.open(CACHE_BYTES).unwrap();
    // A new file gets its name when it is made, so what comes before cannot be left by a power cut.
    let mut base = disk.platter();
    disk.take_steps();
    let mut expected = Expected::new(&store);
    let mut work = Work::default();
    for number in 1..=WRITES {
        let revision = work.write(&store).unwrap();
        disk.note(Step::Acknowledged(revision));
        expected.note(&store);
        if number % 20 == 0 {
            drop(store);
            store = disk.open(CACHE_BYTES).unwrap();
        }
    }
    drop(store);
    let (mut later, mut acknowledged, mut images) = (Vec::new(), 0, 0);
    for step in disk.take_steps() {
        match step {
            Step::Acknowledged(revision) => acknowledged = revision,
            Step::Synced => {
                for number in 0..each {
                    let subset = SUBSETS[usize::try_from(number).unwrap() % SUBSETS.len()];
                    let what = format!("{subset:?} of {} writes after revision {acknowledged}, image {images}", later.len());
                    check(image(&base, &later, subset, &mut dice), &expected, acknowledged, &what);
                    images += 1;
                }
                for step in later.drain(..) {
                    apply(&mut base, &step, usize::MAX, &mut dice);
                }
            }
            step => later.push(step),
        }
    }
    println!("{images} power cuts over {WRITES} writes, every acknowledged write there");
}

#[test]
fn a_new_file_is_on_the_platter_before_it_gets_its_name() {
    let disk = Disk::default();
    drop(super::build(std::path::Path::new("store"), disk.clone(), CACHE_BYTES).unwrap());
    let (file, platter) = (disk.file(), disk.platter());
    assert!(file == platter, "{} bytes, {} of them synced", file.len(), platter.len());
    let store = Disk::holding(platter).open(CACHE_BYTES).unwrap();
    assert!(matches!(store.verify(), Ok(()) | Err(StoreError::Closed)));
}

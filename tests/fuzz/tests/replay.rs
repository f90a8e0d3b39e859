//! Every target on its seeds and on its stored corpus, in the ordinary test run: what fuzzing once found stays found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use patchwave_fuzz::{TARGETS, Target};

/// Bounds on what is stored: for one target, and for all.
const TARGET_MAX_BYTES: u64 = 100_000;
const ALL_MAX_BYTES: u64 = 1_200_000;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn corpus(target: &Target) -> Vec<PathBuf> {
    let folder = here("corpus").join(target.name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Runs all inputs, so that one failure does not hide another; the panic's own message is printed as it happens.
fn failures(target: &Target, inputs: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<String> {
    let run = target.run;
    inputs.filter(|(_, data)| catch_unwind(|| run(data)).is_err()).map(|(name, _)| name).collect()
}

#[test]
fn every_target_holds_on_its_seeds() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        failed
            .extend(failures(target, seeds.into_iter().enumerate().map(|(number, seed)| (format!("{} seed {number}", target.name), seed))));
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn every_target_holds_on_its_stored_corpus() {
    let mut failed = Vec::new();
    let mut total = 0;
    for target in TARGETS {
        let files = corpus(target);
        assert!(!files.is_empty(), "{} has no corpus (hint: tests/fuzz/run --seeds)", target.name);
        let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!(bytes <= TARGET_MAX_BYTES, "the corpus of {} has {bytes} bytes (hint: tests/fuzz/run --keep minimises)", target.name);
        total += bytes;
        failed.extend(failures(target, files.into_iter().map(|file| (file.display().to_string(), fs::read(&file).unwrap()))));
    }
    assert_eq!(failed, Vec::<String>::new());
    assert!(total <= ALL_MAX_BYTES, "all stored inputs have {total} bytes");
}

#[test]
fn every_target_has_its_program_its_row_and_its_corpus_and_nothing_else_has() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let manifest = fs::read_to_string(here("Cargo.toml")).unwrap();
    let readme = fs::read_to_string(here("README.md")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")) && readme.contains(&format!("| `{name}` |")), "{name}");
        let program = fs::read_to_string(here("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", data)")), "{name}");
    }
    let listed = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!((listed("fuzz_targets"), listed("corpus")), (names.clone(), names));
}

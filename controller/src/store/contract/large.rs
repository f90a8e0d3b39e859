//! A large store opens in bounded time and memory: what a process needs for it does not grow with the file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;

use super::Bed;
use crate::store::dice::number_from;
use crate::store::testing::*;
use crate::store::{Change, MAX_PAGE, Store, Write, open};

/// Size of the store by default; `PATCHWAVE_TESTS_STORE_MEGABYTES=1000` makes one of a GB. Well above the pages that are kept in memory.
const MEGABYTES: u64 = 200;
/// Most memory that opening and reading may take: 64 MiB of pages kept in memory, and somewhat more for a page of records and what redb
/// knows of free pages.
const MOST_MEBIBYTES: u64 = 140;
/// sled takes many times as long to write, and nothing is asserted of it.
const SLED_PART: u64 = 8;
const ROLLOUTS: u64 = 20;
/// An append of the conductor is at most so many records.
const RECORDS: usize = 1_000;
const CHILD: &str = "store::contract::large::child_that_opens_a_large_store";
const KIND_VARIABLE: &str = "PATCHWAVE_TEST_LARGE_STORE_KIND";
const PATH_VARIABLE: &str = "PATCHWAVE_TEST_LARGE_STORE_PATH";

pub(super) fn a_large_store_opens_in_bounded_memory(mut bed: Bed) {
    let wanted = number_from("PATCHWAVE_TESTS_STORE_MEGABYTES", MEGABYTES) * 1_000_000 / if bed.kind == "sled" { SLED_PART } else { 1 };
    let store = bed.store();
    let began = Instant::now();
    let mut number = 0;
    while written(&bed.path()) < wanted {
        for answer in store.write_many((0..20).map(|_| part(&mut number)).collect()) {
            answer.unwrap();
        }
    }
    let filled = began.elapsed();
    drop(store);
    bed.close();
    let bytes = written(&bed.path());
    println!("{}: {} MB of {number} writes in {:.1} s", bed.kind, bytes / 1_000_000, filled.as_secs_f64());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(KIND_VARIABLE, bed.kind)
        .env(PATH_VARIABLE, bed.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    said.lines().filter(|line| line.starts_with("large:")).for_each(|line| println!("{}: {line}", bed.kind));
    let peak = said.lines().filter_map(|line| line.strip_prefix("large: peak MiB ")).filter_map(|text| text.parse::<u64>().ok()).max();
    // sled keeps its own index of pages in memory, which is what README.md says of it.
    if bed.kind == "redb" {
        let peak = peak.unwrap();
        assert!(peak <= MOST_MEBIBYTES, "{peak} MiB for a file of {} MB", bytes / 1_000_000);
    }
}

/// Bytes on the disk of a file or folder.
fn written(path: &Path) -> u64 {
    if !path.is_dir() {
        return std::fs::metadata(path).unwrap().blocks() * 512;
    }
    std::fs::read_dir(path).unwrap().map(|entry| written(&entry.unwrap().path())).sum()
}

/// A write as a busy conductor's: a part of a log, some hosts and lines for people.
fn part(number: &mut u64) -> Write {
    *number += 1;
    let rollout = rollout_id(&format!("r-{}", *number % ROLLOUTS));
    let expected = (*number - 1) / ROLLOUTS * RECORDS as u64;
    let record = |index: usize| Bytes::from(format!("{number}/{index} {}", "r".repeat(200)));
    let mut changes = vec![Change::AppendRollout { rollout, expected, records: (0..RECORDS).map(record).collect() }];
    changes.extend((0..20).map(|index| Change::PutHost(Box::new(host(&format!("h-{number}-{index}"))))));
    changes.extend((0..40).map(|index| event(&format!("line {index} of write {number}: {}", "told ".repeat(20)))));
    Write::new(changes)
}

#[test]
#[ignore = "the child process of the test beside it"]
fn child_that_opens_a_large_store() {
    let (Ok(kind), Some(path)) = (std::env::var(KIND_VARIABLE), std::env::var_os(PATH_VARIABLE)) else { return };
    println!("\nlarge: peak MiB {}", peak_mebibytes());
    let began = Instant::now();
    let store = open(&kind, &PathBuf::from(path)).unwrap();
    println!("large: opened in {:.2} s", began.elapsed().as_secs_f64());
    println!("large: peak MiB {}", peak_mebibytes());
    let began = Instant::now();
    let read = read_everything(store.as_ref());
    println!("large: {read} records read in {:.2} s", began.elapsed().as_secs_f64());
    println!("large: peak MiB {}", peak_mebibytes());
}

/// Reads all pages of hosts, logs and lines, one after the other; gives the number of records.
fn read_everything(store: &dyn Store) -> u64 {
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.hosts(after.as_ref(), MAX_PAGE).unwrap();
        count += page.len() as u64;
        after = page.last().map(|host| host.id.clone());
        if page.len() < MAX_PAGE {
            break;
        }
    }
    for rollout in store.rollout_ids(None, MAX_PAGE).unwrap() {
        let revision = store.rollout_revision(&rollout).unwrap();
        let mut from = 0;
        while from < revision {
            from += store.rollout_log(&rollout, from, MAX_PAGE).unwrap().len() as u64;
        }
        count += from;
    }
    let mut last = 0;
    while let Some(record) = store.events(last, MAX_PAGE).unwrap().pop() {
        last = record.sequence;
    }
    count + last
}

/// The most memory that this process ever had.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

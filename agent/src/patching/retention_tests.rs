#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::machine::simulation::orders;
use super::super::machine::{Baseline, LeaseDeadline, Purpose, Record, TransactionName};
use super::*;

const DAY_MS: i64 = 86_400_000;

struct Shelf {
    directory: tempfile::TempDir,
    store: Mutex<Store>,
}

impl Shelf {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Mutex::new(Store::open(directory.path()).unwrap());
        fs::create_dir(directory.path().join("stage")).unwrap();
        Self { directory, store }
    }

    /// A case with a receipt of so many bytes, which began if it did not end as refused.
    fn case(&self, counter: u64, at: i64, end: Option<End>, concluded: Option<(i64, u32)>, bytes: usize) {
        let generation = orders::generation(counter);
        let mut store = self.store.lock().unwrap();
        let mut append = |record: Record| store.append(generation, &record).unwrap();
        append(Record::Accepted { directive: orders::apply(counter, true), at: Timestamp(at) });
        if !matches!(end, Some(End::Refused(_))) {
            let transaction = TransactionName { case: generation, purpose: Purpose::Apply, attempt: 1 };
            let lease = LeaseDeadline { boot_id: String::new(), boottime_ms: 0 };
            append(Record::Begun { transaction, lease, baseline: Baseline::default() });
        }
        end.into_iter().for_each(|end| append(Record::Finished { end }));
        if let Some((at, days)) = concluded {
            append(Record::Concluded { at: Timestamp(at), keep: DAY * days });
        }
        let receipt = store.layout().receipt_directory(generation);
        fs::create_dir(&receipt).unwrap();
        fs::write(receipt.join("original"), vec![0; bytes]).unwrap();
    }

    fn staged(&self, rollout: &str, at: i64, text: &str) -> Digest {
        let digest = Digest::of(text.as_bytes());
        fs::write(self.directory.path().join(format!("stage/{digest}.deb")), text).unwrap();
        let note = StagedNote { at: Timestamp(at), digests: vec![digest] };
        note.save(self.store.lock().unwrap().layout(), &RolloutId::parse(rollout).unwrap()).unwrap();
        digest
    }

    fn clean(&self, now: i64, disk_bound_bytes: u64, present: Option<u64>, needed: &[Digest]) -> (Vec<u64>, Cleaned) {
        let bounds = Bounds { now: Timestamp(now), disk_bound_bytes, present: present.map(orders::generation) };
        let cleaned = clean(&self.store, &self.directory.path().join("stage"), &bounds, needed).unwrap();
        let left = self.store.lock().unwrap().cases().unwrap().cases;
        (left.keys().map(|generation| generation.counter).collect(), cleaned)
    }
}

fn attention() -> End {
    End::NeedsAttention { detail: "x".to_owned() }
}

fn refused() -> End {
    End::Refused(super::super::machine::Refusal::new(patchwave_common::domain::RefusalReason::LocalHold, "x"))
}

#[test]
fn a_concluded_case_stays_for_the_days_that_the_controller_asked_and_others_for_theirs() {
    let shelf = Shelf::new();
    shelf.case(1, 0, Some(End::Concluded), Some((DAY_MS, 3)), 10);
    shelf.case(2, 0, Some(refused()), None, 10);
    shelf.case(3, 0, Some(End::TakenBack), None, 10);
    shelf.case(4, 0, Some(attention()), None, 10);
    shelf.case(5, 0, None, None, 10);
    let large = 1 << 30;
    assert_eq!(shelf.clean(DAY_MS - 1, large, None, &[]).0, [1, 2, 3, 4, 5]);
    assert_eq!(shelf.clean(DAY_MS, large, None, &[]).0, [1, 3, 4, 5]);
    assert_eq!(shelf.clean(4 * DAY_MS, large, None, &[]).0, [3, 4, 5]);
    assert_eq!(shelf.clean(30 * DAY_MS, large, None, &[]).0, [4, 5]);
    assert_eq!(shelf.clean(10_000 * DAY_MS, large, None, &[]).0, [5], "what is not over is never deleted");
}

#[test]
fn beyond_the_bound_the_oldest_concluded_goes_first_and_what_needs_attention_last() {
    let shelf = Shelf::new();
    shelf.case(1, 0, Some(attention()), None, 100_000);
    shelf.case(2, 0, Some(End::TakenBack), None, 100_000);
    shelf.case(3, 0, Some(End::Concluded), Some((20, 300)), 100_000);
    shelf.case(4, 0, Some(End::Concluded), Some((10, 300)), 100_000);
    shelf.case(5, 0, Some(End::Concluded), Some((0, 300)), 100_000);
    assert_eq!(shelf.clean(30, 450_000, Some(5), &[]).0, [1, 2, 3, 5], "the case at hand stays");
    assert_eq!(shelf.clean(30, 350_000, Some(5), &[]).0, [1, 2, 5]);
    assert_eq!(shelf.clean(30, 150_000, Some(5), &[]).0, [5]);
}

#[test]
fn staged_files_stay_while_a_rollout_may_want_them_or_a_transaction_needs_them() {
    let shelf = Shelf::new();
    let shared = shelf.staged("r-1", 0, "one");
    shelf.staged("r-2", 5 * DAY_MS, "one");
    let needed = shelf.staged("r-3", 0, "three");
    shelf.staged("r-4", 0, "four");
    let exists = |digest: Digest| shelf.directory.path().join(format!("stage/{digest}.deb")).exists();
    let (_, cleaned) = shelf.clean(14 * DAY_MS, 1 << 30, None, &[needed]);
    assert_eq!((cleaned.stagings, cleaned.stage_bytes), (3, 4));
    assert!(exists(shared) && exists(needed));
    shelf.clean(19 * DAY_MS, 1 << 30, None, &[]);
    assert!(!exists(shared) && !exists(needed));
}

#[test]
fn a_deletion_that_was_interrupted_is_finished() {
    let shelf = Shelf::new();
    shelf.case(1, 0, Some(End::TakenBack), None, 10);
    let cases = shelf.directory.path().join("cases");
    fs::rename(cases.join("1-1"), cases.join(".1-1.deleted")).unwrap();
    assert!(shelf.clean(0, 1 << 30, None, &[]).0.is_empty());
    assert_eq!(fs::read_dir(cases).unwrap().count(), 0);
}

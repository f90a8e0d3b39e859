#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use patchwave_common::domain::Timestamp;

use super::super::machine::{
    Baseline, End, Harm, LeaseDeadline, NotBegun, Purpose, Record, TransactionName, TransactionOutcome, simulation::orders,
};
use super::*;

/// One record of each kind, in an order that a case can have.
pub fn records() -> Vec<Record> {
    let transaction = |purpose, attempt| TransactionName { case: orders::generation(1), purpose, attempt };
    let lease = LeaseDeadline { boot_id: "boot-1".to_owned(), boottime_ms: 60_000 };
    let baseline = Baseline { passed: [orders::check_name()].into(), ..Baseline::default() };
    let harm = Harm { reason: patchwave_common::domain::HarmReason::CheckFailed, detail: "check web fails".to_owned() };
    let back =
        crate::patching::machine::BackOrder { generation: orders::generation(2), rollout: orders::rollout(), health: orders::health() };
    let not_begun = TransactionOutcome::NotBegun { why: NotBegun::LeaseExpired, detail: "late".to_owned() };
    vec![
        Record::Accepted { directive: orders::apply(1, true), at: Timestamp(1_700_000_000_000) },
        Record::Begun { transaction: transaction(Purpose::Apply, 1), lease: lease.clone(), baseline: baseline.clone() },
        Record::Ended { transaction: transaction(Purpose::Apply, 1), outcome: not_begun },
        Record::Begun { transaction: transaction(Purpose::Apply, 2), lease, baseline },
        Record::Ended {
            transaction: transaction(Purpose::Apply, 2),
            outcome: TransactionOutcome::Interrupted { detail: "the host rebooted".to_owned() },
        },
        Record::Started { transaction: transaction(Purpose::Repair, 1) },
        Record::Ended { transaction: transaction(Purpose::Repair, 1), outcome: TransactionOutcome::Completed },
        Record::Verifying,
        Record::Healthy,
        Record::Harmed { harm },
        Record::TakeBackOrdered { back },
        Record::TakingBack,
        Record::Started { transaction: transaction(Purpose::TakeBack, 1) },
        Record::Ended { transaction: transaction(Purpose::TakeBack, 1), outcome: TransactionOutcome::Failed { detail: "x".to_owned() } },
        Record::Restored,
        Record::Finished { end: End::TakenBack },
        Record::Concluded { at: Timestamp(1_700_000_100_000), keep: std::time::Duration::from_secs(86_400) },
    ]
}

fn written(directory: &Path) -> PathBuf {
    let path = directory.join("cases/1-1/journal");
    std::fs::create_dir_all(directory.join("cases")).unwrap();
    let mut journal = Journal::create(&path).unwrap();
    records().iter().for_each(|record| journal.append(record).unwrap());
    path
}

#[test]
fn every_record_reads_back_and_the_files_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    assert_eq!(Journal::read(&path).unwrap(), records());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

/// A power cut leaves the file short, or with zeros where the data did not get to the disk.
fn torn(bytes: &[u8], length: usize, zeros: usize) -> Vec<u8> {
    let mut torn = bytes[..length].to_vec();
    torn.resize(length + zeros, 0);
    torn
}

#[test]
fn cut_at_any_byte_the_whole_records_stay() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(written(directory.path())).unwrap();
    for length in 0..bytes.len() {
        for zeros in [0, 1, 40, 5000] {
            let decoded = frame::decode(&torn(&bytes, length, zeros)).unwrap_or_else(|damage| panic!("{length} and {zeros}: {damage:?}"));
            assert!(records().starts_with(&decoded.records), "cut at {length}");
            assert!(decoded.sound_bytes <= length as u64);
        }
    }
}

#[test]
fn a_torn_end_is_cut_off_and_the_next_record_follows_the_whole_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(173) {
        for zeros in [0, 5000] {
            std::fs::write(&path, torn(&bytes, length, zeros)).unwrap();
            let (mut journal, mut expected) = Journal::open(&path).unwrap();
            journal.append(&Record::Verifying).unwrap();
            expected.push(Record::Verifying);
            assert_eq!(Journal::read(&path).unwrap(), expected, "cut at {length} with {zeros} zeros");
        }
    }
}

#[test]
fn a_changed_byte_before_the_last_record_is_damage_that_names_the_file_and_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    let bytes = std::fs::read(&path).unwrap();
    let last = frame::encode(u32::try_from(records().len() - 1).unwrap(), records().last().unwrap()).unwrap().len();
    for at in 0..bytes.len() - last {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        frame::decode(&changed).expect_err(&format!("byte {at}"));
    }
    let mut changed = bytes;
    changed[700] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("1-1/journal") && error.contains("hint: compare"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), changed, "a damaged journal is left as it is");
}

#[test]
fn a_missing_or_doubled_record_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    let frames: Vec<Vec<u8>> = records().iter().zip(0..).map(|(record, index)| frame::encode(index, record).unwrap()).collect();
    for order in [vec![0, 2], vec![0, 1, 1], vec![1]] {
        let mut bytes = frame::MARK.to_vec();
        order.iter().for_each(|index: &usize| bytes.extend_from_slice(&frames[*index]));
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })), "{order:?}");
    }
}

#[test]
fn a_record_that_cannot_be_written_leaves_the_journal_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    let (mut journal, before) = Journal::open(&path).unwrap();
    let huge = Record::Finished { end: End::NeedsAttention { detail: "x".repeat(frame::RECORD_MAX_BYTES) } };
    assert!(matches!(journal.append(&huge), Err(JournalError::Refused { .. })));
    assert_eq!(Journal::read(&path).unwrap(), before);
}

#[test]
fn a_journal_is_never_read_through_a_link_for_writing() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path());
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Journal::open(&link).is_err());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Journals of the first release must be read for ever: a host may be upgraded in the middle of a case. The file was written once by
/// [`records`] of that release and is never written again.
#[test]
fn the_first_releases_journal_reads_back() {
    let golden = include_bytes!("golden/journal-1");
    let decoded = frame::decode(golden).unwrap();
    assert_eq!(decoded.records, records());
    assert_eq!(decoded.sound_bytes, golden.len() as u64);
}

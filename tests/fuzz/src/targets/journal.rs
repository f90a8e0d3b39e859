//! The agent's journal. The first byte chooses: the bytes as they are; pieces that are each given a sound frame; or a sound journal that is
//! cut at a place and has other bytes after it.
//!
//! Holds: what is whole is within the bytes, and written again gives those bytes' records; of a cut journal the records before the cut are
//! all there; folding whatever records into a case never fails; damage is told bounded and clean.

use std::sync::LazyLock;

use patchwave_agent::fuzzing::journal;
use patchwave_agent::patching::machine::{
    BackOrder, Baseline, Case, End, Harm, LeaseDeadline, NotBegun, Purpose, Record, TransactionName, TransactionOutcome,
};
use patchwave_common::domain::{HarmReason, Timestamp};

use super::samples;
use crate::clean::assert_fit;
use crate::pieces;

/// Length of a frame's header.
const HEADER_BYTES: usize = 16;

/// See the module.
pub fn run(data: &[u8]) {
    match pieces::choice(data, 3) {
        Some((0, bytes)) => check(bytes),
        Some((1, rest)) => check(&framed(pieces::split(rest))),
        Some((_, rest)) => cut(rest),
        None => {}
    }
}

fn check(bytes: &[u8]) {
    match journal::decode(bytes) {
        Ok((records, sound_bytes)) => {
            assert!(sound_bytes <= bytes.len() as u64);
            let _ = Case::fold(&records);
            let again = written(&records);
            assert_eq!(journal::decode(&again), Ok((records, again.len() as u64)));
        }
        Err((offset, detail)) => {
            assert!(offset <= bytes.len() as u64);
            assert_fit(&detail, 400);
        }
    }
}

/// A journal as the agent would write it, made once.
struct Sound {
    records: Vec<Record>,
    bytes: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let records = records();
    let ends = (1..=records.len()).map(|count| written(&records[..count]).len()).collect();
    Sound { bytes: written(&records), records, ends }
});

/// A sound journal, cut where the first two bytes say, with the rest after it.
fn cut(data: &[u8]) {
    let Some((at, tail)) = data.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_be_bytes(*at)) % (SOUND.bytes.len() + 1);
    let whole = &SOUND.bytes[..at];
    let complete = SOUND.ends.iter().filter(|&&end| end <= at).count();
    let (read, _) = journal::decode(whole).expect("a journal that a crash cut is read");
    assert_eq!(read, SOUND.records[..complete], "cut at {at}");
    let damaged = [whole, tail].concat();
    if let Ok((read, _)) = journal::decode(&damaged) {
        assert!(read.len() >= complete && read[..complete] == SOUND.records[..complete]);
    }
    check(&damaged);
}

fn written(records: &[Record]) -> Vec<u8> {
    let frames = (0..).zip(records).map(|(index, record)| journal::encode(index, record).expect("what was read can be written"));
    [journal::MARK.to_vec()].into_iter().chain(frames).collect::<Vec<_>>().concat()
}

/// A journal of these payloads, whatever they are, with sound headers.
fn framed(payloads: Vec<&[u8]>) -> Vec<u8> {
    let mut bytes = journal::MARK.to_vec();
    for (index, payload) in (0_u32..).zip(payloads) {
        let mut header = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
        header.extend(index.to_le_bytes());
        header.extend(crc32fast::hash(&header).to_le_bytes());
        header.extend(crc32fast::hash(payload).to_le_bytes());
        bytes.extend(header);
        bytes.extend(payload);
    }
    bytes
}

/// One record of each kind.
fn records() -> Vec<Record> {
    let transaction = |purpose, attempt| TransactionName { case: samples::generation(1), purpose, attempt };
    let lease = LeaseDeadline { boot_id: "boot-1".to_owned(), boottime_ms: 60_000 };
    let harm = Harm { reason: HarmReason::CheckFailed, detail: "check web fails".to_owned() };
    let back = BackOrder { generation: samples::generation(2), rollout: samples::rollout(), health: samples::policy().health };
    let not_begun = TransactionOutcome::NotBegun { why: NotBegun::LeaseExpired, detail: "late".to_owned() };
    vec![
        Record::Accepted { directive: samples::apply(1), at: Timestamp(1_700_000_000_000) },
        Record::Begun { transaction: transaction(Purpose::Apply, 1), lease, baseline: Baseline::default() },
        Record::Ended { transaction: transaction(Purpose::Apply, 1), outcome: not_begun },
        Record::Started { transaction: transaction(Purpose::Repair, 1) },
        Record::Ended { transaction: transaction(Purpose::Repair, 1), outcome: TransactionOutcome::Completed },
        Record::Verifying,
        Record::Healthy,
        Record::Harmed { harm },
        Record::TakeBackOrdered { back },
        Record::TakingBack,
        Record::Ended { transaction: transaction(Purpose::TakeBack, 1), outcome: TransactionOutcome::Failed { detail: "x".to_owned() } },
        Record::Restored,
        Record::Finished { end: End::TakenBack },
        Record::Concluded { at: Timestamp(1_700_000_100_000), keep: std::time::Duration::from_secs(86_400) },
    ]
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let records = records();
    let payloads: Vec<Vec<u8>> = records.iter().map(|record| journal::encode(0, record).unwrap()[HEADER_BYTES..].to_vec()).collect();
    vec![
        [vec![0], written(&records)].concat(),
        [vec![1], pieces::join(&payloads)].concat(),
        [vec![1], pieces::join(&payloads[..1])].concat(),
        vec![2, 1, 0],
        vec![2, 2, 0, 0, 0, 1, 2, 3],
    ]
}

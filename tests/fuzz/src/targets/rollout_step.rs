//! A whole log, each piece one stored event, folded into a rollout of eleven hosts.
//!
//! Holds: an event is folded or rejected, and a rejected one changes nothing; folding those that were accepted gives the same state again;
//! what is asked of the state (summary, orders, staging, what could be taken back) always has an answer.

use bytes::Bytes;
use patchwave::rollout::{Rollout, SealedPlan};
use patchwave::rollout_log;
use patchwave_common::domain::Digest;

use crate::pieces;

pub(super) const GOLDEN_PLAN: [&[u8]; 3] = [
    include_bytes!("../../../../controller/tests/golden/0.1.0/plan-header.bin"),
    include_bytes!("../../../../controller/tests/golden/0.1.0/plan-segment-0.bin"),
    include_bytes!("../../../../controller/tests/golden/0.1.0/plan-segment-1.bin"),
];
const GOLDEN_LOG: &[u8] = include_bytes!("../../../../controller/tests/golden/0.1.0/log.bin");

fn plan() -> SealedPlan {
    let segments: Vec<Bytes> = GOLDEN_PLAN[1..].iter().map(|segment| Bytes::from_static(segment)).collect();
    rollout_log::open(Digest::of(GOLDEN_PLAN[0]), GOLDEN_PLAN[0], &segments).unwrap()
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut rollout = Rollout::new(plan());
    let mut accepted = Vec::new();
    for recorded in pieces::split(data).into_iter().filter_map(|piece| rollout_log::decode(piece).ok()) {
        let before = rollout.state_hash();
        match rollout.step(&recorded) {
            Ok(_) => accepted.push(recorded),
            Err(_) => assert_eq!(rollout.state_hash(), before),
        }
    }
    let _ = (rollout.summary(), rollout.reversible());
    for host in rollout.plan().indexes() {
        if let Some(id) = rollout.plan().host(host) {
            let _ = (rollout.directive_for(id), rollout.stage_for(id));
        }
    }
    let again = Rollout::replay(plan(), accepted).unwrap();
    assert_eq!(again.state_hash(), rollout.state_hash());
}

/// The records of the stored log of release 0.1.0.
pub(super) fn golden_log() -> Vec<&'static [u8]> {
    let (mut records, mut rest) = (Vec::new(), GOLDEN_LOG);
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (record, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        records.push(record);
        rest = tail;
    }
    records
}

/// That log as a whole, and half of it.
pub fn seeds() -> Vec<Vec<u8>> {
    let log = golden_log();
    vec![pieces::join(&log), pieces::join(&log[..log.len() / 2]), pieces::join(&log[..3])]
}

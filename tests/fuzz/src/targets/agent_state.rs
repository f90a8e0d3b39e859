//! The agent's other files, all JSON that it wrote itself: fence, quarantine, staged notes, receipts, status, hold. The first byte chooses.
//!
//! Holds: what is read is written as bytes that read back as the same value.

use std::collections::BTreeSet;
use std::fmt::Debug;

use patchwave_agent::hold::Hold;
use patchwave_agent::packages::{Original, PackageRecord, Receipt, StagedFile, StagedSet};
use patchwave_agent::patching::PatchingStatus;
use patchwave_agent::patching::machine::Fence;
use patchwave_agent::patching::retention::StagedNote;
use patchwave_agent::run::status_file::AgentStatus;
use patchwave_agent::session::status::SessionStatus;
use patchwave_common::domain::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::samples;
use crate::pieces;

const KINDS: &[fn(&[u8])] = &[
    again::<Fence>,
    again::<BTreeSet<QuarantineKey>>,
    again::<StagedNote>,
    again::<Receipt>,
    again::<AgentStatus>,
    again::<PatchingStatus>,
    again::<Hold>,
    again::<StagedFile>,
    again::<StagedSet>,
    again::<CandidateSet>,
    again::<SessionStatus>,
    again::<Vec<InstalledPackage>>,
];

fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&value).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), value);
    }
}

/// See the module.
pub fn run(data: &[u8]) {
    if let Some((kind, rest)) = pieces::choice(data, KINDS.len()) {
        KINDS[kind](rest);
    }
}

fn json(kind: u8, value: &impl Serialize) -> Vec<u8> {
    [vec![kind], serde_json::to_vec(value).unwrap()].concat()
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let history = DirectiveHistory { generation: samples::generation(3), rollout: samples::rollout(), progress: samples::progress() };
    let fence = Fence { newest: Some(samples::generation(3)), rollout: Some(samples::rollout()), last: Some(history) };
    let record = PackageRecord {
        package: samples::installed("openssl", "3.0.15-1"),
        conffiles: vec!["/etc/ssl/openssl.cnf 00".into()],
        files: Vec::new(),
        original: Original::Missing("gone".into()),
    };
    let receipt = Receipt {
        format: 1,
        directory: "/r".into(),
        targets: samples::targets(),
        packages: vec![record],
        additions: Vec::new(),
        paths: Vec::new(),
        units: vec![UnitName::parse("nginx.service").unwrap()],
    };
    vec![
        json(0, &fence),
        json(1, &BTreeSet::from([samples::quarantine_key()])),
        json(2, &StagedNote { at: Timestamp(7), digests: vec![Digest::of(b"a")] }),
        json(3, &receipt),
        json(6, &Hold { reason: "quarter end".into(), since: Timestamp(7) }),
        json(9, &samples::candidates()),
        json(11, &samples::inventory().iter().cloned().collect::<Vec<_>>()),
    ]
}

//! Garbled bytes are an error or a record, never a panic; and what is read was proved.
#![allow(clippy::unwrap_used)]

use patchwave_common::domain::CandidateSet;
use patchwave_proto::store::v1;
use proptest::prelude::*;
use prost::Message as _;

use super::{PackageVersion, Stored};
use crate::records::*;
use crate::store::testing::*;
use crate::store::{Counters, Entry, InventoryRows};

/// Decodes bytes as every kind of record.
fn decode_as_everything(bytes: &[u8]) -> usize {
    fn count<T: Stored>(bytes: &[u8]) -> usize {
        usize::from(T::decode(bytes).is_ok())
    }
    count::<HostRecord>(bytes)
        + count::<TokenRecord>(bytes)
        + count::<OperatorRecord>(bytes)
        + count::<PolicyRecord>(bytes)
        + count::<CertificateRecord>(bytes)
        + count::<RolloutHead>(bytes)
        + count::<ClaimRecord>(bytes)
        + count::<QuarantineRecord>(bytes)
        + count::<HaltRecord>(bytes)
        + count::<AuditRecord>(bytes)
        + count::<EventRecord>(bytes)
        + count::<CandidateSet>(bytes)
        + count::<InventoryRows>(bytes)
        + count::<PackageVersion>(bytes)
        + count::<Counters>(bytes)
        + count::<Entry>(bytes)
        + count::<FeedRecord>(bytes)
        + count::<FindingEntry>(bytes)
        + count::<FixRecord>(bytes)
}

/// Encoded records of many kinds.
fn samples() -> Vec<Vec<u8>> {
    let rows = InventoryRows { manager: patchwave_common::domain::Manager::Dpkg, rows: (1..900).step_by(3).collect() };
    vec![
        host("h-1").encode(),
        token("t1", 2).encode(),
        operator("bob").encode(),
        policy("web", "x = 1").encode(),
        certificate("ab01").encode(),
        head("r-1").encode(),
        quarantine("ssl", "o").encode(),
        halt(true).encode(),
        candidates(&["nginx", "jq"]).encode(),
        rows.encode(),
        Entry::Inventory { digest: rows_digest(), rows }.encode(),
        feed("debian", 2).encode(),
        fix("nginx", 5).encode(),
    ]
}

fn rows_digest() -> patchwave_common::domain::Digest {
    patchwave_common::domain::Digest::of(b"rows")
}

proptest! {
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn a_changed_record_never_panics(sample in 0..13_usize, at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = samples().swap_remove(sample);
        let at = at.index(bytes.len());
        bytes[at] = value;
        decode_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        decode_as_everything(&bytes);
    }
}

#[test]
fn a_malformed_or_missing_field_is_named() {
    let refused = |change: &dyn Fn(&mut v1::Host)| {
        let mut message = host("h-1").to_message();
        change(&mut message);
        HostRecord::decode(&message.encode_to_vec()).unwrap_err().to_string()
    };
    assert!(refused(&|host| host.id = "../etc".into()).starts_with("host id:"));
    assert!(refused(&|host| host.mode = 9).contains("unknown value 9"));
    assert!(refused(&|host| host.mode = 0).contains("not specified"));
    assert!(refused(&|host| host.state = None).contains("host state: missing"));
    assert!(refused(&|host| host.facts = None).contains("host facts: missing"));
    assert!(refused(&|host| host.inventory = Some(vec![1; 31])).contains("31 bytes"));
    assert!(refused(&|host| drop(host.labels.insert("a b".into(), "c".into()))).starts_with("label key:"));
}

#[test]
fn a_candidate_without_its_origin_is_refused() {
    let mut message = candidates(&["nginx"]).to_message();
    message.candidates[0].origin = 7;
    assert!(CandidateSet::decode(&message.encode_to_vec()).unwrap_err().to_string().contains("no origin 7"));
}

#[test]
fn the_same_record_is_stored_as_the_same_bytes() {
    let labels = |host: &mut HostRecord| {
        host.labels = patchwave_common::domain::Labels(
            (0..12).map(|number| patchwave_common::domain::Labels::parse_pair(&format!("key-{number}=x")).unwrap()).collect(),
        );
    };
    let mut record = host("h-1");
    labels(&mut record);
    let first = record.encode();
    assert!((0..20).all(|_| record.encode() == first), "else a write that changes nothing would be stored again");
}

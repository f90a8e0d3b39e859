//! What fuzz targets need of the store: its record codecs and its rows.

use std::path::Path;

use patchwave_common::domain::CandidateSet;

use super::codec::{PackageVersion, Stored};
use super::embedded::row::{seal, unseal};
use super::{Counters, Entry, InventoryRows};
use crate::records::{
    AuditRecord, CertificateRecord, ClaimRecord, EventRecord, FeedRecord, FindingEntry, FixRecord, HaltRecord, HostRecord, OperatorRecord,
    PolicyRecord, QuarantineRecord, RolloutHead, TokenRecord,
};

/// Decodes a record and encodes it again; or why not.
type Again = fn(&[u8]) -> Result<Vec<u8>, String>;

fn again<T: Stored>(bytes: &[u8]) -> Result<Vec<u8>, String> {
    T::decode(bytes).map(|record| record.encode()).map_err(|error| error.to_string())
}

const RECORDS: [Again; 19] = [
    again::<HostRecord>,
    again::<TokenRecord>,
    again::<OperatorRecord>,
    again::<PolicyRecord>,
    again::<CertificateRecord>,
    again::<RolloutHead>,
    again::<ClaimRecord>,
    again::<QuarantineRecord>,
    again::<HaltRecord>,
    again::<AuditRecord>,
    again::<EventRecord>,
    again::<CandidateSet>,
    again::<InventoryRows>,
    again::<PackageVersion>,
    again::<Counters>,
    again::<Entry>,
    again::<FeedRecord>,
    again::<FindingEntry>,
    again::<FixRecord>,
];

/// How many kinds of record there are for [`record`].
pub const RECORD_KINDS: usize = RECORDS.len();

/// Decodes bytes as the record of that kind and encodes it again.
///
/// # Errors
/// What is wrong with the bytes.
pub fn record(kind: usize, bytes: &[u8]) -> Result<Vec<u8>, String> {
    RECORDS.get(kind).map_or_else(|| Err("no such kind".to_owned()), |again| again(bytes))
}

/// The encoded record of a row, if the row is sound.
///
/// # Errors
/// What is wrong with the row.
pub fn row(key: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
    unseal(Path::new("store"), key, value).map(<[u8]>::to_vec).map_err(|error| error.to_string())
}

/// The row of an encoded record.
#[must_use]
pub fn seal_row(key: &[u8], encoded: &[u8]) -> Vec<u8> {
    seal(key, encoded)
}

//! Records as the store holds them. The first byte chooses the kind of record.
//!
//! Holds: what is read is written as bytes that read back as the same record (writing it again gives the same bytes); what is refused is
//! told in a bounded text.

use patchwave::fuzzing;

use super::backup;
use crate::clean::assert_fit;
use crate::pieces;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = pieces::choice(data, fuzzing::RECORD_KINDS) else { return };
    match fuzzing::record(kind, bytes) {
        Ok(encoded) => assert_eq!(fuzzing::record(kind, &encoded).as_ref(), Ok(&encoded)),
        Err(error) => assert_fit(&error, 500),
    }
}

/// The records of a stored backup, each as every kind that reads it.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for entry in backup::golden_entries() {
        // The entry itself, and what it holds: a field's tag of one or two bytes, a length, the record.
        for cut in [0, 2, 3, 4, 5] {
            let Some(bytes) = entry.get(cut..).filter(|bytes| !bytes.is_empty()) else { continue };
            let fitting = (0..fuzzing::RECORD_KINDS).filter(|&kind| fuzzing::record(kind, bytes).as_deref() == Ok(bytes));
            seeds.extend(fitting.map(|kind| [&[u8::try_from(kind).unwrap()], bytes].concat()));
        }
    }
    seeds
}

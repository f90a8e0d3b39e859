//! One event of a rollout's log.
//!
//! Holds: what is read is written as bytes that read back as the same event.

use patchwave::rollout_log::{decode, encode};

use super::rollout_step;
use crate::clean::assert_fit;

/// See the module.
pub fn run(data: &[u8]) {
    match decode(data) {
        Ok(recorded) => assert_eq!(decode(&encode(&recorded)).as_ref(), Ok(&recorded)),
        Err(error) => assert_fit(&error.to_string(), 500),
    }
}

/// The events of the stored log of release 0.1.0.
pub fn seeds() -> Vec<Vec<u8>> {
    rollout_step::golden_log().into_iter().map(<[u8]>::to_vec).collect()
}

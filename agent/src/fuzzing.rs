//! Decoders of bytes that others wrote, as the fuzz targets (`tests/fuzz`) call them: bytes in, plain values out. For nobody else.

use std::collections::BTreeMap;

pub use crate::packages::apt::fuzzing as apt;
pub use crate::patching::journal::fuzzing as journal;
use crate::patching::machine::Units;

/// What `systemctl show` says of units.
#[must_use]
pub fn units(answer: &str) -> Units {
    crate::health::units::parse(answer)
}

/// The fields of an os-release file.
#[must_use]
pub fn os_release(text: &str) -> BTreeMap<String, String> {
    crate::inventory::facts::parse_os_release(text)
}

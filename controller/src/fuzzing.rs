//! Decoders of bytes that others wrote, as the fuzz targets (`tests/fuzz`) call them: bytes in, plain values out. For nobody else.

use rcgen::PublicKeyData as _;

pub use crate::rollout_log::fuzzing::{plan, policy};
pub use crate::store::fuzzing::{RECORD_KINDS, record, row, seal_row};

/// The public key of a certificate request, as the authority reads it, or why it is refused.
pub fn requested_key(request_der: &[u8]) -> Result<Vec<u8>, String> {
    crate::pki::requested_key(request_der).map(|key| key.der_bytes().to_vec()).map_err(|error| error.to_string())
}

/// Whether a pattern for names fits one.
#[must_use]
pub fn name_pattern(pattern: &str, name: &str) -> bool {
    glob_match::glob_match(pattern, name)
}

//! Random names.

use rand::RngExt as _;

/// `characters` random letters and digits of a 32-letter alphabet without look-alikes (no i, l, o, u): 5 bits each.
#[must_use]
pub fn base32(characters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut random = rand::rng();
    (0..characters).map(|_| char::from(ALPHABET[usize::from(random.random::<u8>() & 31)])).collect()
}

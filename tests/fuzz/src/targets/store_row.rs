//! A row of an embedded store: format byte, record, checksum over key and both. The first byte is the key's length.
//!
//! Holds: a row that was sealed opens as what was sealed; under another key, or with any bit changed, it is refused.

use patchwave::fuzzing;

use crate::clean::assert_fit;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(length).min(rest.len()));
    match fuzzing::row(key, value) {
        Ok(encoded) => assert_eq!(fuzzing::seal_row(key, &encoded), value),
        Err(error) => assert_fit(&error, 1000),
    }
    let mut sealed = fuzzing::seal_row(key, value);
    assert_eq!(fuzzing::row(key, &sealed).as_deref(), Ok(value));
    let mut other = key.to_vec();
    other.push(length);
    assert!(fuzzing::row(&other, &sealed).is_err());
    let bit = (key.len() * 31 + value.len() * 7 + usize::from(length)) % (sealed.len() * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    assert!(fuzzing::row(key, &sealed).is_err());
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let row = |key: &[u8], record: &[u8]| [&[u8::try_from(key.len()).unwrap()], key, &fuzzing::seal_row(key, record)].concat();
    vec![row(b"\x03h-7k2m", b"\x0a\x06h-7k2m"), row(b"", b""), row(&[7, 0, 0, 0, 0, 0, 0, 0, 9], &[0xff; 40]), vec![9, 1, 2, 3]]
}

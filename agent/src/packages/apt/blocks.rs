//! Reads a file of paragraphs in blocks that hold whole paragraphs, so that dpkg's database, which is large, is never in memory as a whole.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::packages::PackageError;

/// Bytes read at once. Small enough for a processor's cache and for malloc to keep it for the next reading; a paragraph has about 1 KB.
const BLOCK_BYTES: usize = 64 * 1024;
/// Paragraphs end at an empty line.
const END: &[u8; 2] = b"\n\n";

/// Calls `look` with each block in order: whole paragraphs, or all that is left. A paragraph longer than a block is a block by itself.
pub(crate) fn for_each_block(path: &Path, max_bytes: u64, mut look: impl FnMut(&str)) -> Result<(), PackageError> {
    let mut file = File::open(path).map_err(PackageError::io("open", path))?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let (mut filled, mut total_bytes) = (0, 0);
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let read = match file.read(&mut buffer[filled..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(PackageError::io("read", path)(error)),
        };
        filled += read;
        total_bytes += read as u64;
        if total_bytes > max_bytes {
            return Err(PackageError::TooLarge { path: path.to_owned(), max_bytes });
        }
        let whole = if read == 0 { filled } else { end_of_last_paragraph(&buffer[..filled]) };
        if whole > 0 {
            // Ancient packages have maintainers' names in other encodings; that must not hide them.
            look(&String::from_utf8_lossy(&buffer[..whole]));
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn end_of_last_paragraph(bytes: &[u8]) -> usize {
    bytes.windows(END.len()).rposition(|two| two == END).map_or(0, |at| at + END.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn blocks(bytes: &[u8], max_bytes: u64) -> Result<Vec<String>, PackageError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status");
        std::fs::write(&path, bytes).unwrap();
        let mut blocks = Vec::new();
        for_each_block(&path, max_bytes, |text| blocks.push(text.to_owned())).map(|()| blocks)
    }

    #[test]
    fn blocks_end_where_paragraphs_end_and_together_are_the_file() {
        let long = format!("Package: long\nDescription: {}\n\n", "x".repeat(3 * BLOCK_BYTES));
        let short: String = (0..5_000).map(|number| format!("Package: p{number}\nVersion: 1\n continued\n\n")).collect();
        let text = format!("{short}{long}{short}Package: last\nVersion: 1");
        let blocks = blocks(text.as_bytes(), 1 << 20).unwrap();
        assert!(blocks.len() > 5, "{}", blocks.len());
        let (last, others) = blocks.split_last().unwrap();
        assert!(others.iter().all(|block| block.ends_with("\n\n")) && last.ends_with("Package: last\nVersion: 1"));
        assert_eq!(blocks.concat(), text);
    }

    #[test]
    fn other_encodings_hide_nothing_and_bounds_hold() {
        assert_eq!(blocks(b"Package: a\nMaintainer: \xe9\n\n", 100).unwrap(), ["Package: a\nMaintainer: \u{fffd}\n\n"]);
        assert!(blocks(b"", 0).unwrap().is_empty());
        assert!(matches!(blocks(&[b'x'; 11], 10), Err(PackageError::TooLarge { max_bytes: 10, .. })));
    }
}

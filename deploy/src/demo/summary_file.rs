//! The file for the summary: opened before anything is begun, so that nobody watches the demo to learn at its end that it cannot be written.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// An open file. What was there stays until the summary is written; a file that was not there goes again if none is.
pub(super) struct SummaryFile {
    file: File,
    path: PathBuf,
    /// Made here.
    new: bool,
}

impl SummaryFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let new = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("opening {} for the summary (hint: --summary names a file to write)", path.display()))?;
        Ok(Self { file, path: path.to_owned(), new })
    }

    /// The file that whoever started this process opened as its standard input.
    pub(super) fn from_stdin() -> anyhow::Result<Self> {
        let file = std::io::stdin().as_fd().try_clone_to_owned().context("opening the summary")?;
        Ok(Self { file: file.into(), path: PathBuf::from("the summary"), new: false })
    }

    /// The same open file for another process.
    pub(super) fn handle(&self) -> anyhow::Result<File> {
        self.file.try_clone().context("handing on the summary")
    }

    pub(super) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let written = match self.file.metadata() {
            Ok(metadata) if metadata.is_file() => self.file.set_len(0),
            other => other.map(|_| ()),
        };
        let written = written.and_then(|()| self.file.write_all(text.as_bytes())).and_then(|()| self.file.flush());
        written.with_context(|| format!("writing {}", self.path.display()))
    }
}

impl Drop for SummaryFile {
    fn drop(&mut self) {
        if self.new && self.file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
            // It is empty either way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_there_is_replaced_by_a_summary_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        drop(SummaryFile::open(&path).unwrap());
        assert!(!path.exists(), "an empty file is no summary");
        SummaryFile::open(&path).unwrap().write("a long first one").unwrap();
        drop(SummaryFile::open(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a long first one");
        SummaryFile::open(&path).unwrap().write("second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        let error = SummaryFile::open(&folder.path().join("none/summary.json")).err().unwrap();
        assert!(error.to_string().contains("none/summary.json"), "{error:#}");
    }
}

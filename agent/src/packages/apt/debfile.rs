//! What is inside a .deb, by `dpkg-deb`: control files and conffiles. The files come from an archive: bounded, never executed.

use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::status::read_text;
use crate::packages::{PackageError, process};

/// How long unpacking may take: a control archive is a few kilobytes, the largest packages hold a gigabyte.
const CONTROL_LIMIT_SECS: u64 = 60;
const FILES_LIMIT_SECS: u64 = 600;
/// Bound on a list of conffiles.
const CONFFILES_MAX_BYTES: u64 = 1024 * 1024;

/// Unpacks the control files into a directory that is gone when dropped.
pub(crate) fn control(layout: &Layout, deb: &Path) -> Result<tempfile::TempDir, PackageError> {
    unpack(layout, deb, "--control", CONTROL_LIMIT_SECS)
}

/// Unpacks the packaged files into a directory that is gone when dropped.
pub(crate) fn files(layout: &Layout, deb: &Path) -> Result<tempfile::TempDir, PackageError> {
    unpack(layout, deb, "--extract", FILES_LIMIT_SECS)
}

fn unpack(layout: &Layout, deb: &Path, what: &str, time_limit_secs: u64) -> Result<tempfile::TempDir, PackageError> {
    let directory = tempfile::tempdir_in(&layout.state_dir).map_err(PackageError::io("make a directory in", &layout.state_dir))?;
    let arguments = vec![what.to_owned(), deb.display().to_string(), directory.path().display().to_string()];
    process::run(&layout.command("dpkg-deb", "look into a package", time_limit_secs, arguments))?.successful("dpkg-deb")?;
    Ok(directory)
}

/// The conffiles that a .deb brings. A path may follow a flag such as `remove-on-upgrade`.
pub(crate) fn conffiles(layout: &Layout, deb: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let control = control(layout, deb)?;
    let path = control.path().join("conffiles");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = read_text(&path, CONFFILES_MAX_BYTES)?;
    Ok(text.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(line[at..].trim_end()))).collect())
}

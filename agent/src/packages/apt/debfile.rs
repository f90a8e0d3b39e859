//! What is inside a .deb, by `dpkg-deb`: control files and conffiles. The files come from an archive: bounded, never executed.

use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::status::read_text;
use crate::packages::{PackageError, process};
use patchwave_common::domain::dpkg::paragraphs;

/// How long unpacking may take: a control archive is a few kilobytes, the largest packages hold a gigabyte.
const CONTROL_LIMIT_SECS: u64 = 60;
const FILES_LIMIT_SECS: u64 = 600;
/// Bound on a control file; those of Debian's largest packages are some 10 KB.
const CONTROL_MAX_BYTES: u64 = 1024 * 1024;
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

/// Whether a .deb may overwrite files of other packages.
pub(crate) fn replaces(layout: &Layout, deb: &Path) -> Result<bool, PackageError> {
    let control = control(layout, deb)?;
    let text = read_text(&control.path().join("control"), CONTROL_MAX_BYTES)?;
    Ok(paragraphs(&text).next().unwrap_or_default().get("Replaces").is_some())
}

/// The paths that a .deb brings, without its directories.
pub(crate) fn paths(layout: &Layout, deb: &Path) -> Result<Vec<String>, PackageError> {
    let arguments = vec!["--contents".to_owned(), deb.display().to_string()];
    let output = process::run(&layout.command("dpkg-deb", "look into a package", FILES_LIMIT_SECS, arguments))?.successful("dpkg-deb")?;
    Ok(output.stdout.lines().filter_map(listed_path).map(str::to_owned).collect())
}

/// `-rw-r--r-- root/root 12 2020-01-01 00:00 ./usr/bin/x`, for links followed by ` -> target` or ` link to ./other`.
pub(super) fn listed_path(line: &str) -> Option<&str> {
    let start = line.find(" ./").filter(|_| !line.starts_with('d'))? + " .".len();
    let path = line.get(start..)?;
    let end = [" -> ", " link to "].iter().filter_map(|mark| path.find(mark)).min().unwrap_or(path.len());
    path.get(..end)
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

#[cfg(test)]
mod tests {
    use super::listed_path;

    #[test]
    fn paths_are_read_from_a_listing_and_directories_left_out() {
        for (line, path) in [
            ("-rw-r--r-- root/root        12 2020-01-01 00:00 ./usr/share/a b", Some("/usr/share/a b")),
            ("lrwxrwxrwx root/root         0 2020-01-01 00:00 ./usr/bin/l -> ../lib/t", Some("/usr/bin/l")),
            ("hrw-r--r-- root/root         0 2020-01-01 00:00 ./usr/bin/h link to ./usr/bin/g", Some("/usr/bin/h")),
            ("drwxr-xr-x root/root         0 2020-01-01 00:00 ./usr/bin/", None),
            ("nonsense", None),
        ] {
            assert_eq!(listed_path(line), path, "{line}");
        }
    }
}

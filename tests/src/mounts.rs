//! Unmounting what is below a directory, before anything there is deleted.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// Unmounts everything mounted at or below `directory`, deepest first; what something still holds is detached.
///
/// # Errors
/// If anything is mounted there afterwards: deleting would then reach into it.
pub(crate) fn unmount_below(directory: &Path) -> Result<()> {
    for point in mounted_below(directory)? {
        let point = point.display().to_string();
        if command::run("umount", &[&point]).is_err() {
            command::run("umount", &["--lazy", &point])?;
        }
    }
    let left = mounted_below(directory)?;
    if !left.is_empty() {
        bail!("still mounted: {left:?}");
    }
    Ok(())
}

fn mounted_below(directory: &Path) -> Result<Vec<PathBuf>> {
    // The kernel lists real paths.
    let Ok(directory) = directory.canonicalize() else { return Ok(Vec::new()) };
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
    Ok(points_below(&mounts, &directory))
}

fn points_below(mountinfo: &str, directory: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(point.replace("\\040", " ")));
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    // Later mounts may lie on earlier ones.
    below.reverse();
    below.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_are_found_deepest_first_and_neighbours_are_not() {
        let text = "1 0 0:1 / /a/root rw - overlay o rw\n2 0 0:2 / /a/root/proc rw - proc p rw\n\
                    3 0 0:3 / /ab rw - tmpfs t rw\n4 0 0:4 / /a/with\\040space rw - tmpfs t rw\n";
        let found = points_below(text, Path::new("/a"));
        assert_eq!(found, [Path::new("/a/root/proc"), Path::new("/a/with space"), Path::new("/a/root")]);
    }
}

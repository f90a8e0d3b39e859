//! Room on the disks that patching needs.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::{Finding, Subject};

const MIB: u64 = 1024 * 1024;
/// Unpacking a usual set of updates (a libc, a Python, a TLS library with their backups) needs about so much below /var and /usr.
const SYSTEM_MIB: u64 = 512;
/// A kernel with its initrd takes 60 to 120 MB, and the old one stays beside it.
const BOOT_MIB: u64 = 150;

/// A place and what it needs.
struct Need {
    place: PathBuf,
    bytes: u64,
    what_for: &'static str,
}

pub(super) fn examine(subject: &Subject) -> Vec<Finding> {
    let mut needs = vec![Need {
        place: subject.state_dir().to_owned(),
        bytes: subject.settings.packages.keep_free_bytes,
        what_for: "staged files and originals",
    }];
    if subject.is_whole_machine() {
        let system = |path: &str, mebibytes: u64, what_for| Need { place: subject.machine.join(path), bytes: mebibytes * MIB, what_for };
        needs.push(system("var", SYSTEM_MIB, "the package database and downloads"));
        needs.push(system("usr", SYSTEM_MIB, "the packages' files"));
        needs.push(system("boot", BOOT_MIB, "another kernel"));
    }
    needs.iter().flat_map(look).collect()
}

fn look(need: &Need) -> Vec<Finding> {
    // A directory that is not there yet will be made on the disk of the nearest one above it.
    let Some(place) = need.place.ancestors().find(|path| path.exists()) else {
        return Vec::new();
    };
    let Ok(disk) = statvfs(place) else {
        return Vec::new();
    };
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    let mut findings: Vec<_> = judge(&need.place, free_bytes, need.bytes, need.what_for).into_iter().collect();
    // File systems without a fixed number of inodes tell 0.
    if disk.f_files > 0 && disk.f_favail.saturating_mul(100) < disk.f_files {
        let what = format!("less than 1 % of the file entries are free on the disk of {}", need.place.display());
        findings.push(Finding::error("disk", what, "remove directories full of small files; df -i shows where"));
    }
    findings
}

fn judge(place: &Path, free_bytes: u64, needed_bytes: u64, what_for: &str) -> Option<Finding> {
    let (free, needed) = (free_bytes / MIB, needed_bytes / MIB);
    let what = format!("{free} MiB are free on the disk of {}; {what_for} want {needed} MiB", place.display());
    if free_bytes < needed_bytes {
        Some(Finding::error("disk", what, "free some room: apt-get clean, journalctl --vacuum-size=100M, apt-get autoremove"))
    } else if free_bytes < needed_bytes.saturating_mul(2) {
        Some(Finding::warning("disk", what, "free some room before a larger update comes"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Severity;
    use super::*;

    #[test]
    fn too_little_room_is_an_error_and_just_enough_a_warning() {
        let judged = |free| judge(Path::new("/boot"), free * MIB, 150 * MIB, "another kernel").map(|finding| finding.severity);
        assert_eq!(
            [judged(149), judged(150), judged(299), judged(300)],
            [Some(Severity::Error), Some(Severity::Warning), Some(Severity::Warning), None]
        );
        let text = judge(Path::new("/boot"), 10 * MIB, 150 * MIB, "another kernel").unwrap().what;
        assert_eq!(text, "10 MiB are free on the disk of /boot; another kernel want 150 MiB");
    }
}

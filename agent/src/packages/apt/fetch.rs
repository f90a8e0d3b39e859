//! Downloads exact versions with apt's own transports into a directory of their own, and tells the ways of failing apart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use patchwave_common::domain::{NotStagedReason, PackageId};

use super::layout::Layout;
use super::query::apt_name;
use crate::packages::{NotStaged, PackageError, process, redact};

/// How long one download may take: a gigabyte at 300 KB/s. Beyond that the mirror is as good as unreachable.
const DOWNLOAD_LIMIT_SECS: u64 = 3600;

/// A directory that downloads go to, gone when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    /// Beside apt's own archives, since apt's unprivileged download user must reach it and reaches nothing of the agent's.
    pub(crate) fn new(layout: &Layout) -> Result<Self, PackageError> {
        let parent = layout.archives();
        std::fs::create_dir_all(&parent).map_err(PackageError::io("make", &parent))?;
        let permissions = std::fs::Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("patchwave-").permissions(permissions).tempdir_in(&parent);
        let directory = directory.map_err(PackageError::io("make a directory in", &parent))?;
        if let Some(user) = download_user(layout) {
            std::os::unix::fs::chown(directory.path(), Some(user), None).map_err(PackageError::io("set the owner of", directory.path()))?;
        }
        Ok(Self { directory })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where apt puts a version's file. The epoch's colon is escaped there.
    pub(crate) fn file(&self, name: &str, version: &str, architecture: &str) -> PathBuf {
        self.path().join(file_name(name, version, architecture))
    }
}

/// The name of a version's file in apt's archives.
pub(crate) fn file_name(name: &str, version: &str, architecture: &str) -> String {
    format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a"))
}

/// The user as which apt downloads on the machine's own root; `None` where apt downloads as whoever runs it.
fn download_user(layout: &Layout) -> Option<u32> {
    if !layout.is_machine() || !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.starts_with("_apt:"))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Downloads these versions. What could be had is in the directory even if this fails.
pub(crate) fn download(layout: &Layout, versions: &[(PackageId, String)], into: &Scratch) -> Result<(), NotStaged> {
    let mut arguments = vec!["-q".to_owned(), "download".to_owned()];
    arguments.extend(versions.iter().map(|(id, version)| format!("{}={version}", apt_name(id))));
    let command = layout.apt("apt-get", "download exact versions", DOWNLOAD_LIMIT_SECS, arguments);
    match process::run_in(&command, Some(into.path())) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let detail = output.failure("apt-get download").to_string();
            Err(NotStaged { reason: reason_of(&output.stderr), detail })
        }
        Err(error @ PackageError::Timeout { .. }) => Err(NotStaged { reason: NotStagedReason::Unreachable, detail: error.to_string() }),
        Err(error) => Err(not_staged(&error)),
    }
}

/// An error of the agent's own side while staging.
pub(crate) fn not_staged(error: &PackageError) -> NotStaged {
    let reason = match error {
        error if error.is_disk_full() => NotStagedReason::DiskFull,
        PackageError::LockHeld { .. } => NotStagedReason::LockHeld,
        PackageError::ToolFailed { detail, .. } | PackageError::BrokenSource { detail, .. } => match reason_of(detail) {
            NotStagedReason::Other => NotStagedReason::PackageManagerBroken,
            other => other,
        },
        PackageError::Io { .. } | PackageError::File(_) => NotStagedReason::Other,
        _ => NotStagedReason::PackageManagerBroken,
    };
    NotStaged { reason, detail: redact(&error.to_string()) }
}

/// What apt says when it fails, by what to do about it: the first group that matches wins, since a full disk or a refusing proxy makes
/// other complaints beside its own. Apt sets a status apart by two blanks, so that no number in a file's name is taken for one.
const COMPLAINTS: &[(NotStagedReason, &[&str])] = &[
    (NotStagedReason::DiskFull, &["No space left on device", "Disk quota exceeded", "don't have enough free space"]),
    (NotStagedReason::ProxyRefused, &[" 407  "]),
    (NotStagedReason::LockHeld, &["Could not get lock", "Unable to acquire the dpkg frontend lock", "Unable to lock"]),
    (NotStagedReason::HashMismatch, &["Hash Sum mismatch", "unexpected size"]),
    (NotStagedReason::Gone, &[" 404  ", " 410  ", "was not found", "Unable to locate package", "File not found", "Can't find a source"]),
    (
        NotStagedReason::Unreachable,
        &[
            "Could not connect",
            "Could not resolve",
            "Temporary failure resolving",
            "Cannot initiate the connection",
            "Unable to connect",
            "Connection failed",
            "Connection timed out",
            "Connection refused",
            "Connection reset",
            "Network is unreachable",
            "No route to host",
            "Error reading from server",
            "Connection closed",
            "Certificate verification failed",
            "Could not handshake",
            "SSL connection",
            "Something wicked happened",
            " 500  ",
            " 502  ",
            " 503  ",
            " 504  ",
            " 429  ",
        ],
    ),
    (NotStagedReason::PackageManagerBroken, &["dpkg was interrupted", "fix-broken", "list of sources could not be read"]),
];

pub(crate) fn reason_of(stderr: &str) -> NotStagedReason {
    let matching = COMPLAINTS.iter().find(|(_, signs)| signs.iter().any(|sign| stderr.contains(sign)));
    matching.map_or(NotStagedReason::Other, |(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_failing_are_told_apart() {
        let url = "E: Failed to fetch http://m/pool/x_404_all.deb ";
        for (said, reason) in [
            (" 404  Not Found [IP: 127.0.0.1 80]", NotStagedReason::Gone),
            (" 407  Proxy Authentication Required", NotStagedReason::ProxyRefused),
            (" Could not connect to m:80 (10.0.0.1). - connect (111: Connection refused)", NotStagedReason::Unreachable),
            (" Temporary failure resolving 'm'", NotStagedReason::Unreachable),
            (" 503  Service Unavailable", NotStagedReason::Unreachable),
            (" Hash Sum mismatch", NotStagedReason::HashMismatch),
            (" Error writing to file - write (28: No space left on device)", NotStagedReason::DiskFull),
            (" 401  Unauthorized", NotStagedReason::Other),
        ] {
            assert_eq!(reason_of(&format!("{url}{said}")), reason, "{said}");
        }
        assert_eq!(reason_of("E: Version '9' for 'web' was not found"), NotStagedReason::Gone);
    }

    #[test]
    fn a_file_is_named_as_apt_names_it() {
        assert_eq!(file_name("perl-base", "1:5.36~rc1+b1", "amd64"), "perl-base_1%3a5.36~rc1+b1_amd64.deb");
    }
}

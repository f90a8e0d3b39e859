//! The temporary folder that holds all of the demo, and what it needs of a file system.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rustix::fs::StatVfsMountFlags;

/// Begins the name of every folder of the demo.
const PREFIX: &str = "patchwave-demo-";
/// Room for thirteen state directories, twelve roots, the store and the copy of the program. Agents keep 16 MiB free beside it.
const NEEDED_MIB: u64 = 64;
/// Where folders are made if `TMPDIR` does not do.
const USUAL: [&str; 2] = ["/tmp", "/var/tmp"];

/// The folder that holds all of the demo; gone at the end.
pub(super) struct Place {
    path: PathBuf,
    /// `None` if it is somebody else's to remove.
    folder: Option<tempfile::TempDir>,
}

impl Place {
    /// A new folder; `for_others` if another user must be able to enter it.
    pub(super) fn make(for_others: bool) -> anyhow::Result<Self> {
        let parent = parent(for_others)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&parent);
        let folder = folder.with_context(|| format!("making a folder in {} (hint: TMPDIR names another place)", parent.display()))?;
        Ok(Self { path: folder.path().to_owned(), folder: Some(folder) })
    }

    /// A folder that somebody else made and will remove.
    pub(super) fn given(path: PathBuf) -> Self {
        Self { path, folder: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside, made if absent.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Removes it with everything inside.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        let path = self.path;
        self.folder.map_or(Ok(()), tempfile::TempDir::close).with_context(|| format!("removing {}", path.display()))
    }
}

/// The first directory for temporary files where programs may be run and that has room.
fn parent(for_others: bool) -> anyhow::Result<PathBuf> {
    let named = std::env::temp_dir();
    let mut why_not = Vec::new();
    for path in std::iter::once(named.as_path()).chain(USUAL.iter().map(Path::new).filter(|path| *path != named)) {
        match suits(path, for_others) {
            Ok(()) => return Ok(path.to_owned()),
            Err(reason) => why_not.push(format!("{}: {reason}", path.display())),
        }
    }
    ensure!(false, "no place for temporary files does (hint: TMPDIR names another one): {}", why_not.join("; "));
    Ok(named)
}

fn suits(path: &Path, for_others: bool) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let system = rustix::fs::statvfs(path)?;
    ensure!(!system.f_flag.contains(StatVfsMountFlags::NOEXEC), "programs may not be run from there (noexec)");
    let free_mib = system.f_bavail.saturating_mul(system.f_frsize) / (1024 * 1024);
    ensure!(free_mib >= NEEDED_MIB, "only {free_mib} MiB are free and the demo needs {NEEDED_MIB}");
    if for_others {
        for directory in path.canonicalize()?.ancestors() {
            let mode = std::fs::metadata(directory)?.permissions().mode();
            ensure!(mode & 0o001 != 0, "other users may not enter {}", directory.display());
        }
    }
    Ok(())
}

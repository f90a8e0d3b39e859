//! A host's root: an overlay whose lower layers are shared and read-only.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// A mounted overlay. Dropping it unmounts nothing; the slot's sweep does.
#[derive(Debug)]
pub(crate) struct Overlay {
    root: PathBuf,
    upper: PathBuf,
}

impl Overlay {
    /// Mounts `lower` (topmost first) at `directory/root`, writing to `directory/upper`.
    ///
    /// Volatile: the overlay ignores fsync, since dpkg syncs every file and a machine's power cut is not among the tests. What a killed or
    /// rebooted host has written survives all the same, in the page cache.
    pub(crate) fn mount(lower: &[PathBuf], directory: &Path) -> Result<Self> {
        let [root, upper, work] = ["root", "upper", "work"].map(|name| directory.join(name));
        for each in [&root, &upper, &work] {
            fs::create_dir_all(each).with_context(|| format!("cannot make {}", each.display()))?;
        }
        // The mode of a host's root directory is that of the upper one; the caller's umask must not reach it.
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755)).with_context(|| format!("cannot open {}", upper.display()))?;
        let lower: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
        if lower.iter().any(|path| path.contains([':', ',', '\\'])) {
            bail!("an overlay's lower directory may not have : , or \\ in its path: {lower:?} (hint: check the project out elsewhere)");
        }
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
        let target = root.display().to_string();
        let volatile = format!("{options},volatile");
        if command::run("mount", &["-t", "overlay", "overlay", "-o", &volatile, &target]).is_err() {
            command::run("mount", &["-t", "overlay", "overlay", "-o", &options, &target])
                .context("(hint: the file system below /var/lib must carry overlays; an overlay itself does not)")?;
        }
        Ok(Self { root, upper })
    }

    /// The merged root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What was written over the lower layers.
    pub(crate) fn upper(&self) -> &Path {
        &self.upper
    }

    pub(crate) fn unmount(&self) -> Result<()> {
        command::run("umount", &[&self.root.display().to_string()]).map(|_| ())
    }
}

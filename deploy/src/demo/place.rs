//! The temporary folder of the demo, and the user that it runs as.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;

/// `nobody` on every Debian machine.
const ORDINARY_USER: u32 = 65_534;

/// The folder that holds all of the demo; removed at the end unless it is to be kept.
pub(super) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) fn make(keep: bool) -> anyhow::Result<Self> {
        let mut folder = tempfile::Builder::new().prefix("patchwave-demo-").tempdir().context("making a temporary folder")?;
        folder.disable_cleanup(keep);
        Ok(Self { folder })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder inside, made if absent.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

/// As root, runs the demo again as an ordinary user and gives its exit status; otherwise nothing. The program is copied where that user
/// can read it, and a summary is written to a file that root opened.
pub(super) fn as_ordinary_user() -> anyhow::Result<Option<ExitCode>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    super::say("Started as root; going on as an ordinary user (nobody).");
    let folder = tempfile::Builder::new().prefix("patchwave-demo-program-").tempdir().context("making a temporary folder")?;
    let program = folder.path().join("patchwave-demo");
    let own = std::env::current_exe().context("finding this program")?;
    std::fs::copy(&own, &program).with_context(|| format!("copying {}", own.display()))?;
    for (path, mode) in [(folder.path(), 0o755), (program.as_path(), 0o755)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    // The ordinary user may not write where root was asked to: it writes into the folder, and root copies from there.
    let inner_summary = folder.path().join("summary.json");
    let file = std::fs::File::create(&inner_summary)?;
    std::os::unix::fs::fchown(&file, Some(ORDINARY_USER), Some(ORDINARY_USER))?;
    let (mut arguments, mut summary) = (Vec::new(), None);
    let mut given = std::env::args_os().skip(1);
    while let Some(argument) = given.next() {
        let text = argument.to_string_lossy().into_owned();
        if text == "--summary" {
            summary = given.next().map(PathBuf::from);
        } else if let Some(path) = text.strip_prefix("--summary=") {
            summary = Some(PathBuf::from(path));
        } else {
            arguments.push(argument);
        }
    }
    let mut command = Command::new(&program);
    command.args(arguments).uid(ORDINARY_USER).gid(ORDINARY_USER).current_dir("/").env("HOME", folder.path());
    for variable in ["XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR"] {
        command.env_remove(variable);
    }
    if summary.is_some() {
        command.arg("--summary").arg(&inner_summary);
    }
    let status = command.status().context("starting as an ordinary user")?;
    if let Some(path) = summary {
        std::fs::copy(&inner_summary, &path).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

//! The roots that hosts are overlays of, made once and cached: Debian as debootstrap makes it, and over it the archive's indexes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::archive::{Archive, RELEASE, Sites};
use crate::command::{self, finish};
use crate::overlay::Overlay;
use crate::slot::Slot;
use crate::{control_groups, mounts};

/// What a booted host needs beyond the minimal system. No needrestart: a minimal Debian has none.
const INCLUDED: &str = "systemd,systemd-sysv,dbus";

/// Raised when what [`make`] does changes, so that older caches are not used.
const RECIPE: u32 = 2;

/// Longest debootstrap; 32 s were measured with the machine to itself.
const DEBOOTSTRAP_LIMIT: Duration = Duration::from_secs(600);

/// How long a layer of indexes stays at least: longer than any fleet that may be using it.
const INDEXES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Apt on the hosts as on an ordinary system, without translations and index diffs, which only cost time.
const APT_CONFIGURATION: &str = "Acquire::Languages \"none\";\nAcquire::PDiffs \"false\";\n";

/// Where caches are: `PATCHWAVE_TESTS_CACHE`, or `tests/.cache` in the project.
pub(crate) fn cache() -> PathBuf {
    let chosen = std::env::var_os("PATCHWAVE_TESTS_CACHE").map(PathBuf::from);
    chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache"))
}

/// Who makes layers, and how it reaches the archive.
pub(crate) struct Maker<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) archive: &'a Archive,
    pub(crate) sites: &'a Sites,
    /// The archive proxy's address.
    pub(crate) proxy: &'a str,
}

impl Maker<'_> {
    /// A command in the slot's control group, so that it ends with a run that is killed.
    fn command(&self, limit: Duration, program: &str) -> Result<Command> {
        let mut command = control_groups::command_in(&format!("{}layers", self.slot.prefix()))?;
        command.args(["timeout", "--kill-after=5", &limit.as_secs().to_string(), program]);
        command.env("LC_ALL", "C").stdin(std::process::Stdio::null());
        Ok(command)
    }
}

/// The layers for a host's root, topmost first.
pub(crate) fn layers(cache: &Path, maker: &Maker<'_>) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).context("cannot make the cache's lock")?;
    lock.lock().context("cannot lock the cache")?;
    let base = cache.join(format!("base-{RELEASE}-{RECIPE}"));
    if !base.exists() {
        make(&base, maker)?;
    }
    let indexes = indexes(cache, &base, maker)?;
    Ok(vec![indexes, base])
}

/// Whether a base is there, so that hosts can boot without a network.
pub(crate) fn is_cached(cache: &Path) -> bool {
    cache.join(format!("base-{RELEASE}-{RECIPE}")).exists()
}

fn make(base: &Path, maker: &Maker<'_>) -> Result<()> {
    let partial = base.with_extension("partial");
    clear(&partial)?;
    // Over an empty directory, only since an overlay can ignore dpkg's many fsyncs.
    let empty = partial.join("empty");
    fs::create_dir_all(&empty).with_context(|| format!("cannot make {}", empty.display()))?;
    let overlay = Overlay::mount(&[empty], &partial)?;
    let made = bootstrap(overlay.root(), maker);
    overlay.unmount()?;
    made?;
    fs::rename(overlay.upper(), base).with_context(|| format!("cannot move {} into place", base.display()))?;
    clear(&partial)
}

fn bootstrap(root: &Path, maker: &Maker<'_>) -> Result<()> {
    let mut bootstrap = maker.command(DEBOOTSTRAP_LIMIT, "debootstrap")?;
    bootstrap.args(["--variant=minbase", &format!("--include={INCLUDED}"), RELEASE]).arg(root).arg(maker.sites.main_archive());
    finish(bootstrap.env("http_proxy", maker.proxy))?.into_stdout("debootstrap")?;
    // Each host makes its own identity at its first boot, as an image sealed for cloning does. D-Bus's copy goes too: systemd
    // takes it when its own is empty, and all hosts would be one.
    write(root, "etc/machine-id", "")?;
    remove_file(&root.join("var/lib/dbus/machine-id"))?;
    write(root, "etc/apt/apt.conf.d/90patchwave-tests", APT_CONFIGURATION)?;
    write(root, "etc/apt/sources.list", &(maker.sites.source_lines().join("\n") + "\n"))?;
    finish(maker.command(command::TOOL_LIMIT, "chroot")?.arg(root).args(["apt-get", "clean"]))?.into_stdout("apt-get clean").map(|_| ())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
            Err(failed).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A layer with apt's indexes as the archive has them now, so that not every host has to unpack them. Named after the
/// archive's state, and gone a day after it was made unless it is still the state then.
fn indexes(cache: &Path, base: &Path, maker: &Maker<'_>) -> Result<PathBuf> {
    let mut state = Sha256::new();
    for address in maker.sites.release_files() {
        let Ok(file) = maker.archive.file(&address) else {
            // No network: hosts then know no archive, and patches are built locally.
            let none = cache.join("indexes-none");
            fs::create_dir_all(&none)?;
            return Ok(none);
        };
        state.update(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let name: String = state.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let layer = cache.join(format!("indexes-{RECIPE}-{name}"));
    if layer.exists() {
        return Ok(layer);
    }
    remove_old_indexes(cache)?;
    let partial = cache.join("indexes.partial");
    clear(&partial)?;
    let overlay = Overlay::mount(&[base.to_owned()], &partial)?;
    let updated = update(overlay.root(), maker);
    overlay.unmount()?;
    updated.context("apt cannot read Debian's archive through the proxy")?;
    fs::rename(overlay.upper(), &layer).with_context(|| format!("cannot move {} into place", layer.display()))?;
    clear(&partial)?;
    Ok(layer)
}

fn update(root: &Path, maker: &Maker<'_>) -> Result<()> {
    let mut update = maker.command(command::TOOL_LIMIT, "chroot")?;
    update.arg(root).args([
        "apt-get",
        "-o",
        &format!("Acquire::http::Proxy={}", maker.proxy),
        "-o",
        "APT::Update::Error-Mode=any",
        "update",
    ]);
    finish(&mut update)?.into_stdout("apt-get update")?;
    let mut caches = maker.command(command::TOOL_LIMIT, "chroot")?;
    finish(caches.arg(root).args(["apt-cache", "gencaches"]))?.into_stdout("apt-cache gencaches").map(|_| ())
}

fn remove_old_indexes(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache).with_context(|| format!("cannot read {}", cache.display()))? {
        let entry = entry?;
        let old = entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > INDEXES_KEPT);
        if old && entry.file_name().to_string_lossy().starts_with("indexes-") {
            clear(&entry.path())?;
        }
    }
    Ok(())
}

fn write(root: &Path, path: &str, contents: &str) -> Result<()> {
    let path = root.join(path);
    fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes what a killed run may have left half-made. Unmounts first: debootstrap mounts /proc inside, and what is mounted is
/// not ours to delete.
fn clear(directory: &Path) -> Result<()> {
    mounts::unmount_below(directory)?;
    match fs::remove_dir_all(directory) {
        Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
            Err(failed).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

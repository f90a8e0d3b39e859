//! The roots that hosts are overlays of, made once and cached: Debian as debootstrap makes it, and over it the archive's indexes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::archive::{Archive, RELEASE, Sites};
use crate::command::{self, finish, limited};
use crate::overlay::Overlay;

/// What a booted host needs beyond the minimal system. No needrestart: a minimal Debian has none.
const INCLUDED: &str = "systemd,systemd-sysv,dbus";

/// Raised when what [`make`] does changes, so that older caches are not used.
const RECIPE: u32 = 1;

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

/// The layers for a host's root, topmost first. `proxy` is the archive proxy's address.
pub(crate) fn layers(cache: &Path, archive: &Archive, sites: &Sites, proxy: &str) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).context("cannot make the cache's lock")?;
    lock.lock().context("cannot lock the cache")?;
    let base = cache.join(format!("base-{RELEASE}-{RECIPE}"));
    if !base.exists() {
        make(&base, sites, proxy)?;
    }
    let indexes = indexes(cache, &base, archive, sites, proxy)?;
    Ok(vec![indexes, base])
}

/// Whether a base is there, so that hosts can boot without a network.
pub(crate) fn is_cached(cache: &Path) -> bool {
    cache.join(format!("base-{RELEASE}-{RECIPE}")).exists()
}

fn make(base: &Path, sites: &Sites, proxy: &str) -> Result<()> {
    let partial = base.with_extension("partial");
    clear(&partial)?;
    let mut bootstrap = limited(DEBOOTSTRAP_LIMIT, "debootstrap");
    bootstrap.args(["--variant=minbase", &format!("--include={INCLUDED}"), RELEASE]).arg(&partial).arg(sites.main_archive());
    finish(bootstrap.env("http_proxy", proxy).env("LC_ALL", "C"))?.into_stdout("debootstrap")?;
    // Each host makes its own identity at its first boot, as an image sealed for cloning does.
    write(&partial, "etc/machine-id", "")?;
    write(&partial, "etc/apt/apt.conf.d/90patchwave-tests", APT_CONFIGURATION)?;
    write(&partial, "etc/apt/sources.list", &(sites.source_lines().join("\n") + "\n"))?;
    clear(&partial.join("var/cache/apt/archives"))?;
    fs::create_dir_all(partial.join("var/cache/apt/archives/partial"))?;
    fs::rename(&partial, base).with_context(|| format!("cannot move {} into place", base.display()))
}

/// A layer with apt's indexes as the archive has them now, so that not every host has to unpack them. Named after the
/// archive's state, and gone a day after it was made unless it is still the state then.
fn indexes(cache: &Path, base: &Path, archive: &Archive, sites: &Sites, proxy: &str) -> Result<PathBuf> {
    let mut state = Sha256::new();
    for address in sites.release_files() {
        let Ok(file) = archive.file(&address) else {
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
    let root = overlay.root().display().to_string();
    let http_proxy = format!("Acquire::http::Proxy={proxy}");
    let updated = command::run("chroot", &[&root, "apt-get", "-o", &http_proxy, "-o", "APT::Update::Error-Mode=any", "update"])
        .and_then(|_| command::run("chroot", &[&root, "apt-cache", "gencaches"]));
    overlay.unmount()?;
    updated.context("apt cannot read Debian's archive through the proxy")?;
    fs::rename(overlay.upper(), &layer).with_context(|| format!("cannot move {} into place", layer.display()))?;
    clear(&partial)?;
    Ok(layer)
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

/// Removes what a killed run may have left half-made.
fn clear(directory: &Path) -> Result<()> {
    if directory.join("root").exists() {
        // The overlay of a killed run may still be mounted there.
        let _ = command::run("umount", &["--lazy", &directory.join("root").display().to_string()]);
    }
    match fs::remove_dir_all(directory) {
        Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
            Err(failed).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

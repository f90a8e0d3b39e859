//! What a simulated transaction does to files: dpkg's own rules for conffiles, in small.

use std::path::Path;

use patchwave_common::domain::{InstallState, Mark};

use super::state::{SimulatedInstalled, SimulatedPackage, SimulatedState};
use crate::packages::PackageError;
use crate::packages::receipt::{inside, remove};

/// Installs one version over whatever is there. Returns whether it could be configured.
pub(super) fn install(root: &Path, state: &mut SimulatedState, package: &SimulatedPackage, mark: Mark) -> Result<bool, PackageError> {
    let key = package.id.to_string();
    let before = state.installed.get(&key).cloned();
    let old = before.as_ref().map(|installed| &installed.package);
    if let Some(old) = old {
        for path in old.files.keys().filter(|path| !package.files.contains_key(*path)) {
            remove(&inside(root, path.as_ref()))?;
        }
    }
    for (path, contents) in &package.files {
        write(&inside(root, path.as_ref()), contents)?;
    }
    for (path, contents) in &package.conffiles {
        let shipped = old.and_then(|old| old.conffiles.get(path));
        put_conffile(&inside(root, path.as_ref()), contents, shipped)?;
    }
    let verb = match old {
        None => "install",
        Some(old) if old.version == package.version => "configure",
        Some(old) if old.version.compare(&package.version, patchwave_common::domain::Manager::Simulated).is_gt() => "downgrade",
        Some(_) => "upgrade",
    };
    state.history.push(format!("{verb} {key} {} {}", old.map_or("-", |old| old.version.as_str()), package.version));
    let configured = if package.broken { InstallState::Incomplete } else { InstallState::Installed };
    let mark = before.as_ref().map_or(mark, |installed| installed.mark);
    let held = before.is_some_and(|installed| installed.held);
    state.installed.insert(key, SimulatedInstalled { package: package.clone(), mark, held, state: configured });
    Ok(!package.broken)
}

/// Removes a package with its configuration.
pub(super) fn purge(root: &Path, state: &mut SimulatedState, key: &str) -> Result<(), PackageError> {
    let Some(installed) = state.installed.remove(key) else {
        return Ok(());
    };
    for path in installed.package.files.keys().chain(installed.package.conffiles.keys()) {
        remove(&inside(root, path.as_ref()))?;
    }
    state.history.push(format!("remove {key} {} -", installed.package.version));
    Ok(())
}

/// An administrator's edit or deletion stays; what the package brings then lies beside an edit, if it is new.
fn put_conffile(path: &Path, contents: &str, shipped: Option<&String>) -> Result<(), PackageError> {
    let present = std::fs::read_to_string(path).ok();
    match (present, shipped) {
        (None, Some(_)) => Ok(()),
        (Some(present), Some(shipped)) if present == *shipped => write(path, contents),
        (Some(_), Some(shipped)) if shipped == contents => Ok(()),
        (Some(present), _) if present == *contents => Ok(()),
        (Some(_), _) => {
            let mut beside = path.as_os_str().to_owned();
            beside.push(".dpkg-dist");
            write(Path::new(&beside), contents)
        }
        (None, None) => write(path, contents),
    }
}

fn write(path: &Path, contents: &str) -> Result<(), PackageError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(PackageError::io("make", parent))?;
    }
    std::fs::write(path, contents).map_err(PackageError::io("write", path))
}

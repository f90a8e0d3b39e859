//! Settings of the agent become settings of its parts.

use std::sync::Arc;

use patchwave_common::domain::Manager;

use crate::config::Settings;
use crate::packages::{self, PackageError, PackageManager, PackageSettings};
use crate::patching::{Isolation, PatchingSettings, Runner};

/// How the packages are reached.
#[must_use]
pub fn package_settings(settings: &Settings) -> PackageSettings {
    PackageSettings {
        root: settings.packages.root.clone(),
        state_dir: settings.state_dir.clone(),
        stage_limit_bytes: settings.packages.stage_limit_bytes,
        keep_free_bytes: settings.packages.keep_free_bytes,
    }
}

/// The package manager: the one that the configuration names, else dpkg. (It is the only real one so far; where its database is absent it
/// says so, since a host whose packages are unknown must not be reported as one without packages.)
#[must_use]
pub fn manager(settings: &Settings) -> Manager {
    settings.packages.manager.unwrap_or(Manager::Dpkg)
}

/// Opens the package manager.
///
/// # Errors
/// Its database cannot be read.
pub fn open_packages(settings: &Settings) -> Result<Arc<dyn PackageManager>, PackageError> {
    packages::open(manager(settings), &package_settings(settings))
}

/// What patching is told.
#[must_use]
pub fn patching_settings(settings: &Settings, runner: Runner) -> PatchingSettings {
    let sandbox = settings.packages.root.is_some() || manager(settings) == Manager::Simulated;
    PatchingSettings {
        state_dir: settings.state_dir.clone(),
        checks_dir: settings.checks_dir.clone(),
        root: settings.packages.root.clone(),
        manager: manager(settings),
        packages: package_settings(settings),
        runner,
        isolation: if sandbox { Isolation::Session } else { Isolation::Automatic },
        disk_bound_bytes: settings.packages.stage_limit_bytes,
        poll: PatchingSettings::POLL_DEFAULT,
    }
}

//! Debian's package manager: dpkg's database read directly, apt asked through its own programs.
//!
//! What apt decides (candidates, dependencies, pins) is asked of apt, never worked out here; what dpkg recorded is read from its files,
//! never asked of a process. Works on the machine's own root, and as an ordinary user on a root of its own ([`PackageSettings::root`]).

mod blocks;
mod candidates;
mod debfile;
mod fetch;
mod files;
mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod layout;
mod locks;
mod originals;
mod policy;
mod quarantine;
mod query;
mod refresh;
mod resolve;
mod shelf;
mod snapshot;
mod stage;
mod status;
mod takeover;
mod transaction;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{CandidateSet, Inventory, Manager, QuarantineKey, RebootRequired, TargetSet};

use self::layout::Layout;
use super::receipt;
use super::{
    Action, Difference, Fingerprint, LockState, NotStaged, PackageError, PackageManager, PackageSettings, Receipt, Refused, Simulation,
    StagedSet, Step, rules,
};

/// dpkg and apt on one root.
#[derive(Debug)]
pub struct Apt {
    layout: Layout,
    settings: PackageSettings,
    /// The inventory of the last reading, good while the mark is the same.
    last: Mutex<Option<(Fingerprint, Inventory)>>,
}

/// Opens dpkg and apt. Fails where the root has no dpkg database.
pub fn open(settings: &PackageSettings) -> Result<Arc<dyn PackageManager>, PackageError> {
    Ok(Arc::new(Apt::open(settings)?))
}

impl Apt {
    /// See [`open`].
    pub fn open(settings: &PackageSettings) -> Result<Self, PackageError> {
        let layout = Layout::new(settings)?;
        std::fs::metadata(layout.status()).map_err(PackageError::io("examine", layout.status()))?;
        Ok(Self { layout, settings: settings.clone(), last: Mutex::new(None) })
    }
}

impl PackageManager for Apt {
    fn manager(&self) -> Manager {
        Manager::Dpkg
    }

    fn fingerprint(&self) -> Result<Fingerprint, PackageError> {
        fingerprint::of_packages(&self.layout)
    }

    fn inventory(&self) -> Result<Inventory, PackageError> {
        let now = self.fingerprint()?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, inventory)) = last.as_ref().filter(|(fingerprint, _)| *fingerprint == now) {
            return Ok(inventory.clone());
        }
        let (inventory, fingerprint) = status::inventory_with_fingerprint(&self.layout)?;
        *last = Some((fingerprint, inventory.clone()));
        Ok(inventory)
    }

    fn candidates(&self) -> Result<CandidateSet, PackageError> {
        candidates::candidates(&self.layout)
    }

    fn refresh(&self) -> Result<(), PackageError> {
        refresh::refresh(&self.layout)
    }

    fn stage(&self, targets: &TargetSet, stage_dir: &Path) -> Result<StagedSet, NotStaged> {
        stage::stage(&self.layout, &self.settings, targets, stage_dir)
    }

    fn simulate(&self, staged: &StagedSet, rules: &TransactionRules) -> Result<Simulation, Refused> {
        transaction::simulate(&self.layout, staged, rules)
    }

    fn snapshot(&self, staged: &StagedSet, simulation: &Simulation, receipt_dir: &Path) -> Result<Receipt, PackageError> {
        snapshot::snapshot(&self.layout, staged, simulation, receipt_dir)
    }

    fn apply_steps(&self, staged: &StagedSet, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        transaction::apply_steps(&self.layout, staged, receipt, rules)
    }

    fn repair_steps(&self, rules: &TransactionRules) -> Vec<Step> {
        transaction::repair_steps(&self.layout, rules)
    }

    fn restore_steps(&self, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        let directory = receipt.directory.clone();
        let mut steps = vec![Step::Perform(Action::DeleteNewConffiles { receipt: directory.clone() })];
        steps.extend(transaction::return_steps(&self.layout, receipt, rules)?);
        steps.push(Step::Perform(Action::RestorePaths { receipt: directory }));
        steps.extend(transaction::return_marks(&self.layout, receipt));
        Ok(steps)
    }

    fn perform(&self, action: &Action) -> Result<(), PackageError> {
        match action {
            Action::DeleteNewConffiles { receipt } => snapshot::delete_new_conffiles(&self.layout, &receipt::required(receipt)?),
            Action::RestorePaths { receipt } => receipt::restore_paths(self.layout.root(), &receipt::required(receipt)?),
            Action::SimulatedApply { .. } | Action::SimulatedRestore { .. } => {
                Err(PackageError::NoSuchManager { manager: Manager::Simulated })
            }
        }
    }

    fn verify_targets(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        Ok(rules::unlike_targets(&status::inventory(&self.layout)?, receipt))
    }

    fn verify_receipt(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        snapshot::verify(&self.layout, receipt)
    }

    fn lock_state(&self) -> Result<LockState, PackageError> {
        locks::state(&self.layout)
    }

    fn set_quarantine(&self, keys: &[QuarantineKey]) -> Result<(), PackageError> {
        quarantine::set(&self.layout, keys)
    }

    fn other_hands(&self) -> Vec<String> {
        host::other_hands(&self.layout, self.inventory().ok().as_ref())
    }

    fn reboot_required(&self) -> RebootRequired {
        host::reboot_required(&self.layout)
    }

    fn watched_directories(&self) -> Vec<PathBuf> {
        let wanted = [self.layout.dpkg(), self.layout.updates(), self.layout.inside("var/lib/apt"), self.layout.lists()];
        wanted.into_iter().filter(|path| path.is_dir()).collect()
    }
}

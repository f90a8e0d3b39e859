//! The simulated package manager with gates in its transactions: a command that waits for a file, so that a test can stop the world there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_agent::packages::*;
use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{CandidateSet, Inventory, Manager, QuarantineKey, RebootRequired, TargetSet};

/// A place at which a transaction waits.
#[derive(Debug, Clone)]
pub struct Gate {
    directory: PathBuf,
    name: &'static str,
}

impl Gate {
    pub fn new(directory: &Path, name: &'static str) -> Self {
        Self { directory: directory.to_owned(), name }
    }

    pub fn is_reached(&self) -> bool {
        self.directory.join(format!("{}.reached", self.name)).exists()
    }

    pub fn open(&self) {
        std::fs::write(self.directory.join(format!("{}.open", self.name)), "").unwrap();
    }

    fn step(&self) -> Step {
        let script = self.directory.join("gate");
        if !script.exists() {
            std::fs::write(&script, "touch \"$1.reached\"; while [ ! -e \"$1.open\" ]; do sleep 0.01; done\n").unwrap();
        }
        Step::Run(CommandSpec {
            program: "/bin/sh".to_owned(),
            arguments: vec![script.display().to_string(), self.directory.join(self.name).display().to_string()],
            environment: std::collections::BTreeMap::new(),
            time_limit_secs: 60,
            purpose: format!("wait at the gate {}", self.name),
            may_fail: false,
        })
    }
}

/// Gates before and after what changes the packages.
#[derive(Debug)]
pub struct Gated {
    pub inner: Arc<dyn PackageManager>,
    pub before_apply: Option<Gate>,
    pub after_apply: Option<Gate>,
    pub before_restore: Option<Gate>,
    pub after_restore: Option<Gate>,
}

fn between(before: Option<&Gate>, mut steps: Vec<Step>, after: Option<&Gate>) -> Vec<Step> {
    if let Some(gate) = before {
        steps.insert(0, gate.step());
    }
    steps.extend(after.map(Gate::step));
    steps
}

impl PackageManager for Gated {
    fn manager(&self) -> Manager {
        self.inner.manager()
    }
    fn fingerprint(&self) -> Result<Fingerprint, PackageError> {
        self.inner.fingerprint()
    }
    fn inventory(&self) -> Result<Inventory, PackageError> {
        self.inner.inventory()
    }
    fn candidates(&self) -> Result<CandidateSet, PackageError> {
        self.inner.candidates()
    }
    fn refresh(&self) -> Result<(), PackageError> {
        self.inner.refresh()
    }
    fn stage(&self, targets: &TargetSet, stage_dir: &Path) -> Result<StagedSet, NotStaged> {
        self.inner.stage(targets, stage_dir)
    }
    fn simulate(&self, staged: &StagedSet, rules: &TransactionRules) -> Result<Simulation, Refused> {
        self.inner.simulate(staged, rules)
    }
    fn snapshot(&self, staged: &StagedSet, simulation: &Simulation, receipt_dir: &Path) -> Result<Receipt, PackageError> {
        self.inner.snapshot(staged, simulation, receipt_dir)
    }
    fn apply_steps(&self, staged: &StagedSet, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        let steps = self.inner.apply_steps(staged, receipt, rules)?;
        Ok(between(self.before_apply.as_ref(), steps, self.after_apply.as_ref()))
    }
    fn repair_steps(&self, rules: &TransactionRules) -> Vec<Step> {
        self.inner.repair_steps(rules)
    }
    fn restore_steps(&self, receipt: &Receipt, rules: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        let steps = self.inner.restore_steps(receipt, rules)?;
        Ok(between(self.before_restore.as_ref(), steps, self.after_restore.as_ref()))
    }
    fn perform(&self, action: &Action) -> Result<(), PackageError> {
        self.inner.perform(action)
    }
    fn verify_targets(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        self.inner.verify_targets(receipt)
    }
    fn verify_receipt(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        self.inner.verify_receipt(receipt)
    }
    fn lock_state(&self) -> Result<LockState, PackageError> {
        self.inner.lock_state()
    }
    fn set_quarantine(&self, keys: &[QuarantineKey]) -> Result<(), PackageError> {
        self.inner.set_quarantine(keys)
    }
    fn other_hands(&self) -> Vec<String> {
        self.inner.other_hands()
    }
    fn reboot_required(&self) -> RebootRequired {
        self.inner.reboot_required()
    }
    fn watched_directories(&self) -> Vec<PathBuf> {
        self.inner.watched_directories()
    }
}

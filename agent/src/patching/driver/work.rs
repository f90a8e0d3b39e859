//! What the machine asks for, done with the package manager. Everything here blocks and runs on threads of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{Generation, NotStagedReason, RefusalReason, StageRequest, StageResult, UnitName};

use crate::health;
use crate::packages::{
    CommandSpec, Fingerprint, LockState, NotStaged, PackageError, PackageManager, Receipt, Refused, Simulation, StagedSet, Step,
};
use crate::patching::machine::{
    Apply, Comparison, Examination, LeaseDeadline, NotBegun, Purpose, Refusal, TransactionName, TransactionOutcome,
};
use crate::patching::store::{Layout, Store};
use crate::patching::transaction::{Conditions, Following, Job, JobDirectory, Launcher};
use crate::patching::{PatchingSettings, tool};

/// How often a held lock is looked at.
const LOCK_INTERVAL: Duration = Duration::from_millis(500);
/// A restart of a unit that takes longer than systemd's own default start and stop limits together is stuck.
const RESTART_LIMIT_SECS: u64 = 200;
/// Units whose restart takes the host or its sessions down; they take a reboot.
const NEVER_RESTARTED: [&str; 5] =
    ["dbus.service", "dbus-broker.service", "systemd-logind.service", "patchwave-agent.service", "display-manager.service"];

/// What an examination found, kept until the transaction that it is for.
#[derive(Debug, Clone)]
struct Prepared {
    case: Generation,
    staged: StagedSet,
    simulation: Simulation,
    /// Of the package database when it was examined.
    fingerprint: Fingerprint,
    receipt: Option<Receipt>,
}

/// The package manager and where things lie.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) settings: PatchingSettings,
    pub(super) manager: Arc<dyn PackageManager>,
    pub(super) layout: Layout,
    pub(super) launcher: Launcher,
    /// Set when the driver ends: threads end too, transactions do not.
    pub(super) stop: Arc<AtomicBool>,
    /// Staging and cleaning the stage directory exclude each other.
    pub(super) stage_lock: Mutex<()>,
    prepared: Mutex<Option<Prepared>>,
}

impl Work {
    pub(super) fn new(settings: PatchingSettings, manager: Arc<dyn PackageManager>, launcher: Launcher) -> Self {
        let layout = Layout::new(&settings.directory());
        let stop = Arc::new(AtomicBool::new(false));
        Self { settings, manager, layout, launcher, stop, stage_lock: Mutex::new(()), prepared: Mutex::new(None) }
    }

    /// Waits for the lock, stages what is not staged, simulates.
    pub(super) fn examine(&self, apply: &Apply) -> Examination {
        let mut examination = Examination { other_hands: self.manager.other_hands(), ..Examination::default() };
        match self.prepare(apply) {
            Ok(prepared) => {
                let missing = prepared.staged.missing_originals.iter();
                examination.no_way_back = missing.map(|it| format!("{} {} ({})", it.id, it.version, it.detail)).collect();
                let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
                // An examination that ends late, for a directive that gave way, must not push out the present one's.
                if kept.as_ref().is_none_or(|kept| kept.case <= prepared.case) {
                    *kept = Some(prepared);
                }
            }
            Err(refusal) => examination.obstacle = Some(refusal),
        }
        examination
    }

    fn prepare(&self, apply: &Apply) -> Result<Prepared, Refusal> {
        let targets = &apply.order.targets;
        if targets.manager != self.manager.manager() {
            let detail = format!("this host has no package manager {}", targets.manager.as_str());
            return Err(Refusal::new(RefusalReason::UnsupportedFeature, detail));
        }
        self.wait_for_lock(apply.order.transaction.lock_wait)?;
        let staged = {
            let _staging = self.stage_lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.manager.stage(targets, &self.settings.stage_dir()).map_err(refusal_of_staging)?
        };
        let fingerprint = self.manager.fingerprint().map_err(|error| refusal_of(&error))?;
        let simulated = self.manager.simulate(&staged, &apply.order.transaction);
        let simulation = simulated.map_err(|Refused { reason, detail }| Refusal { reason, detail })?;
        Ok(Prepared { case: apply.generation, staged, simulation, fingerprint, receipt: None })
    }

    fn wait_for_lock(&self, longest: Duration) -> Result<(), Refusal> {
        let started = Instant::now();
        loop {
            let state = self.manager.lock_state().map_err(|error| refusal_of(&error))?;
            let LockState::Held { process, lock } = state else { return Ok(()) };
            if started.elapsed() >= longest || self.stop.load(Ordering::Relaxed) {
                let holder = process.map_or_else(String::new, |process| format!(" by process {process}"));
                let waited = patchwave_common::domain::show_duration(longest);
                let detail = format!("{} was held{holder} for {waited} (hint: let it finish, or see whether it hangs)", lock.display());
                return Err(Refusal::new(RefusalReason::LockHeld, detail));
            }
            tool::pause(LOCK_INTERVAL.min(longest.saturating_sub(started.elapsed())));
        }
    }

    fn take_prepared(&self, case: Generation) -> Option<Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|prepared| prepared.case == case)
    }

    /// Digests of staged files that a transaction at hand needs.
    pub(super) fn needed_digests(&self) -> Vec<patchwave_common::domain::Digest> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.as_ref().map_or_else(Vec::new, |prepared| prepared.staged.digests().collect())
    }

    /// Writes the receipt, and which of the packages' units are active.
    pub(super) fn write_receipt(&self, store: &Mutex<Store>, case: Generation) -> Result<(), Refusal> {
        let lost = || Refusal::new(RefusalReason::NotStaged, "the examination was lost; it will be made again");
        let mut prepared = self.take_prepared(case).ok_or_else(lost)?;
        let directory = self.layout.receipt_directory(case);
        let receipt = self.manager.snapshot(&prepared.staged, &prepared.simulation, &directory).map_err(|error| refusal_of(&error))?;
        let active = if self.settings.root.is_none() { health::active_of(&receipt.units) } else { Vec::new() };
        let saved = store.lock().unwrap_or_else(PoisonError::into_inner).save_active_units(case, &active);
        saved.map_err(|error| Refusal::new(RefusalReason::DiskFull, error.to_string()))?;
        prepared.receipt = Some(receipt);
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| kept.case <= case) {
            *kept = Some(prepared);
        }
        Ok(())
    }

    /// Whether the host still is as it was examined, and the lock is free.
    pub(super) fn confirm(&self, case: Generation) -> Result<(), String> {
        let prepared = self.take_prepared(case).ok_or("the examination was lost")?;
        let receipt = prepared.receipt.ok_or("there is no receipt")?;
        let text = |error: PackageError| error.to_string();
        if let LockState::Held { lock, .. } = self.manager.lock_state().map_err(text)? {
            return Err(format!("{} is held", lock.display()));
        }
        if self.manager.fingerprint().map_err(text)? != prepared.fingerprint {
            return Err("packages were changed".to_owned());
        }
        match self.manager.verify_receipt(&receipt).map_err(text)?.first() {
            Some(difference) => Err(difference.to_string()),
            None => Ok(()),
        }
    }

    /// How the host stands to target and receipt. What cannot be compared counts as differing from both.
    pub(super) fn compare(&self, case: Generation) -> Comparison {
        let unknown = |why: String| Comparison { target: vec![why.clone()], receipt: vec![why] };
        let receipt = match Receipt::load(&self.layout.receipt_directory(case)) {
            Ok(Some(receipt)) => receipt,
            Ok(None) => return unknown(format!("the receipt in {} is gone", self.layout.receipt_directory(case).display())),
            Err(error) => return unknown(error.to_string()),
        };
        let list = |result: Result<Vec<crate::packages::Difference>, PackageError>| match result {
            Ok(differences) => differences.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        Comparison { target: list(self.manager.verify_targets(&receipt)), receipt: list(self.manager.verify_receipt(&receipt)) }
    }

    /// Starts a transaction and follows it to its end; `None` where the driver ended first.
    pub(super) fn transact(
        &self,
        store: &Mutex<Store>,
        transaction: TransactionName,
        apply: &Apply,
        lease: Option<LeaseDeadline>,
        claimed: impl FnMut(),
    ) -> Option<TransactionOutcome> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let started = self.job(store, transaction, apply, lease).and_then(|job| self.launcher.start(self.job_directory(transaction), &job));
        let detail = match started {
            Ok(following) => return following.wait(&self.stop, claimed),
            Err(detail) => detail,
        };
        // A start that failed may have started something all the same; calling it off decides.
        let directory = self.job_directory(transaction);
        match directory.cancel() {
            Ok(false) if directory.is_claimed() => self.attach(transaction, apply, claimed),
            Ok(_) => Some(TransactionOutcome::NotBegun { why: NotBegun::CouldNotStart, detail }),
            Err(error) => Some(TransactionOutcome::Interrupted { detail: format!("{detail}; {error}") }),
        }
    }

    /// Finds a transaction that an earlier run may have started.
    pub(super) fn attach(&self, transaction: TransactionName, apply: &Apply, claimed: impl FnMut()) -> Option<TransactionOutcome> {
        let limit = apply.order.transaction.time_limit;
        let following: Following = self.launcher.attach(self.job_directory(transaction), transaction, limit);
        following.wait(&self.stop, claimed)
    }

    fn job_directory(&self, transaction: TransactionName) -> JobDirectory {
        JobDirectory::new(&self.layout.transaction_directory(&transaction))
    }

    fn job(&self, store: &Mutex<Store>, transaction: TransactionName, apply: &Apply, lease: Option<LeaseDeadline>) -> Result<Job, String> {
        let conditions = lease.map(|lease| Conditions { lease, hold_in: self.settings.state_dir.clone() });
        let mut job = Job::new(transaction, conditions, self.settings.manager, self.settings.packages.clone());
        job.time_limit_secs = apply.order.transaction.time_limit.as_secs().max(1);
        job.steps = self.steps(store, transaction, &apply.order.transaction).map_err(|error| error.to_string())?;
        Ok(job)
    }

    fn steps(&self, store: &Mutex<Store>, transaction: TransactionName, rules: &TransactionRules) -> Result<Vec<Step>, StepsError> {
        let case = transaction.case;
        let load =
            || Receipt::load(&self.layout.receipt_directory(case))?.ok_or(StepsError::NoReceipt(self.layout.receipt_directory(case)));
        match transaction.purpose {
            Purpose::Apply => {
                let prepared = self.take_prepared(case).ok_or(StepsError::NothingPrepared)?;
                Ok(self.manager.apply_steps(&prepared.staged, &load()?, rules)?)
            }
            Purpose::Repair => Ok(self.manager.repair_steps(rules)),
            Purpose::TakeBack => {
                let mut steps = self.manager.restore_steps(&load()?, rules)?;
                let active = store.lock().unwrap_or_else(PoisonError::into_inner).active_units(case).unwrap_or_default();
                if self.settings.root.is_none() {
                    steps.extend(restart_steps(&active));
                }
                Ok(steps)
            }
        }
    }

    /// Downloads ahead.
    pub(super) fn stage(&self, request: &StageRequest) -> (StageResult, Option<StagedSet>) {
        let _staging = self.stage_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if request.targets.manager != self.manager.manager() {
            let detail = format!("this host has no package manager {}", request.targets.manager.as_str());
            return (StageResult::NotStaged { reason: NotStagedReason::Other, detail }, None);
        }
        match self.manager.stage(&request.targets, &self.settings.stage_dir()) {
            Ok(staged) => (StageResult::Staged { bytes: staged.bytes(), way_back: staged.way_back() }, Some(staged)),
            Err(NotStaged { reason, detail }) => (StageResult::NotStaged { reason, detail }, None),
        }
    }
}

/// Why a transaction's steps cannot be told.
#[derive(Debug, thiserror::Error)]
enum StepsError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("there is no receipt in {}", .0.display())]
    NoReceipt(PathBuf),
    #[error("the examination was lost")]
    NothingPrepared,
}

fn refusal_of(error: &PackageError) -> Refusal {
    let reason = match error {
        error if error.is_disk_full() => RefusalReason::DiskFull,
        PackageError::LockHeld { .. } => RefusalReason::LockHeld,
        _ => RefusalReason::PackageManagerBroken,
    };
    Refusal::new(reason, error.to_string())
}

fn refusal_of_staging(NotStaged { reason, detail }: NotStaged) -> Refusal {
    let reason = match reason {
        NotStagedReason::Gone => RefusalReason::Superseded,
        NotStagedReason::DiskFull => RefusalReason::DiskFull,
        NotStagedReason::PackageManagerBroken => RefusalReason::PackageManagerBroken,
        NotStagedReason::LockHeld => RefusalReason::LockHeld,
        NotStagedReason::Quarantined => RefusalReason::Quarantined,
        _ => RefusalReason::NotStaged,
    };
    Refusal { reason, detail }
}

/// Units that were active before start again: with what the take-back put in their place they may run the wrong configuration, or have
/// failed. A restart that fails does not end the take-back; the checks afterwards tell.
fn restart_steps(active: &[UnitName]) -> Vec<Step> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Vec::new();
    }
    let systemctl = |arguments: Vec<String>, purpose: String| {
        Step::Run(CommandSpec {
            program: "systemctl".to_owned(),
            arguments,
            environment: BTreeMap::new(),
            time_limit_secs: RESTART_LIMIT_SECS,
            purpose,
            may_fail: true,
        })
    };
    let mut steps = vec![systemctl(vec!["daemon-reload".to_owned()], "read the units again".to_owned())];
    for unit in active.iter().filter(|unit| !NEVER_RESTARTED.contains(&unit.as_str())) {
        let on = |verb: &str| vec![verb.to_owned(), "--".to_owned(), unit.to_string()];
        steps.push(systemctl(on("reset-failed"), format!("forget that {unit} failed")));
        steps.push(systemctl(on("restart"), format!("restart {unit}")));
    }
    steps
}

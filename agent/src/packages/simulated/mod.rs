//! The simulated package manager: for tests, and for the demo where there is no apt.
//!
//! It keeps its packages in one JSON file and real files below its root, treats conffiles, marks, holds, pins and dependencies as
//! dpkg and apt do in small, and passes the same contract suite. Its transactions are [`Action`]s, since it has no program to run.

mod files;
mod state;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{
    Blocked, Candidate, CandidateSet, Digest, DigestBuilder, Inventory, Manager, Mark, NotStagedReason, PackageId, PackageVersion,
    QuarantineKey, RebootRequired, RefusalReason, TargetSet, UnitName,
};
use patchwave_common::runtime::atomic_file;

pub use state::{SimulatedInstalled, SimulatedPackage, SimulatedState};

use self::state::StateFile;
use super::receipt::{self, Findings, Found};
use super::{
    Action, Change, ChangeKind, Difference, Fingerprint, LockState, MissingOriginal, NotStaged, PackageError, PackageManager,
    PackageSettings, PackagedFile, Receipt, Refused, Simulation, StagedFile, StagedSet, Step, rules,
};

/// Bound on one simulated package's file.
const PACKAGE_MAX_BYTES: u64 = 1024 * 1024;

/// A simulated host's package manager.
#[derive(Debug)]
pub struct Simulated {
    root: PathBuf,
    file: StateFile,
}

/// Opens the simulated package manager below the root of the settings, or below the state directory where they name none.
pub fn open(settings: &PackageSettings) -> Result<Arc<dyn PackageManager>, PackageError> {
    Ok(Arc::new(Simulated::open(&settings.root.clone().unwrap_or_else(|| settings.state_dir.join("simulated")))?))
}

impl Simulated {
    /// Opens a simulated host; an empty one where the directory is new.
    pub fn open(root: &Path) -> Result<Self, PackageError> {
        Ok(Self { root: root.to_owned(), file: StateFile::open(root)? })
    }

    /// The root of its files.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Changes the host as its world would: archive, holds, faults. Not part of the trait.
    pub fn change<T>(&self, change: impl FnOnce(&mut SimulatedState) -> T) -> Result<T, PackageError> {
        self.file.change(change)
    }

    /// The present state.
    pub fn state(&self) -> Result<SimulatedState, PackageError> {
        self.file.read()
    }

    /// Installs a package with its files at once, as the host's past.
    pub fn install(&self, package: &SimulatedPackage, mark: Mark) -> Result<(), PackageError> {
        self.change(|state| files::install(&self.root, state, package, mark).map(|_| ()))?
    }

    fn resolve(state: &SimulatedState, wanted: &[(PackageId, PackageVersion)], known: &[SimulatedPackage]) -> Result<Vec<Change>, Refused> {
        let mut changes: Vec<Change> = Vec::new();
        let mut queue: Vec<SimulatedPackage> = Vec::new();
        for (id, version) in wanted {
            queue.push(
                find(known, id, version).ok_or_else(|| {
                    rules::refuse(RefusalReason::Superseded, format!("{id} {version} is neither staged nor in the archive"))
                })?,
            );
        }
        while let Some(package) = queue.pop() {
            if changes.iter().any(|change| change.id == package.id) {
                continue;
            }
            changes.push(change_to(state, &package));
            for dependency in &package.depends {
                let present = state.installed.values().any(|installed| installed.package.id.name == *dependency);
                let planned =
                    changes.iter().any(|change| change.id.name == *dependency) || queue.iter().any(|it| it.id.name == *dependency);
                if present || planned {
                    continue;
                }
                let offered = known.iter().filter(|offer| offer.id.name == *dependency);
                let best = offered.max_by(|left, right| left.version.compare(&right.version, Manager::Simulated));
                queue.push(best.cloned().ok_or_else(|| {
                    let detail = format!("{} needs {dependency}, which the archive does not have", package.id);
                    rules::refuse(RefusalReason::WouldChangeOthers, detail)
                })?);
            }
            let conflicting = state.installed.values().filter(|installed| package.conflicts.contains(&installed.package.id.name));
            changes.extend(conflicting.map(|installed| Change {
                id: installed.package.id.clone(),
                kind: ChangeKind::Remove,
                from: Some(installed.package.version.clone()),
                to: None,
                mark: Some(installed.mark),
            }));
        }
        Ok(changes)
    }

    fn staged_packages(staged: &StagedSet) -> Result<Vec<SimulatedPackage>, PackageError> {
        staged.files.iter().map(|file| read_package(file, &staged.directory)).collect()
    }

    fn apply(&self, staged: &StagedSet, receipt: &Receipt) -> Result<(), PackageError> {
        let packages = Self::staged_packages(staged)?;
        self.change(|state| {
            let removed = receipt.packages.iter().map(|record| record.package.id.to_string());
            let gone = removed.filter(|key| packages.iter().any(|package| conflicts(state, package, key)));
            for key in gone.collect::<Vec<_>>() {
                files::purge(&self.root, state, &key)?;
            }
            let mut done = 0;
            let mut failed = Vec::new();
            for package in &packages {
                let at = state.installed.get(&package.id.to_string());
                if at.is_some_and(|installed| installed.package == *package && installed.state != incomplete()) {
                    continue;
                }
                if state.interrupt_after == Some(done) {
                    state.interrupt_after = None;
                    return Err(tool_failed("interrupted"));
                }
                if !files::install(&self.root, state, package, Mark::Auto)? {
                    failed.push(package.id.to_string());
                }
                done += 1;
            }
            if failed.is_empty() { Ok(()) } else { Err(tool_failed(&format!("cannot configure {}", rules::names(failed)))) }
        })?
    }

    fn restore(&self, receipt: &Receipt) -> Result<(), PackageError> {
        self.change(|state| {
            for record in &receipt.packages {
                let super::Original::Kept(file) = &record.original else {
                    continue;
                };
                let package = read_package(file, &receipt.originals_directory())?;
                let at = state.installed.get(&package.id.to_string());
                if at.is_none_or(|installed| installed.package != package || installed.state == incomplete()) {
                    files::install(&self.root, state, &package, record.package.mark)?;
                }
                if let Some(installed) = state.installed.get_mut(&package.id.to_string()) {
                    installed.mark = record.package.mark;
                    installed.held = record.package.held;
                }
            }
            receipt.additions.iter().try_for_each(|addition| files::purge(&self.root, state, &addition.id.to_string()))
        })?
    }

    fn packaged(&self, package: &SimulatedPackage) -> Vec<PackagedFile> {
        let content = |path: &String| match std::fs::read(receipt::inside(&self.root, path.as_ref())) {
            Ok(bytes) => format!("sha256:{}", Digest::of(&bytes)),
            Err(_) => "absent".to_owned(),
        };
        package.files.keys().map(|path| PackagedFile { path: path.clone(), content: content(path) }).collect()
    }
}

fn incomplete() -> patchwave_common::domain::InstallState {
    patchwave_common::domain::InstallState::Incomplete
}

fn tool_failed(detail: &str) -> PackageError {
    PackageError::ToolFailed { tool: "simulated".to_owned(), status: "exit status: 100".to_owned(), detail: detail.to_owned() }
}

fn conflicts(state: &SimulatedState, package: &SimulatedPackage, key: &str) -> bool {
    state.installed.get(key).is_some_and(|installed| package.conflicts.contains(&installed.package.id.name))
}

fn find(known: &[SimulatedPackage], id: &PackageId, version: &PackageVersion) -> Option<SimulatedPackage> {
    known.iter().find(|package| package.id == *id && package.version == *version).cloned()
}

fn change_to(state: &SimulatedState, package: &SimulatedPackage) -> Change {
    let installed = state.installed.get(&package.id.to_string());
    let from = installed.map(|installed| installed.package.version.clone());
    let order = from.as_ref().map(|from| from.compare(&package.version, Manager::Simulated));
    let kind = match order {
        None => ChangeKind::Install,
        Some(std::cmp::Ordering::Less) => ChangeKind::Upgrade,
        Some(std::cmp::Ordering::Equal) => ChangeKind::Configure,
        Some(std::cmp::Ordering::Greater) => ChangeKind::Downgrade,
    };
    Change { id: package.id.clone(), kind, from, to: Some(package.version.clone()), mark: installed.map(|installed| installed.mark) }
}

fn read_package(file: &StagedFile, directory: &Path) -> Result<SimulatedPackage, PackageError> {
    let path = file.path(directory);
    let bytes = atomic_file::read_bounded(&path, PACKAGE_MAX_BYTES)?;
    let damaged = |detail: String| PackageError::Damaged { path: path.clone(), detail, hint: "delete it and stage again" };
    if Digest::of(&bytes) != file.sha256 {
        return Err(damaged("its bytes do not have the digest in its name".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}

/// The bytes of a simulated package's file; its hash is their digest.
fn bytes_of(package: &SimulatedPackage) -> Vec<u8> {
    serde_json::to_vec(package).unwrap_or_default()
}

fn write_package(package: &SimulatedPackage, directory: &Path) -> Result<StagedFile, PackageError> {
    let bytes = bytes_of(package);
    let file =
        StagedFile { id: package.id.clone(), version: package.version.clone(), sha256: Digest::of(&bytes), size_bytes: bytes.len() as u64 };
    if !file.path(directory).exists() {
        atomic_file::write(&file.path(directory), &bytes, atomic_file::MODE_SECRET)?;
    }
    Ok(file)
}

impl PackageManager for Simulated {
    fn manager(&self) -> Manager {
        Manager::Simulated
    }

    fn fingerprint(&self) -> Result<Fingerprint, PackageError> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(&self.file.path).map_err(PackageError::io("examine", &self.file.path))?;
        let mut builder = DigestBuilder::default();
        for number in [metadata.ino(), metadata.size(), metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()] {
            builder.field(&number.to_be_bytes());
        }
        Ok(Fingerprint(builder.finish()))
    }

    fn inventory(&self) -> Result<Inventory, PackageError> {
        Ok(self.state()?.inventory())
    }

    fn candidates(&self) -> Result<CandidateSet, PackageError> {
        let state = self.state()?;
        let candidates = state.installed.values().filter_map(|installed| {
            let offer = state.offers(&installed.package.id).pop().cloned()?;
            let newer = offer.version.compare(&installed.package.version, Manager::Simulated).is_gt();
            let pinned = state.pinned.contains(&(offer.id.name.clone(), offer.version.clone())) || state.is_quarantined(&offer);
            let bytes = bytes_of(&offer);
            newer.then(|| Candidate {
                from: installed.package.version.clone(),
                source_version: offer.version.clone(),
                sha256: Some(Digest::of(&bytes)),
                size_bytes: bytes.len() as u64,
                blocked: if installed.held { Some(Blocked::Held) } else { pinned.then_some(Blocked::Pinned) },
                id: offer.id,
                to: offer.version,
                source: offer.source,
                origin: offer.origin,
            })
        });
        Ok(CandidateSet::new(candidates.collect()))
    }

    fn refresh(&self) -> Result<(), PackageError> {
        self.change(|state| {
            if let Some(detail) = &state.broken_source {
                return Err(PackageError::BrokenSource {
                    name: "simulated".to_owned(),
                    detail: super::redact(detail),
                    hint: "mend the simulated archive",
                });
            }
            if let Some(next) = state.next_archive.take() {
                state.archive = next;
            }
            Ok(())
        })?
    }

    fn stage(&self, targets: &TargetSet, stage_dir: &Path) -> Result<StagedSet, NotStaged> {
        let broken = |error: PackageError| NotStaged { reason: NotStagedReason::PackageManagerBroken, detail: error.to_string() };
        let state = self.state().map_err(broken)?;
        if let Some(reason) = state.stage_fault {
            return Err(NotStaged { reason, detail: "the simulated archive fails this way".to_owned() });
        }
        atomic_file::private_directory(stage_dir).map_err(|error| broken(error.into()))?;
        let at = |id: &PackageId| state.installed.get(&id.to_string()).map(|installed| &installed.package.version);
        let wanted: Vec<_> = targets.targets.iter().filter(|target| at(&target.id) != Some(&target.to)).collect();
        let mut staged = StagedSet {
            targets: targets.clone(),
            directory: stage_dir.to_owned(),
            files: vec![],
            originals: vec![],
            missing_originals: vec![],
        };
        let gone = |detail: String| NotStaged { reason: NotStagedReason::Gone, detail };
        let pairs: Vec<_> = wanted.iter().map(|target| (target.id.clone(), target.to.clone())).collect();
        for change in Self::resolve(&state, &pairs, &state.archive).map_err(|refused| gone(refused.detail))? {
            if let Some(package) = change.to.as_ref().and_then(|to| find(&state.archive, &change.id, to)) {
                if state.is_quarantined(&package) {
                    let detail = format!("{} {} is in quarantine", package.id, package.version);
                    return Err(NotStaged { reason: NotStagedReason::Quarantined, detail });
                }
                let file = write_package(&package, stage_dir).map_err(broken)?;
                let planned = wanted.iter().find(|target| target.id == file.id).and_then(|target| target.sha256);
                if planned.is_some_and(|planned| planned != file.sha256) {
                    let detail = format!("{} {} does not have the plan's hash", file.id, file.version);
                    return Err(NotStaged { reason: NotStagedReason::HashMismatch, detail });
                }
                staged.files.push(file);
            }
            let Some(from) = change.from.filter(|_| change.kind != ChangeKind::Configure) else {
                continue;
            };
            match find(&state.archive, &change.id, &from) {
                Some(original) => staged.originals.push(write_package(&original, stage_dir).map_err(broken)?),
                None => {
                    let detail = "it left the archive".to_owned();
                    staged.missing_originals.push(MissingOriginal { id: change.id, version: from, detail });
                }
            }
        }
        staged.files.sort();
        staged.originals.sort();
        Ok(staged)
    }

    fn simulate(&self, staged: &StagedSet, transaction: &TransactionRules) -> Result<Simulation, Refused> {
        let broken = |error: PackageError| rules::refuse(RefusalReason::PackageManagerBroken, error.to_string());
        let state = self.state().map_err(broken)?;
        let pending = rules::pending(&state.inventory(), &staged.targets)?;
        for target in &pending {
            if state.pinned.contains(&(target.id.name.clone(), target.to.clone())) {
                let detail = format!("{} {} is pinned away on this host", target.id, target.to);
                return Err(rules::refuse(RefusalReason::PackagePinned, detail));
            }
            if state.quarantined.iter().any(|key| key.source == target.source && key.version == target.to) {
                return Err(rules::refuse(RefusalReason::Quarantined, format!("{} {} is in quarantine", target.id, target.to)));
            }
        }
        let known = Self::staged_packages(staged).map_err(|error| rules::refuse(RefusalReason::NotStaged, error.to_string()))?;
        let pairs: Vec<_> = pending.iter().map(|target| (target.id.clone(), target.to.clone())).collect();
        rules::judge(Self::resolve(&state, &pairs, &known)?, &staged.targets, transaction)
    }

    fn snapshot(&self, staged: &StagedSet, simulation: &Simulation, receipt_dir: &Path) -> Result<Receipt, PackageError> {
        let state = self.state()?;
        let inventory = state.inventory();
        let mut findings = Findings::default();
        for change in &simulation.changes {
            let (Some(installed), Some(package)) = (state.installed.get(&change.id.to_string()), inventory.get(&change.id)) else {
                continue;
            };
            findings.units.extend(installed.package.units.iter().filter_map(|unit| UnitName::parse(unit).ok()));
            findings.packages.push(Found {
                package: package.clone(),
                conffile_records: installed.package.conffiles.keys().cloned().collect(),
                conffiles: installed.package.conffiles.keys().map(PathBuf::from).collect(),
                files: self.packaged(&installed.package),
                changed_files: Vec::new(),
            });
        }
        for package in Self::staged_packages(staged)? {
            findings.staged_conffiles.extend(package.conffiles.keys().map(PathBuf::from));
        }
        receipt::write(&self.root, staged, simulation, findings, receipt_dir)
    }

    fn apply_steps(&self, staged: &StagedSet, receipt: &Receipt, _: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        Ok(vec![Step::Perform(Action::SimulatedApply { receipt: receipt.directory.clone(), staged: Box::new(staged.clone()) })])
    }

    fn repair_steps(&self, _: &TransactionRules) -> Vec<Step> {
        Vec::new()
    }

    fn restore_steps(&self, receipt: &Receipt, _: &TransactionRules) -> Result<Vec<Step>, PackageError> {
        let receipt = receipt.directory.clone();
        Ok(vec![
            Step::Perform(Action::DeleteNewConffiles { receipt: receipt.clone() }),
            Step::Perform(Action::SimulatedRestore { receipt: receipt.clone() }),
            Step::Perform(Action::RestorePaths { receipt }),
        ])
    }

    fn perform(&self, action: &Action) -> Result<(), PackageError> {
        match action {
            Action::DeleteNewConffiles { receipt } => {
                receipt::delete_new_conffiles(&self.root, &receipt::required(receipt)?, |saved| saved.state == super::PathState::Absent)
            }
            Action::RestorePaths { receipt } => receipt::restore_paths(&self.root, &receipt::required(receipt)?),
            Action::SimulatedApply { receipt, staged } => self.apply(staged, &receipt::required(receipt)?),
            Action::SimulatedRestore { receipt } => self.restore(&receipt::required(receipt)?),
        }
    }

    fn verify_targets(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        Ok(rules::unlike_targets(&self.inventory()?, receipt))
    }

    fn verify_receipt(&self, receipt: &Receipt) -> Result<Vec<Difference>, PackageError> {
        let state = self.state()?;
        let mut differences = rules::unlike_receipt(&state.inventory(), receipt);
        differences.extend(receipt::unlike_paths(&self.root, receipt)?);
        for record in &receipt.packages {
            let now = state.installed.get(&record.package.id.to_string()).map(|installed| self.packaged(&installed.package));
            differences.extend(rules::unlike_files(&record.files, &now.unwrap_or_default()));
        }
        Ok(differences)
    }

    fn lock_state(&self) -> Result<LockState, PackageError> {
        let held = LockState::Held { process: None, lock: self.file.path.clone() };
        Ok(if self.state()?.locked { held } else { LockState::Free })
    }

    fn set_quarantine(&self, keys: &[QuarantineKey]) -> Result<(), PackageError> {
        self.change(|state| state.quarantined = keys.to_vec())
    }

    fn other_hands(&self) -> Vec<String> {
        self.state().map(|state| state.other_hands).unwrap_or_default()
    }

    fn reboot_required(&self) -> RebootRequired {
        self.state().map(|state| state.reboot).unwrap_or_default()
    }

    fn watched_directories(&self) -> Vec<PathBuf> {
        vec![self.root.clone()]
    }
}

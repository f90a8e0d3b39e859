//! A transaction of exactly the staged files: how apt is told, what it would do, and the steps that carry it out.
//!
//! The sources are switched off in it. Otherwise apt prefers an archive's copy over the same version given as a file and downloads it
//! in the middle of the transaction (measured with apt 2.6.1), and a dependency could come from anywhere. With them off the staged files
//! are all that apt knows beside what is installed, so simulation and transaction are closed over the same set.

use patchwave_common::domain::policy::TransactionRules;
use patchwave_common::domain::{InstallState, Inventory, Manager, Mark, PackageTarget, RefusalReason};

use super::layout::{Layout, option};
use super::query::{Urgency, apt_name};
use super::{quarantine, query, resolve, status};
use crate::packages::{CommandSpec, PackageError, Receipt, Refused, Simulation, StagedFile, StagedSet, Step, process, redact, rules};

/// How long a simulation may take.
const SIMULATE_LIMIT_SECS: u64 = 300;
/// How long setting marks may take.
const MARK_LIMIT_SECS: u64 = 120;
/// Apt's priority from which a pin keeps a version in place.
const FORCED_PRIORITY: i32 = 1000;

/// Options under which the resolver considers what was asked for and nothing more.
pub(crate) fn resolver_options() -> Vec<String> {
    let mut options = vec!["--no-install-recommends".to_owned(), "--no-auto-remove".to_owned()];
    // Patchwave's waves replace phasing (rule 19).
    options.extend(option("APT::Get::Always-Include-Phased-Updates=true"));
    options
}

/// Options under which apt knows the given files and what is installed, and nothing else.
fn closed_options(layout: &Layout) -> Vec<String> {
    let mut options = resolver_options();
    for setting in [
        "Dir::Etc::sourcelist=/dev/null",
        "Dir::Etc::sourceparts=/dev/null",
        // The host's own caches describe its sources; they are neither used nor replaced.
        "Dir::Cache::pkgcache=",
        "Dir::Cache::srcpkgcache=",
    ] {
        options.extend(option(setting));
    }
    if layout.is_machine() {
        // Nothing is downloaded; the unprivileged user could not read the agent's files.
        options.extend(option("APT::Sandbox::User=root"));
    }
    options
}

/// Options for a transaction without questions. An administrator's conffiles stay.
fn transaction_options(layout: &Layout, transaction: &TransactionRules) -> Vec<String> {
    let mut options = closed_options(layout);
    options.extend(["-q", "-y"].map(str::to_owned));
    let lock_wait = format!("DPkg::Lock::Timeout={}", transaction.lock_wait.as_secs());
    for setting in [
        lock_wait.as_str(),
        "DPkg::Options::=--force-confdef",
        "DPkg::Options::=--force-confold",
        "Dpkg::Use-Pty=0",
        "Dpkg::Progress-Fancy=0",
        "APT::Color=0",
    ] {
        options.extend(option(setting));
    }
    options
}

/// See [`crate::packages::PackageManager::simulate`].
pub(crate) fn simulate(layout: &Layout, staged: &StagedSet, transaction: &TransactionRules) -> Result<Simulation, Refused> {
    let inventory = status::inventory(layout).map_err(|error| broken(&error))?;
    let pending = rules::pending(&inventory, &staged.targets)?;
    refuse_broken(layout, &inventory, staged)?;
    let files = files_to_install(staged, &pending, &inventory)?;
    refuse_by_policy(layout, &pending, &files, staged)?;
    let mut arguments = closed_options(layout);
    arguments.extend(["--simulate", "--allow-downgrades", "install"].map(str::to_owned));
    arguments.extend(paths(files.iter().copied(), staged));
    let command = layout.apt("apt-get", "simulate the transaction", SIMULATE_LIMIT_SECS, arguments);
    let output = process::run(&command).map_err(|error| broken(&error))?;
    if !output.status.success() {
        let broken = ["fix-broken", "dpkg was interrupted"].iter().any(|sign| output.stderr.contains(sign) || output.stdout.contains(sign));
        let reason = if broken { RefusalReason::PackageManagerBroken } else { RefusalReason::WouldChangeOthers };
        return Err(rules::refuse(reason, complaint(&output)));
    }
    let simulation = rules::judge(resolve::changes(&output.stdout, &inventory), &staged.targets, transaction)?;
    rules::refuse_held(&inventory, &simulation)?;
    Ok(simulation)
}

fn broken(error: &PackageError) -> Refused {
    let reason = match error {
        PackageError::LockHeld { .. } => RefusalReason::LockHeld,
        error if error.is_disk_full() => RefusalReason::DiskFull,
        _ => RefusalReason::PackageManagerBroken,
    };
    rules::refuse(reason, redact(&error.to_string()))
}

/// Apt explains an unsolvable transaction on standard output and names it an error on the other.
pub(crate) fn complaint(output: &process::Output) -> String {
    let dependencies = output.stdout.split_once("unmet dependencies:").map_or("", |(_, rest)| rest);
    let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("E: ")).collect();
    let dependencies: Vec<&str> = dependencies.lines().map(str::trim).filter(|line| !line.is_empty()).take(8).collect();
    let both: Vec<&str> = errors.into_iter().chain(dependencies).collect();
    if both.is_empty() { output.failure("apt-get").to_string() } else { redact(&both.join("; ")) }
}

/// A package manager that stopped half-way must be repaired first, unless this very transaction completes it.
fn refuse_broken(layout: &Layout, inventory: &Inventory, staged: &StagedSet) -> Result<(), Refused> {
    let ours = |id| staged.files.iter().any(|file| rules::same_package(&file.id, id));
    let halfway: Vec<_> =
        inventory.iter().filter(|package| package.state == InstallState::Incomplete && !ours(&package.id)).map(|it| &it.id).collect();
    let hint = "(hint: run `dpkg --configure -a`)";
    if !halfway.is_empty() {
        let detail = format!("not wholly installed: {} {hint}", rules::names(halfway));
        return Err(rules::refuse(RefusalReason::PackageManagerBroken, detail));
    }
    if status::is_interrupted(layout).map_err(|error| broken(&error))? {
        return Err(rules::refuse(RefusalReason::PackageManagerBroken, format!("dpkg was interrupted {hint}")));
    }
    Ok(())
}

/// The staged files that are still to be installed: the pending targets', and new dependencies' that are not there yet.
fn files_to_install<'a>(staged: &'a StagedSet, pending: &[&PackageTarget], inventory: &Inventory) -> Result<Vec<&'a StagedFile>, Refused> {
    for target in pending {
        let file = staged.files.iter().find(|file| rules::same_package(&file.id, &target.id) && file.version == target.to);
        let there = file.is_some_and(|file| std::fs::metadata(file.path(&staged.directory)).is_ok_and(|it| it.len() == file.size_bytes));
        if !there {
            let detail = format!("{} {} is not staged (hint: it is staged again at the next plan)", target.id, target.to);
            return Err(rules::refuse(RefusalReason::NotStaged, detail));
        }
    }
    let is_due = |file: &&StagedFile| {
        let is_target = staged.targets.targets.iter().any(|target| rules::same_package(&target.id, &file.id));
        match rules::installed(inventory, &file.id).filter(|package| package.is_installed()) {
            _ if is_target => pending.iter().any(|target| rules::same_package(&target.id, &file.id)),
            // A dependency that came by other hands since: what is newer stays.
            Some(package) => package.version.compare(&file.version, Manager::Dpkg).is_lt(),
            None => true,
        }
    };
    Ok(staged.files.iter().filter(is_due).collect())
}

/// The host's own policy decides first: a version that it would never choose is not forced on it (rule 15). Giving apt a file or a
/// `name=version` overrides pins, so they are looked at here.
fn refuse_by_policy(layout: &Layout, pending: &[&PackageTarget], files: &[&StagedFile], staged: &StagedSet) -> Result<(), Refused> {
    let keys = quarantine::read(layout).map_err(|error| broken(&error))?;
    if let Some(target) = pending.iter().find(|target| quarantine::forbids(&keys, target)) {
        let detail = format!("{} {} is in quarantine (hint: `patchwave quarantine list`)", target.id, target.to);
        return Err(rules::refuse(RefusalReason::Quarantined, detail));
    }
    // The files are told to apt too, so that a version that left the indexes is still judged by the pins on versions.
    let extra: Vec<String> = paths(files.iter().copied(), staged).collect();
    let tables = query::tables(layout, Urgency::Ordinary, files.iter().map(|file| &file.id), &extra).map_err(|error| broken(&error))?;
    for file in files {
        let Some(table) = tables.get(&file.id) else {
            continue;
        };
        let Some(row) = table.row(file.version.as_str()) else {
            continue;
        };
        let forced = table.rows.iter().find(|other| other.priority >= FORCED_PRIORITY && other.priority > row.priority);
        let hint = "(hint: see `apt-cache policy` and preferences.d)";
        if row.priority < 0 {
            let detail = format!("{} {} has the priority {} on this host {hint}", file.id, file.version, row.priority);
            return Err(rules::refuse(RefusalReason::PackagePinned, detail));
        }
        if let Some(forced) = forced {
            let detail = format!("this host pins {} to {} {hint}", file.id, forced.version);
            return Err(rules::refuse(RefusalReason::PackagePinned, detail));
        }
    }
    Ok(())
}

fn paths<'a>(files: impl Iterator<Item = &'a StagedFile>, staged: &StagedSet) -> impl Iterator<Item = String> {
    files.map(|file| file.path(&staged.directory).display().to_string())
}

/// See [`crate::packages::PackageManager::apply_steps`].
pub(crate) fn apply_steps(
    layout: &Layout,
    staged: &StagedSet,
    receipt: &Receipt,
    transaction: &TransactionRules,
) -> Result<Vec<Step>, PackageError> {
    let inventory = status::inventory(layout)?;
    let pending: Vec<&PackageTarget> = staged.targets.targets.iter().collect();
    let files = files_to_install(staged, &pending, &inventory).map_err(|refused| PackageError::Damaged {
        path: staged.directory.clone(),
        detail: refused.to_string(),
        hint: "stage again",
    })?;
    let mut arguments = transaction_options(layout, transaction);
    if !transaction.allow_removals {
        arguments.push("--no-remove".to_owned());
    }
    arguments.extend(["--allow-downgrades", "install"].map(str::to_owned));
    arguments.extend(paths(files.into_iter(), staged));
    let install = layout.apt("apt-get", "install the staged versions", limit(transaction), arguments);
    // Files given by name count as asked for: what a dependency brought is marked so again, and new dependencies for the first time.
    let replaced = receipt.packages.iter().filter(|record| record.package.mark == Mark::Auto && record.is_replaced());
    let auto = replaced.map(|record| &record.package.id).chain(receipt.additions.iter().map(|addition| &addition.id));
    let mut steps = vec![Step::Run(install)];
    steps.extend(mark_step(layout, Mark::Auto, auto.map(apt_name).collect()));
    Ok(steps)
}

pub(crate) fn limit(transaction: &TransactionRules) -> u64 {
    transaction.lock_wait.as_secs() + transaction.time_limit.as_secs()
}

/// Sets one mark on these packages; nothing where there are none.
pub(crate) fn mark_step(layout: &Layout, mark: Mark, names: Vec<String>) -> Option<Step> {
    let verb = if mark == Mark::Auto { "auto" } else { "manual" };
    let arguments = [verb.to_owned()].into_iter().chain(names.iter().cloned()).collect();
    (!names.is_empty()).then(|| Step::Run(layout.apt("apt-mark", "restore the marks", MARK_LIMIT_SECS, arguments)))
}

/// See [`crate::packages::PackageManager::repair_steps`].
pub(crate) fn repair_steps(layout: &Layout, transaction: &TransactionRules) -> Vec<Step> {
    let mut configure = layout.dpkg_command(
        "complete what was interrupted",
        limit(transaction),
        &["--force-confdef", "--force-confold", "--configure", "--pending"],
    );
    // A package that cannot be configured is what the next steps replace.
    configure.may_fail = true;
    vec![Step::Run(gather_records(layout)), Step::Run(configure)]
}

/// Makes dpkg gather its pending records, without running any script: apt refuses to work while there are some. Setting no selection at
/// all (standard input is empty) is the smallest change that does it; `--configure` would run the very script that may hang or fail.
pub(crate) fn gather_records(layout: &Layout) -> CommandSpec {
    layout.dpkg_command("gather dpkg's pending records", MARK_LIMIT_SECS, &["--set-selections"])
}

/// See [`crate::packages::PackageManager::restore_steps`]: the package manager's part of it.
pub(crate) fn return_steps(layout: &Layout, receipt: &Receipt, transaction: &TransactionRules) -> Result<Vec<Step>, PackageError> {
    let inventory = status::inventory(layout)?;
    let directory = receipt.originals_directory();
    let originals: Vec<String> = receipt.kept_originals().map(|file| file.path(&directory).display().to_string()).collect();
    let present = |id| rules::installed(&inventory, id).is_some_and(|package| package.state != InstallState::ConfigFiles);
    let mut steps = vec![Step::Run(gather_records(layout))];
    if !originals.is_empty() {
        let mut arguments = transaction_options(layout, transaction);
        arguments.extend(["--allow-downgrades", "install"].map(str::to_owned));
        arguments.extend(originals.iter().cloned());
        // One transaction with the removals: only together are they consistent, and apt forgets the marks of what it removes.
        let gone = receipt.additions.iter().filter(|addition| present(&addition.id));
        arguments.extend(gone.map(|addition| format!("{}-", apt_name(&addition.id))));
        let mut downgrade = layout.apt("apt-get", "return to the originals", limit(transaction), arguments);
        // Apt cannot mend a package that was torn in the middle of unpacking, dpkg in the next step can.
        downgrade.may_fail = true;
        steps.push(Step::Run(downgrade));
        let options = ["--skip-same-version", "--force-downgrade", "--force-confdef", "--force-confold", "--auto-deconfigure", "--install"];
        let arguments: Vec<&str> = options.into_iter().chain(originals.iter().map(String::as_str)).collect();
        steps.push(Step::Run(layout.dpkg_command("complete the return", limit(transaction), &arguments)));
    }
    for (verb, residual) in [("--purge", false), ("--remove", true)] {
        let names: Vec<String> =
            receipt.additions.iter().filter(|addition| addition.residual == residual).map(|addition| apt_name(&addition.id)).collect();
        let arguments: Vec<&str> = [verb].into_iter().chain(names.iter().map(String::as_str)).collect();
        if !names.is_empty() {
            steps.push(Step::Run(layout.dpkg_command("remove what the transaction brought", limit(transaction), &arguments)));
        }
    }
    Ok(steps)
}

/// The marks as they were.
pub(crate) fn return_marks(layout: &Layout, receipt: &Receipt) -> Vec<Step> {
    let of = |mark| {
        let records = receipt.packages.iter().filter(move |record| record.package.mark == mark && record.package.is_installed());
        records.map(|record| apt_name(&record.package.id)).collect::<Vec<_>>()
    };
    [Mark::Auto, Mark::Manual].into_iter().filter_map(|mark| mark_step(layout, mark, of(mark))).collect()
}

//! Staging: every file that a transaction and its way back need, on disk before anything changes (rules 12, 17 and 18).

use std::collections::HashMap;
use std::path::Path;

use patchwave_common::domain::{
    Digest, InstallState, Inventory, NotStagedReason, PackageId, PackageTarget, PackageVersion, TargetSet, show_duration,
};

use super::fetch::{self, Scratch, not_staged};
use super::layout::Layout;
use super::policy::{Record, Table};
use super::query::{Urgency, apt_name};
use super::shelf::Shelf;
use super::{originals, quarantine, query, refresh, resolve, status, takeover, transaction};
use crate::packages::{
    Change, ChangeKind, MissingOriginal, NotStaged, PackageError, PackageSettings, StagedFile, StagedSet, process, rules,
};

/// How long the resolver may think; seconds for a whole release, at ordinary priority.
const RESOLVE_LIMIT_SECS: u64 = 300;

/// One version that is needed as a file.
#[derive(Debug, Clone)]
struct Need {
    id: PackageId,
    version: PackageVersion,
    /// What the index says, where one offers it.
    record: Option<Record>,
    /// What the plan says.
    planned: Option<Digest>,
    is_original: bool,
}

/// See [`crate::packages::PackageManager::stage`].
pub(crate) fn stage(layout: &Layout, settings: &PackageSettings, targets: &TargetSet, stage_dir: &Path) -> Result<StagedSet, NotStaged> {
    let shelf = Shelf::open(stage_dir).map_err(|error| not_staged(&error))?;
    let inventory = status::inventory(layout).map_err(|error| not_staged(&error))?;
    let at_target = |target: &&PackageTarget| {
        let installed = rules::installed(&inventory, &target.id);
        installed.is_some_and(|package| package.version == target.to && package.state == InstallState::Installed)
    };
    let wanted: Vec<&PackageTarget> = targets.targets.iter().filter(|target| !at_target(target)).collect();
    let mut staged = StagedSet {
        targets: targets.clone(),
        directory: shelf.directory().to_owned(),
        files: Vec::new(),
        originals: Vec::new(),
        missing_originals: Vec::new(),
    };
    if wanted.is_empty() {
        return Ok(staged);
    }
    refuse_quarantined(layout, &wanted)?;
    let needs = needs_with_fresh_indexes(layout, &inventory, &wanted, &shelf)?;
    let (mut have, lacking) = on_the_shelf(needs, &shelf)?;
    let room = lacking.iter().filter_map(|need| need.record.as_ref()).map(|record| record.size_bytes).sum();
    check_room(layout, settings, &shelf, room)?;
    have.extend(fetch_all(layout, lacking, &shelf, &mut staged.missing_originals)?);
    for (need, file) in have {
        if need.is_original { staged.originals.push(file) } else { staged.files.push(file) }
    }
    staged.files.sort();
    staged.originals.sort();
    let losers = takeover::losers(layout, &staged, &inventory).map_err(|error| not_staged(&error))?;
    staged.missing_originals.extend(losers);
    Ok(staged)
}

fn refuse_quarantined(layout: &Layout, wanted: &[&PackageTarget]) -> Result<(), NotStaged> {
    let keys = quarantine::read(layout).map_err(|error| not_staged(&error))?;
    match wanted.iter().find(|target| quarantine::forbids(&keys, target)) {
        Some(target) => {
            let detail = format!("{} {} is in quarantine (hint: `patchwave quarantine list`)", target.id, target.to);
            Err(NotStaged { reason: NotStagedReason::Quarantined, detail })
        }
        None => Ok(()),
    }
}

/// [`needs`], and once more after reading the archives' indexes anew where they do not know a version: others of the fleet saw it.
fn needs_with_fresh_indexes(
    layout: &Layout,
    inventory: &Inventory,
    wanted: &[&PackageTarget],
    shelf: &Shelf,
) -> Result<Vec<Need>, NotStaged> {
    let gone = match needs(layout, inventory, wanted, shelf) {
        Err(gone) if gone.reason == NotStagedReason::Gone => gone,
        other => return other,
    };
    match refresh::refresh(layout) {
        Ok(()) => needs(layout, inventory, wanted, shelf),
        Err(error) => {
            let NotStaged { reason, detail } = not_staged(&error);
            Err(NotStaged { reason, detail: format!("{}; its indexes could not be read anew: {detail}", gone.detail) })
        }
    }
}

/// Every file that the transaction and its way back need, by the host's own sources and resolver.
fn needs(layout: &Layout, inventory: &Inventory, wanted: &[&PackageTarget], shelf: &Shelf) -> Result<Vec<Need>, NotStaged> {
    let ask =
        |ids: &mut dyn Iterator<Item = &PackageId>| query::tables(layout, Urgency::Ordinary, ids, &[]).map_err(|error| not_staged(&error));
    let mut tables = ask(&mut wanted.iter().map(|target| &target.id))?;
    let changes = resolve_with_sources(layout, inventory, wanted, &tables, shelf)?;
    let more: Vec<&PackageId> = changes.iter().map(|change| &change.id).filter(|id| !tables.contains_key(*id)).collect();
    if !more.is_empty() {
        tables.extend(ask(&mut more.into_iter())?);
    }
    let mut needs = Vec::new();
    for change in &changes {
        let target = wanted.iter().find(|target| rules::same_package(&target.id, &change.id));
        let planned = target.and_then(|target| target.sha256);
        let is_configured = change.kind == ChangeKind::Configure;
        // A target that is unpacked but not configured may still have to be unpacked again; what stood there before is gone.
        let file = change.to.as_ref().filter(|_| !is_configured || target.is_some());
        let original = change.from.as_ref().filter(|_| !is_configured);
        for (version, planned, is_original) in [(file, planned, false), (original, None, true)] {
            if let Some(version) = version {
                needs.push(Need { id: change.id.clone(), version: version.clone(), record: None, planned, is_original });
            }
        }
    }
    let known: Vec<_> =
        needs.iter().filter(|need| is_offered(&tables, need)).map(|need| (need.id.clone(), need.version.to_string())).collect();
    let records = if known.is_empty() {
        Vec::new()
    } else {
        query::records(layout, Urgency::Ordinary, &known).map_err(|error| not_staged(&error))?
    };
    for need in needs.iter_mut().filter(|need| is_offered(&tables, need)) {
        need.record = query::record_of(&records, &need.id, need.version.as_str()).cloned();
    }
    Ok(needs)
}

fn is_offered(tables: &HashMap<PackageId, Table>, need: &Need) -> bool {
    tables.get(&need.id).is_some_and(|table| offers(table, &need.version))
}

/// Whether an archive's index has this version: dpkg's own status is none.
fn offers(table: &Table, version: &PackageVersion) -> bool {
    let row = table.row(version.as_str());
    row.is_some_and(|row| row.indexes.iter().any(|(_, index)| !index.ends_with("/dpkg/status")))
}

/// What would change if the targets were installed from the host's sources; a version that left them is taken from the shelf.
fn resolve_with_sources(
    layout: &Layout,
    inventory: &Inventory,
    wanted: &[&PackageTarget],
    tables: &HashMap<PackageId, Table>,
    shelf: &Shelf,
) -> Result<Vec<Change>, NotStaged> {
    let mut arguments = transaction::resolver_options();
    arguments.extend(["--simulate", "--allow-downgrades", "install"].map(str::to_owned));
    for target in wanted {
        if tables.get(&target.id).is_some_and(|table| offers(table, &target.to)) {
            arguments.push(format!("{}={}", apt_name(&target.id), target.to));
            continue;
        }
        let kept = match target.sha256 {
            Some(sha256) => shelf.get(&target.id, &target.to, sha256),
            None => shelf.find(&target.id, &target.to),
        };
        let Some(file) = kept.map_err(|error| not_staged(&error))? else {
            let detail =
                format!("{} {} is in no index of this host (hint: was it superseded? are the indexes fresh?)", target.id, target.to);
            return Err(NotStaged { reason: NotStagedReason::Gone, detail });
        };
        arguments.push(file.path(shelf.directory()).display().to_string());
    }
    let command = layout.apt("apt-get", "resolve the transaction", RESOLVE_LIMIT_SECS, arguments);
    let output = process::run(&command).map_err(|error| not_staged(&error))?;
    if !output.status.success() {
        let detail = transaction::complaint(&output);
        return Err(NotStaged { reason: fetch::reason_of(&output.stderr), detail });
    }
    Ok(resolve::changes(&output.stdout, inventory))
}

/// Splits off what is on disk already.
#[allow(clippy::type_complexity)]
fn on_the_shelf(needs: Vec<Need>, shelf: &Shelf) -> Result<(Vec<(Need, StagedFile)>, Vec<Need>), NotStaged> {
    let (mut have, mut lacking) = (Vec::new(), Vec::new());
    for need in needs {
        let told = need.record.as_ref().and_then(|record| record.sha256);
        if let (Some(planned), Some(told)) = (need.planned, told)
            && planned != told
        {
            return Err(mismatch(&need, &format!("the archive has {told}, the plan wants {planned}")));
        }
        let found = match need.planned.or(told) {
            Some(sha256) => shelf.get(&need.id, &need.version, sha256),
            None => shelf.find(&need.id, &need.version),
        };
        match found.map_err(|error| not_staged(&error))? {
            Some(file) => have.push((need, file)),
            None => lacking.push(need),
        }
    }
    Ok((have, lacking))
}

fn mismatch(need: &Need, detail: &str) -> NotStaged {
    let detail = format!("{} {} does not have the hash of the plan: {detail} (hint: plan again)", need.id, need.version);
    NotStaged { reason: NotStagedReason::HashMismatch, detail }
}

/// Room is checked before the first byte: on the stage's disk and within its bound, and where apt downloads to.
fn check_room(layout: &Layout, settings: &PackageSettings, shelf: &Shelf, bytes: u64) -> Result<(), NotStaged> {
    let full = |detail: String| NotStaged { reason: NotStagedReason::DiskFull, detail };
    let kept = shelf.bytes().map_err(|error| not_staged(&error))?;
    if kept.saturating_add(bytes) > settings.stage_limit_bytes {
        let limit = settings.stage_limit_bytes;
        return Err(full(format!("{bytes} bytes are needed, {kept} are kept, the bound is {limit} (hint: the agent's stage limit)")));
    }
    let archives = layout.archives();
    std::fs::create_dir_all(&archives).map_err(|error| not_staged(&PackageError::io("make", &archives)(error)))?;
    for directory in [shelf.directory(), archives.as_path()] {
        let space = rustix::fs::statvfs(directory);
        let space = space.map_err(|error| not_staged(&PackageError::io("examine", directory)(error.into())))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let needed = bytes.saturating_add(settings.keep_free_bytes);
        if free < needed {
            let directory = directory.display();
            return Err(full(format!(
                "{directory} has {} MiB free, {} MiB are needed (hint: free some room, or run `apt-get clean`)",
                free >> 20,
                needed.div_ceil(1 << 20)
            )));
        }
    }
    Ok(())
}

/// Downloads what the transaction installs, then the originals; of the latter some may be gone for good.
fn fetch_all(
    layout: &Layout,
    lacking: Vec<Need>,
    shelf: &Shelf,
    missing: &mut Vec<MissingOriginal>,
) -> Result<Vec<(Need, StagedFile)>, NotStaged> {
    let mut have = Vec::new();
    if lacking.is_empty() {
        return Ok(have);
    }
    let started = std::time::Instant::now();
    let scratch = Scratch::new(layout).map_err(|error| not_staged(&error))?;
    let (originals, files): (Vec<Need>, Vec<Need>) = lacking.into_iter().partition(|need| need.is_original);
    let (files, unknown): (Vec<Need>, Vec<Need>) = files.into_iter().partition(|need| need.record.is_some());
    if let Some(need) = unknown.first() {
        let detail = format!("{} {} is in no index of this host", need.id, need.version);
        return Err(NotStaged { reason: NotStagedReason::Gone, detail });
    }
    let named = |needs: &[Need]| needs.iter().map(|need| (need.id.clone(), need.version.to_string())).collect::<Vec<_>>();
    if !files.is_empty() {
        fetch::download(layout, &named(&files), &scratch)?;
    }
    let (offered, left): (Vec<Need>, Vec<Need>) = originals.into_iter().partition(|need| need.record.is_some());
    let failed = if offered.is_empty() { None } else { fetch::download(layout, &named(&offered), &scratch).err() };
    if let Some(failed) = failed.clone().filter(|failed| failed.reason != NotStagedReason::Gone) {
        return Err(failed);
    }
    for need in files.into_iter().chain(offered).chain(left) {
        match take(layout, &need, &scratch, shelf)? {
            Some(file) => have.push((need, file)),
            None if need.is_original => {
                let detail = match (&failed, &need.record) {
                    (Some(failed), Some(_)) => failed.detail.clone(),
                    _ => "it left the archive, and no copy was kept".to_owned(),
                };
                missing.push(MissingOriginal { id: need.id, version: need.version, detail });
            }
            None => {
                let detail = format!("apt-get download left no file for {} {}", need.id, need.version);
                return Err(NotStaged { reason: NotStagedReason::Other, detail });
            }
        }
    }
    tracing::debug!(files = have.len(), missing = missing.len(), took = show_duration(started.elapsed()), "staged from the archive");
    Ok(have)
}

/// Takes a downloaded file onto the shelf, or an original from apt's own cache; the hashes of plan and index are proved on the way.
fn take(layout: &Layout, need: &Need, scratch: &Scratch, shelf: &Shelf) -> Result<Option<StagedFile>, NotStaged> {
    let architecture = need.record.as_ref().map_or(&need.id.architecture, |record| &record.architecture);
    let downloaded = scratch.file(need.id.name.as_str(), need.version.as_str(), architecture.as_str());
    let told = need.record.as_ref().and_then(|record| record.sha256);
    let taken = if downloaded.exists() {
        shelf.take(&downloaded, &need.id, &need.version, false).map(Some)
    } else if need.is_original {
        originals::from_apt_cache(layout, &need.id, &need.version, shelf)
    } else {
        Ok(None)
    };
    let Some(file) = taken.map_err(|error| not_staged(&error))? else {
        return Ok(None);
    };
    match need.planned.or(told).filter(|wanted| *wanted != file.sha256) {
        Some(wanted) => {
            shelf.drop_file(&file);
            Err(mismatch(need, &format!("the file has {}, wanted was {wanted}", file.sha256)))
        }
        None => Ok(Some(file)),
    }
}

//! Puts a receipt together from what a package manager found, and onto the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use patchwave_common::domain::{Digest, InstallState, InstalledPackage, UnitName};

use super::{Addition, Original, PackageRecord, PackagedFile, PathRole, RECEIPT_FORMAT, Receipt, capture, prepare};
use crate::packages::{Change, ChangeKind, PackageError, Simulation, StagedFile, StagedSet};

/// What dpkg leaves beside a conffile, by ending. What was there before is kept, what was not goes on the return.
const LEFTOVERS: [&str; 6] = [".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-tmp", ".dpkg-bak", ".dpkg-remove"];

/// What a package manager found about one package that the transaction touches.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) package: InstalledPackage,
    /// As [`PackageRecord::conffiles`].
    pub(crate) conffile_records: Vec<String>,
    pub(crate) conffiles: Vec<PathBuf>,
    pub(crate) files: Vec<PackagedFile>,
    /// Packaged files that the administrator changed or deleted.
    pub(crate) changed_files: Vec<PathBuf>,
}

/// What a package manager found about a transaction.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) packages: Vec<Found>,
    /// Conffiles of the staged files.
    pub(crate) staged_conffiles: Vec<PathBuf>,
    pub(crate) units: Vec<UnitName>,
}

/// Writes the receipt; everything that it refers to is on disk before it is.
pub(crate) fn write(
    root: &Path,
    staged: &StagedSet,
    simulation: &Simulation,
    findings: Findings,
    directory: &Path,
) -> Result<Receipt, PackageError> {
    prepare(directory)?;
    let mut receipt = Receipt {
        format: RECEIPT_FORMAT,
        directory: directory.to_owned(),
        targets: staged.targets.clone(),
        packages: Vec::new(),
        additions: additions(simulation, &findings.packages),
        paths: Vec::new(),
        units: findings.units,
    };
    save_paths(root, &findings.packages, &findings.staged_conffiles, &mut receipt)?;
    // A removed package whose configuration is left is brought anew: an addition, with its conffiles among the saved paths.
    let present = findings.packages.into_iter().filter(|found| found.package.state != InstallState::ConfigFiles);
    for found in present {
        let original = keep_original(&found.package, staged, simulation, &receipt)?;
        receipt.packages.push(PackageRecord { package: found.package, conffiles: found.conffile_records, files: found.files, original });
    }
    receipt.save()?;
    Ok(receipt)
}

fn additions(simulation: &Simulation, residual: &[Found]) -> Vec<Addition> {
    let addition = |change: &Change| {
        let residual = residual.iter().any(|found| found.package.id == change.id);
        Some(Addition { id: change.id.clone(), version: change.to.clone()?, residual })
    };
    simulation.of(ChangeKind::Install).filter_map(addition).collect()
}

fn save_paths(root: &Path, packages: &[Found], staged_conffiles: &[PathBuf], receipt: &mut Receipt) -> Result<(), PackageError> {
    let mut seen = BTreeSet::new();
    let installed = packages.iter().flat_map(|found| &found.conffiles).map(|path| (path, PathRole::Conffile));
    let changed = packages.iter().flat_map(|found| &found.changed_files).map(|path| (path, PathRole::ChangedFile));
    let new = staged_conffiles.iter().map(|path| (path, PathRole::NewConffile));
    for (path, role) in installed.chain(changed).chain(new) {
        if !seen.insert(path.clone()) {
            continue;
        }
        receipt.paths.push(capture(root, path, role, &receipt.blobs_directory())?);
        for ending in LEFTOVERS.iter().filter(|_| role != PathRole::ChangedFile) {
            let mut beside = path.as_os_str().to_owned();
            beside.push(ending);
            let beside = PathBuf::from(beside);
            if seen.insert(beside.clone()) {
                receipt.paths.push(capture(root, &beside, PathRole::Leftover, &receipt.blobs_directory())?);
            }
        }
    }
    Ok(())
}

fn keep_original(package: &InstalledPackage, staged: &StagedSet, simulation: &Simulation, to: &Receipt) -> Result<Original, PackageError> {
    let replaced = simulation.changes.iter().any(|change| change.id == package.id && change.kind != ChangeKind::Configure);
    if !replaced {
        return Ok(Original::NotNeeded);
    }
    let of_this = |file: &&StagedFile| file.id == package.id && file.version == package.version;
    let Some(file) = staged.originals.iter().find(of_this) else {
        let missing = staged.missing_originals.iter().find(|missing| missing.id == package.id && missing.version == package.version);
        let detail = missing.map_or("it was not staged", |missing| missing.detail.as_str());
        return Ok(Original::Missing(detail.to_owned()));
    };
    link_verified(file, &staged.directory, &to.originals_directory())?;
    Ok(Original::Kept(file.clone()))
}

/// A hard link where both directories are on one file system, else a copy; the digest is proved in either case.
fn link_verified(file: &StagedFile, from: &Path, to: &Path) -> Result<(), PackageError> {
    let (source, target) = (file.path(from), file.path(to));
    if fs::hard_link(&source, &target).is_err() {
        fs::copy(&source, &target).map_err(PackageError::io("copy", &source))?;
        fs::File::open(&target).and_then(|copy| copy.sync_all()).map_err(PackageError::io("sync", &target))?;
    }
    let found = file_digest(&target)?;
    if found == file.sha256 {
        return Ok(());
    }
    Err(PackageError::Damaged { path: source, detail: format!("its SHA-256 is {found}"), hint: "delete it and stage again" })
}

/// SHA-256 of a file of any length, read in pieces.
pub(crate) fn file_digest(path: &Path) -> Result<Digest, PackageError> {
    let mut file = fs::File::open(path).map_err(PackageError::io("open", path))?;
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    std::io::copy(&mut file, &mut Hashing(&mut hasher)).map_err(PackageError::io("read", path))?;
    Ok(Digest(sha2::Digest::finalize(hasher).into()))
}

/// Lets [`std::io::copy`] feed a hash.
pub(crate) struct Hashing<'a, H>(pub(crate) &'a mut H);

impl<H: sha2::Digest> std::io::Write for Hashing<'_, H> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! The inventory against dpkg's own answer: on this machine's database, on captured ones, and in the middle of a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use patchwave_agent::packages::apt::Apt;
use patchwave_agent::packages::{PackageManager, PackageSettings};
use patchwave_common::domain::{Blocked, InstallState, Inventory};

fn open(root: Option<&Path>, state: &Path) -> Apt {
    let root = root.map(Path::to_owned);
    Apt::open(&PackageSettings { root, state_dir: state.to_owned(), stage_limit_bytes: 0, keep_free_bytes: 0 }).unwrap()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What dpkg-query says of a database, in the inventory's terms.
fn by_dpkg_query(administration: &Path) -> BTreeSet<String> {
    let format = "${Package}\t${Architecture}\t${Version}\t${source:Package}\t${source:Version}\t${db:Status-Status}\t${db:Status-Want}\n";
    let directory = format!("--admindir={}", administration.display());
    let text = output("dpkg-query", &[&directory, "--show", &format!("--showformat={format}")]);
    text.lines().filter(|line| !line.contains("\tnot-installed\t")).map(str::to_owned).collect()
}

fn as_dpkg_query(inventory: &Inventory, states: &BTreeMap<String, String>) -> BTreeSet<String> {
    let line = |package: &patchwave_common::domain::InstalledPackage| {
        let told = match package.state {
            InstallState::Installed => "installed",
            InstallState::ConfigFiles => "config-files",
            InstallState::Incomplete => states.get(package.id.name.as_str()).map_or("incomplete", String::as_str),
        };
        let want = match (package.held, package.state) {
            (true, _) => "hold",
            (false, InstallState::ConfigFiles) => "deinstall",
            (false, _) => "install",
        };
        let (id, source) = (&package.id, &package.source);
        format!("{}\t{}\t{}\t{source}\t{}\t{told}\t{want}", id.name, id.architecture, package.version, package.source_version)
    };
    inventory.iter().map(line).collect()
}

#[test]
fn this_machines_own_database_is_read_as_dpkg_query_reads_it() {
    if !Path::new("/var/lib/dpkg/status").exists() {
        eprintln!("LEFT OUT: this machine has no dpkg database");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let apt = open(None, state.path());
    let (started, inventory) = (std::time::Instant::now(), apt.inventory().unwrap());
    eprintln!("{} packages read in {:?}", inventory.len(), started.elapsed());
    assert_eq!(as_dpkg_query(&inventory, &BTreeMap::new()), by_dpkg_query(Path::new("/var/lib/dpkg")));
    let auto: BTreeSet<_> = output("apt-mark", &["showauto"]).lines().map(str::to_owned).collect();
    let told = inventory.iter().filter(|package| package.is_installed() && package.is_auto());
    let native = patchwave_debian_repository::native_architecture().unwrap();
    let name = |package: &patchwave_common::domain::InstalledPackage| match package.id.architecture.as_str() {
        architecture if architecture == "all" || architecture == native => package.id.name.to_string(),
        _ => package.id.to_string(),
    };
    assert_eq!(told.map(name).collect::<BTreeSet<_>>(), auto);
}

#[test]
fn this_machines_candidates_are_apts_own() {
    let has_lists = std::fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|entries| entries.flatten().any(|it| it.path().to_string_lossy().contains("Packages")));
    if !has_lists {
        eprintln!("LEFT OUT: this machine has no archive indexes");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let apt = open(None, state.path());
    let started = std::time::Instant::now();
    let candidates = apt.candidates().unwrap().candidates;
    eprintln!("{} candidates in {:?}", candidates.len(), started.elapsed());
    let cached = std::time::Instant::now();
    assert_eq!(apt.candidates().unwrap().candidates, candidates);
    eprintln!("from the cache in {:?}", cached.elapsed());
    let simulated = output("apt-get", &["--simulate", "-o", "APT::Get::Always-Include-Phased-Updates=true", "dist-upgrade"]);
    // What the resolver would upgrade is a candidate at that version; held and kept-back packages are candidates beside them.
    for line in simulated.lines().filter_map(|line| line.strip_prefix("Inst ")).filter(|line| line.contains(" [")) {
        let words: Vec<&str> = line.split([' ', '[', ']', '(']).filter(|word| !word.is_empty()).collect();
        let name = words[0].split(':').next().unwrap();
        let Some(candidate) = candidates.iter().find(|it| it.id.name.as_str() == name && it.from.as_str() == words[1]) else {
            panic!("apt would upgrade, Patchwave does not tell: {line}");
        };
        assert_eq!(candidate.to.as_str(), words[2], "{line}");
    }
    for candidate in candidates.iter().filter(|candidate| candidate.blocked != Some(Blocked::Pinned)) {
        assert!(candidate.sha256.is_some() && candidate.size_bytes > 0 && candidate.origin.short() != "unknown", "{candidate:?}");
    }
}

#[test]
fn captured_databases_are_read_as_dpkg_query_reads_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/packages");
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("LEFT OUT: {folder} is absent, so no captured database was read");
        return;
    };
    let mut read = 0;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && path.to_string_lossy().contains("status.")) {
        let root = tempfile::tempdir().unwrap();
        let administration = root.path().join("var/lib/dpkg");
        std::fs::create_dir_all(administration.join("updates")).unwrap();
        std::fs::copy(&path, administration.join("status")).unwrap();
        let inventory = open(Some(root.path()), &root.path().join("state")).inventory().unwrap();
        assert!(inventory.len() > 50, "{}: {}", path.display(), inventory.len());
        assert_eq!(as_dpkg_query(&inventory, &BTreeMap::new()), by_dpkg_query(&administration), "{}", path.display());
        read += 1;
    }
    assert!(read >= 2, "the folder has the two captured databases");
}

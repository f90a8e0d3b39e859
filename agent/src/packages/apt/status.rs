//! dpkg's database and apt's marks, read from the files themselves: no process, no lock.
//!
//! The database is `status` with the *pending records* of `updates/` laid over it: dpkg writes a record there after each step and
//! gathers them into `status` now and then, so that in the middle of a transaction `status` alone is wrong. Marks are apt's, in
//! `extended_states`; a package that is not in there was asked for.

use std::collections::BTreeMap;
use std::path::Path;

use patchwave_common::domain::dpkg::{self, Paragraph, installed_package, paragraphs};
use patchwave_common::domain::{Architecture, InstalledPackage, Inventory, Manager, Mark, PackageId, PackageName};

use super::blocks::for_each_block;
use super::fingerprint;
use super::layout::Layout;
use crate::packages::{Fingerprint, PackageError};

/// Bound on `status`: 4,000 packages are about 5 MB; this allows twelve times that.
const STATUS_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Bound on one pending record, and on their number: dpkg gathers them after 250.
const UPDATE_MAX_BYTES: u64 = 1024 * 1024;
const UPDATES_MAX: usize = 10_000;
/// Bound on `extended_states`: about 60 bytes a package.
const MARKS_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Architectures looked for before a new one is made; a host that has more than Debian knows is no host.
const ARCHITECTURES_KEPT: usize = 16;
/// How often a reading is repeated that dpkg wrote under; each takes a few milliseconds, dpkg gathers its records seconds apart.
const READ_ATTEMPTS: usize = 20;

/// One package of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) package: InstalledPackage,
    /// The field `Conffiles` as it stands; empty where it is not kept.
    conffiles: String,
    /// Siblings of several architectures may be installed together; dpkg then names its files with the architecture.
    pub(crate) multi_arch_same: bool,
}

impl Entry {
    /// The `Conffiles` lines: path, recorded hash, flags.
    pub(crate) fn conffiles(&self) -> impl Iterator<Item = &str> {
        dpkg::lines(&self.conffiles)
    }
}

/// The whole database at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Database {
    pub(crate) entries: BTreeMap<PackageId, Entry>,
    /// Whether `Conffiles` are kept: they are a fifth of the database, and an inventory has none.
    with_conffiles: bool,
    /// A host has two or three; each is stored once.
    architectures: Vec<Architecture>,
}

impl Database {
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory::new(Manager::Dpkg, self.entries.values().map(|entry| entry.package.clone()))
    }

    pub(crate) fn into_inventory(self) -> Inventory {
        Inventory::new(Manager::Dpkg, self.entries.into_values().map(|entry| entry.package))
    }

    /// Lays paragraphs over what is known: a later one of a package replaces an earlier one.
    fn add(&mut self, text: &str, marks: &Marks<'_>) {
        for paragraph in paragraphs(text) {
            let Some(id) = self.id_of(&paragraph) else {
                continue;
            };
            match entry(&id, &paragraph) {
                Some(mut entry) => {
                    entry.package.mark = marks.of(&id);
                    if self.with_conffiles {
                        paragraph.get("Conffiles").unwrap_or_default().clone_into(&mut entry.conffiles);
                    }
                    self.entries.insert(id, entry);
                }
                None => {
                    self.entries.remove(&id);
                }
            }
        }
    }

    fn id_of(&mut self, paragraph: &Paragraph<'_>) -> Option<PackageId> {
        let name = PackageName::parse(paragraph.get("Package")?).ok()?;
        // Records of packages that were removed long ago may name none.
        let architecture = self.architecture(paragraph.get("Architecture").unwrap_or("unknown"))?;
        Some(PackageId { name, architecture })
    }

    fn architecture(&mut self, text: &str) -> Option<Architecture> {
        if let Some(known) = self.architectures.iter().find(|known| known.as_str() == text) {
            return Some(known.clone());
        }
        let new = Architecture::parse(text).ok()?;
        if self.architectures.len() < ARCHITECTURES_KEPT {
            self.architectures.push(new.clone());
        }
        Some(new)
    }
}

/// Reads the database; repeats itself while dpkg writes, so that the parts belong together.
pub(crate) fn read(layout: &Layout) -> Result<Database, PackageError> {
    Ok(read_unmoved(layout, true)?.0)
}

/// The packages of the database alone.
pub(crate) fn inventory(layout: &Layout) -> Result<Inventory, PackageError> {
    Ok(inventory_with_fingerprint(layout)?.0)
}

/// As [`inventory`], with the mark of exactly this state.
pub(crate) fn inventory_with_fingerprint(layout: &Layout) -> Result<(Inventory, Fingerprint), PackageError> {
    read_unmoved(layout, false).map(|(database, fingerprint)| (database.into_inventory(), fingerprint))
}

/// The database with the mark of before it was read: one that moved on all the time is read anew when somebody asks again.
fn read_unmoved(layout: &Layout, with_conffiles: bool) -> Result<(Database, Fingerprint), PackageError> {
    let mut before = fingerprint::of_packages(layout)?;
    for _ in 0..READ_ATTEMPTS {
        let database = read_once(layout, with_conffiles);
        let after = fingerprint::of_packages(layout)?;
        if after == before {
            return Ok((database?, before));
        }
        before = after;
    }
    Ok((read_once(layout, with_conffiles)?, before))
}

fn read_once(layout: &Layout, with_conffiles: bool) -> Result<Database, PackageError> {
    let marks = match read_text(&layout.extended_states(), MARKS_MAX_BYTES) {
        Ok(text) => text,
        // A host on which nothing was ever installed as a dependency.
        Err(error) if error.is_not_found() => String::new(),
        Err(error) => return Err(error),
    };
    let marks = parse_marks(&marks);
    let mut database = Database { with_conffiles, ..Database::default() };
    for_each_block(&layout.status(), STATUS_MAX_BYTES, |text| database.add(text, &marks))?;
    for path in pending_records(&layout.updates())? {
        match read_text(&path, UPDATE_MAX_BYTES) {
            Ok(text) => database.add(&text, &marks),
            // Gathered in the meantime: the marks before and after differ, so this reading is repeated.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(database)
}

/// Whether dpkg left pending records, as it does when it is killed. In a running transaction there are some too.
pub(crate) fn is_interrupted(layout: &Layout) -> Result<bool, PackageError> {
    Ok(!pending_records(&layout.updates())?.is_empty())
}

/// The pending records in dpkg's order: names of digits alone; `tmp.i` is one being written.
fn pending_records(directory: &Path) -> Result<Vec<std::path::PathBuf>, PackageError> {
    let mut records = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(records),
        Err(error) => return Err(PackageError::io("read", directory)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(PackageError::io("read", directory))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())) {
            records.push(entry.path());
        }
        if records.len() > UPDATES_MAX {
            return Err(PackageError::Damaged {
                path: directory.to_owned(),
                detail: format!("it holds more than {UPDATES_MAX} pending records"),
                hint: "run `dpkg --configure -a`",
            });
        }
    }
    records.sort();
    Ok(records)
}

pub(crate) fn read_text(path: &Path, max_bytes: u64) -> Result<String, PackageError> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(PackageError::io("open", path))?;
    // Room at once for what it is now, and for the read that finds its end.
    let length = file.metadata().map_or(0, |metadata| metadata.len()).min(max_bytes);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(PackageError::io("read", path))?;
    if bytes.len() as u64 > max_bytes {
        return Err(PackageError::TooLarge { path: path.to_owned(), max_bytes });
    }
    // Ancient packages have maintainers' names in other encodings; that must not hide them.
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Packages that a dependency brought, as (name, architecture), ordered; apt calls packages for all architectures native ones.
#[derive(Debug)]
pub(crate) struct Marks<'a>(Vec<(&'a str, &'a str)>);

impl Marks<'_> {
    fn of(&self, id: &PackageId) -> Mark {
        let (name, architecture) = (id.name.as_str(), id.architecture.as_str());
        let first = self.0.partition_point(|(known, _)| *known < name);
        let mut named = self.0[first..].iter().take_while(|(known, _)| *known == name);
        // No other architecture can stand beside a package for all of them, so its name is enough.
        if named.any(|(_, known)| architecture == "all" || *known == architecture) { Mark::Auto } else { Mark::Manual }
    }
}

pub(crate) fn parse_marks(text: &str) -> Marks<'_> {
    let auto = paragraphs(text).filter(|paragraph| paragraph.get("Auto-Installed") == Some("1"));
    let mut marks: Vec<_> = auto.filter_map(|paragraph| Some((paragraph.get("Package")?, paragraph.get("Architecture")?))).collect();
    marks.sort_unstable();
    Marks(marks)
}

/// Parses the status file and, in order, the pending records.
pub(crate) fn parse<'a>(texts: impl Iterator<Item = &'a str>, marks: &Marks<'_>) -> Database {
    let mut database = Database { with_conffiles: true, ..Database::default() };
    for text in texts {
        database.add(text, marks);
    }
    database
}

/// `None` for a package that is not there.
fn entry(id: &PackageId, paragraph: &Paragraph<'_>) -> Option<Entry> {
    let package = installed_package(id.clone(), paragraph)?;
    Some(Entry { package, conffiles: String::new(), multi_arch_same: paragraph.get("Multi-Arch") == Some("same") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::InstallState;
    use proptest::prelude::*;

    use super::*;

    fn parse_texts(texts: &[&str], marks: &str) -> Database {
        parse(texts.iter().copied(), &parse_marks(marks))
    }

    fn get<'a>(database: &'a Database, name: &str, architecture: &str) -> Option<&'a Entry> {
        let id = PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse(architecture).unwrap() };
        database.entries.get(&id)
    }

    const STATUS: &str = "Package: libx\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nSource: x (1:2-3)\nVersion: 1:2-3+b1\n\n\
        Package: libx\nStatus: hold ok installed\nArchitecture: i386\nMulti-Arch: same\nVersion: 1:2-3\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\nConffiles:\n /etc/gone 00\n\n\
        Package: never\nStatus: purge ok not-installed\nArchitecture: all\n";

    #[test]
    fn states_sources_holds_and_siblings_are_told_apart() {
        let marks = "Package: libx\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: libx\nArchitecture: i386\nAuto-Installed: 0\n";
        let database = parse_texts(&[STATUS], marks);
        assert_eq!(database.entries.len(), 3);
        let native = &get(&database, "libx", "amd64").unwrap().package;
        assert_eq!((native.source.as_str(), native.source_version.as_str(), native.mark, native.held), ("x", "1:2-3", Mark::Auto, false));
        let foreign = &get(&database, "libx", "i386").unwrap().package;
        assert_eq!((foreign.source.as_str(), foreign.mark, foreign.held), ("libx", Mark::Manual, true));
        let gone = get(&database, "gone", "all").unwrap();
        assert_eq!((gone.package.state, gone.conffiles().collect::<Vec<_>>()), (InstallState::ConfigFiles, vec!["/etc/gone 00"]));
    }

    #[test]
    fn pending_records_replace_what_the_status_file_says() {
        let unpacked = "Package: gone\nStatus: install ok half-configured\nArchitecture: all\nVersion: 2\n";
        let purged = "Package: libx\nStatus: purge ok not-installed\nArchitecture: i386\n";
        let database = parse_texts(&[STATUS, unpacked, purged], "");
        let gone = &get(&database, "gone", "all").unwrap().package;
        assert_eq!((gone.state, gone.version.as_str()), (InstallState::Incomplete, "2"));
        assert!(get(&database, "libx", "i386").is_none() && get(&database, "libx", "amd64").is_some());
    }

    #[test]
    fn a_mark_on_the_native_architecture_is_that_of_a_package_for_all() {
        let status = "Package: d\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
        let database = parse_texts(&[status], "Package: d\nArchitecture: amd64\nAuto-Installed: 1\n");
        assert_eq!(get(&database, "d", "all").unwrap().package.mark, Mark::Auto);
    }

    #[test]
    fn a_package_to_be_reinstalled_is_incomplete() {
        let database = parse_texts(&["Package: d\nStatus: install reinstreq installed\nArchitecture: all\nVersion: 1\n"], "");
        assert_eq!(get(&database, "d", "all").unwrap().package.state, InstallState::Incomplete);
    }

    proptest! {
        #[test]
        fn garbage_gives_no_panic(texts in proptest::collection::vec("(?s).{0,300}", 0..4), marks in "(?s).{0,300}") {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let _ = parse_texts(&texts, &marks).into_inventory();
        }

        #[test]
        fn a_torn_status_file_loses_packages_at_its_end_only(end in 0..STATUS.len()) {
            let torn = parse_texts(&[&STATUS[..end]], "");
            let whole = parse_texts(&[STATUS], "");
            prop_assert!(torn.entries.len() <= whole.entries.len() + 1);
        }
    }
}

//! The files of an installed package: what dpkg recorded, where they really lie, and what they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use patchwave_common::domain::{PackageId, UnitName};

use super::layout::Layout;
use super::status::read_text;
use crate::packages::receipt::Hashing;
use crate::packages::{PackageError, PackagedFile};

/// Bound on one of dpkg's lists of a package's files: the largest in Debian are a few megabytes.
const LIST_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// dpkg's records of one package's files.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    layout: &'a Layout,
    id: &'a PackageId,
}

impl<'a> Files<'a> {
    pub(crate) fn new(layout: &'a Layout, id: &'a PackageId) -> Self {
        Self { layout, id }
    }

    /// One of dpkg's files about the package; empty where there is none. Packages that may stand beside their siblings of other
    /// architectures are named with theirs.
    fn info(&self, kind: &str) -> Result<String, PackageError> {
        for name in [format!("{}:{}.{kind}", self.id.name, self.id.architecture), format!("{}.{kind}", self.id.name)] {
            match read_text(&self.layout.info().join(name), LIST_MAX_BYTES) {
                Err(error) if error.is_not_found() => {}
                other => return other,
            }
        }
        Ok(String::new())
    }

    /// The checksums that dpkg recorded, by path.
    pub(crate) fn recorded(&self) -> Result<BTreeMap<String, String>, PackageError> {
        Ok(parse_checksums(&self.info("md5sums")?))
    }

    /// Every path of the package, in order.
    pub(crate) fn paths(&self) -> Result<BTreeSet<String>, PackageError> {
        Ok(self.info("list")?.lines().filter(|line| line.starts_with('/') && *line != "/.").map(str::to_owned).collect())
    }

    /// The packaged files that are no conffiles, as they are now; and those that are not as packaged (changed or deleted).
    pub(crate) fn examine(&self, conffiles: &BTreeSet<PathBuf>) -> Result<(Vec<PackagedFile>, Vec<PathBuf>), PackageError> {
        let recorded = self.recorded()?;
        let diversions = Diversions::read(self.layout)?;
        let (mut files, mut changed) = (Vec::new(), Vec::new());
        for path in self.paths()?.into_iter().chain(recorded.keys().cloned()).collect::<BTreeSet<_>>() {
            if conffiles.contains(Path::new(&path)) {
                continue;
            }
            let real = diversions.real(&path, self.id.name.as_str());
            let Some(content) = content(&self.layout.inside(real))? else {
                continue;
            };
            if recorded.get(&path).is_some_and(|checksum| content != format!("md5:{checksum}")) {
                changed.push(PathBuf::from(real));
            }
            files.push(PackagedFile { path: real.to_owned(), content });
        }
        Ok((files, changed))
    }

    /// The units that the package ships. Templates are left out: they run under other names.
    pub(crate) fn units(&self) -> Result<Vec<UnitName>, PackageError> {
        let directories = ["/lib/systemd/system", "/usr/lib/systemd/system"];
        let paths = self.paths()?;
        let units = paths.iter().filter_map(|path| {
            let (directory, name) = path.rsplit_once('/')?;
            let is_unit = [".service", ".socket", ".timer", ".path"].iter().any(|ending| name.ends_with(ending));
            (directories.contains(&directory) && is_unit && !name.contains("@.")).then(|| UnitName::parse(name).ok())?
        });
        Ok(units.collect())
    }
}

/// `HASH  path/without/leading/slash`, as dpkg and debhelper write it.
pub(super) fn parse_checksums(text: &str) -> BTreeMap<String, String> {
    let entries = text.lines().filter_map(|line| {
        let (checksum, path) = line.split_at_checked(32)?;
        let path = path.trim_start_matches([' ', '*']).trim_start_matches("./").trim_start_matches('/');
        let sound = checksum.bytes().all(|byte| byte.is_ascii_hexdigit()) && !path.is_empty();
        sound.then(|| (format!("/{path}"), checksum.to_ascii_lowercase()))
    });
    entries.collect()
}

/// What is at a path, as [`PackagedFile::content`] tells it; `None` for a directory.
pub(crate) fn content(path: &Path) -> Result<Option<String>, PackageError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Some("absent".to_owned()));
        }
        Err(error) => return Err(PackageError::io("examine", path)(error)),
    };
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).map_err(PackageError::io("read", path))?;
        return Ok(Some(format!("link:{}", target.display())));
    }
    if metadata.is_dir() {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Ok(Some("other".to_owned()));
    }
    let mut file = std::fs::File::open(path).map_err(PackageError::io("open", path))?;
    let mut hasher = <md5::Md5 as md5::Digest>::new();
    std::io::copy(&mut file, &mut Hashing(&mut hasher)).map_err(PackageError::io("read", path))?;
    let hash = md5::Digest::finalize(hasher).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(Some(format!("md5:{hash}")))
}

/// Paths that dpkg puts elsewhere for every package but one (dpkg-divert(1)).
#[derive(Debug, Default)]
pub(super) struct Diversions {
    /// From, to, and the package that keeps the path.
    entries: BTreeMap<String, (String, String)>,
}

impl Diversions {
    fn read(layout: &Layout) -> Result<Self, PackageError> {
        match read_text(&layout.dpkg().join("diversions"), LIST_MAX_BYTES) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Three lines each: from, to, package (`:` for a local diversion).
    pub(super) fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let entries = lines.chunks_exact(3).map(|three| (three[0].to_owned(), (three[1].to_owned(), three[2].to_owned())));
        Self { entries: entries.collect() }
    }

    pub(super) fn real<'a>(&'a self, path: &'a str, package: &str) -> &'a str {
        match self.entries.get(path) {
            Some((to, keeper)) if keeper != package => to,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn checksums_are_read_in_the_forms_that_packages_have() {
        let hash = "d41d8cd98f00b204e9800998ecf8427e";
        let text = format!("{hash}  usr/bin/a\n{hash} *usr/share/b c\n{hash}  ./etc/d\nnonsense\n{hash}\n");
        assert_eq!(parse_checksums(&text).into_keys().collect::<Vec<_>>(), ["/etc/d", "/usr/bin/a", "/usr/share/b c"]);
    }

    #[test]
    fn a_diverted_file_lies_elsewhere_for_all_but_the_diverting_package() {
        let diversions = Diversions::parse("/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/x\n/usr/bin/x.real\n:\n/torn\n");
        assert_eq!(diversions.real("/bin/sh", "bash"), "/bin/sh.distrib");
        assert_eq!(diversions.real("/bin/sh", "dash"), "/bin/sh");
        assert_eq!(diversions.real("/usr/bin/x", "x"), "/usr/bin/x.real");
    }

    proptest! {
        #[test]
        fn any_list_is_survived(text in "\\PC{0,200}|([0-9a-f]{30,34}[ *]{0,3}.{0,8}\n){0,8}") {
            let _ = (parse_checksums(&text), Diversions::parse(&text));
        }
    }
}

//! A directory that apt accepts as an archive: `dists/SUITE/…` is the index, `pool/…` the files.
//!
//! Changes gather in memory and reach apt with [`Repository::publish`]. Indexes are also stored under their hash
//! (`Acquire-By-Hash`), so that an `apt-get update` that runs while a new index appears still fits together.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::index::{self, Listed};
use crate::{Error, Package, deb, tool};

/// How an archive names itself; apt matches pins and allowed origins against these.
#[derive(Debug, Clone)]
pub struct ReleaseFields {
    /// Who runs it, such as `Debian`.
    pub origin: String,
    /// What it calls itself, such as `Debian-Security`.
    pub label: String,
    /// The suite, such as `stable-security`.
    pub suite: String,
    /// The code name, such as `bookworm-security`; the name that sources lines use here.
    pub codename: String,
    /// The only component, `main` as a rule.
    pub component: String,
    /// When apt stops trusting the index, in RFC 2822 form; `None` for never.
    pub valid_until: Option<String>,
}

impl ReleaseFields {
    /// An archive of one's own under one name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            origin: name.to_owned(),
            label: name.to_owned(),
            suite: "stable".to_owned(),
            codename: "stable".to_owned(),
            component: "main".to_owned(),
            valid_until: None,
        }
    }

    /// Poses as the security archive of a Debian release, such as `bookworm`.
    #[must_use]
    pub fn debian_security(release: &str) -> Self {
        Self {
            origin: "Debian".to_owned(),
            label: "Debian-Security".to_owned(),
            suite: "stable-security".to_owned(),
            codename: format!("{release}-security"),
            component: "main".to_owned(),
            valid_until: None,
        }
    }
}

/// A `.deb` on disk, with what its own control file says.
#[derive(Debug, Clone)]
pub struct PackageFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The binary package's name.
    pub name: String,
    /// The full version.
    pub version: String,
    /// Its architecture, `all` included.
    pub architecture: String,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// The file's length.
    pub size_bytes: u64,
    control: String,
}

impl PackageFile {
    /// Reads any `.deb`, made here or elsewhere.
    ///
    /// # Errors
    /// [`Error::ToolFailed`] if it is not a package, [`Error::Io`] if it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let control = tool::run("dpkg-deb", Command::new("dpkg-deb").arg("--field").arg(path))?;
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let field = |wanted: &str| {
            let found = control.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(':'));
            found.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        Ok(Self {
            path: path.to_owned(),
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
            sha256: index::sha256(&bytes),
            size_bytes: bytes.len() as u64,
            control,
        })
    }
}

/// What happens to the file of a version that leaves the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It stays in the pool: who knows its path can still download it.
    KeepFile,
    /// It goes, as superseded versions do in real archives.
    DeleteFile,
}

/// An archive with one suite and one component.
#[derive(Debug)]
pub struct Repository {
    directory: PathBuf,
    release: ReleaseFields,
    architectures: Vec<String>,
    /// By (name, version, architecture).
    listed: BTreeMap<(String, String, String), PackageFile>,
}

impl Repository {
    /// Makes an empty archive in `directory` (created if absent) for this machine's architecture, and publishes it.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without dpkg, [`Error::Io`] if it cannot be written.
    pub fn create(directory: &Path, release: ReleaseFields) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
        let repository =
            Self { directory: directory.to_owned(), release, architectures: vec![tool::native_architecture()?], listed: BTreeMap::new() };
        repository.publish()?;
        Ok(repository)
    }

    /// The directory to serve.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The line for `sources.list` when this directory is served as `url`.
    #[must_use]
    pub fn source_line(&self, url: &str) -> String {
        format!("deb [trusted=yes] {} {} {}", url.trim_end_matches('/'), self.release.codename, self.release.component)
    }

    /// Builds a package into the pool. Apt sees it after [`Self::publish`].
    ///
    /// # Errors
    /// As [`Package::build`], and [`Error::Conflict`] if the pool holds the same version with other contents.
    pub fn add(&mut self, package: &Package) -> Result<PackageFile, Error> {
        let scratch = tempfile::tempdir().map_err(Error::io("make a directory in", std::env::temp_dir()))?;
        self.add_file(&package.build(scratch.path())?.path)
    }

    /// Copies a `.deb` from elsewhere into the pool. Apt sees it after [`Self::publish`].
    ///
    /// # Errors
    /// As [`PackageFile::read`], and [`Error::Conflict`] if the pool holds the same version with other contents.
    pub fn add_file(&mut self, deb: &Path) -> Result<PackageFile, Error> {
        let mut file = PackageFile::read(deb)?;
        let target = self.pool_path(&file);
        if target.exists() {
            let present = fs::read(&target).map_err(Error::io("read", &target))?;
            if index::sha256(&present) != file.sha256 {
                return Err(Error::Conflict { path: target });
            }
        }
        let bytes = fs::read(deb).map_err(Error::io("read", deb))?;
        write_atomically(&target, &bytes)?;
        file.path = target;
        let architecture = &file.architecture;
        if architecture != "all" && !self.architectures.contains(architecture) {
            self.architectures.push(architecture.clone());
        }
        self.listed.insert((file.name.clone(), file.version.clone(), file.architecture.clone()), file.clone());
        Ok(file)
    }

    /// Takes one version (of all architectures) out of the index, from the next [`Self::publish`] on; with
    /// [`Published::DeleteFile`] its file goes at once, as in an archive whose mirror is ahead of one's own index.
    ///
    /// # Errors
    /// [`Error::NotListed`] if it was not in, [`Error::Io`] if its file cannot be deleted.
    pub fn withdraw(&mut self, name: &str, version: &str, then: Published) -> Result<(), Error> {
        let keys: Vec<_> = self.listed.keys().filter(|key| key.0 == name && key.1 == version).cloned().collect();
        if keys.is_empty() {
            return Err(Error::NotListed { name: name.to_owned(), version: version.to_owned() });
        }
        for key in keys {
            let Some(file) = self.listed.remove(&key) else {
                continue;
            };
            if then == Published::DeleteFile {
                fs::remove_file(&file.path).map_err(Error::io("delete", &file.path))?;
            }
        }
        Ok(())
    }

    /// Writes the index with today's date, so that the next `apt-get update` sees all changes.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn publish(&self) -> Result<(), Error> {
        let suite = self.directory.join("dists").join(&self.release.codename);
        let mut indexes = Vec::new();
        for architecture in &self.architectures {
            let path = format!("{}/binary-{architecture}/Packages", self.release.component);
            indexes.push((path, self.packages(architecture)));
        }
        for (path, text) in &indexes {
            let plain = suite.join(path);
            let by_hash = plain.with_file_name("by-hash").join("SHA256").join(index::sha256(text.as_bytes()));
            write_atomically(&by_hash, text.as_bytes())?;
            write_atomically(&plain, text.as_bytes())?;
        }
        let listed: Vec<Listed<'_>> = indexes.iter().map(|(path, text)| Listed { path, contents: text.as_bytes() }).collect();
        let architectures: Vec<&str> = self.architectures.iter().map(String::as_str).collect();
        #[allow(clippy::disallowed_methods)] // A real archive's date, which a real apt compares with its clock.
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
        let release = index::release(&self.release, &date, &architectures, &listed);
        write_atomically(&suite.join("Release"), release.as_bytes())
    }

    /// Every version that the index lists (or will list after the next publish), by name and version.
    pub fn listed(&self) -> impl Iterator<Item = &PackageFile> {
        self.listed.values()
    }

    fn packages(&self, architecture: &str) -> String {
        let own = self.listed.values().filter(|file| file.architecture == architecture || file.architecture == "all");
        own.map(|file| {
            let path = file.path.strip_prefix(&self.directory).unwrap_or(&file.path).to_string_lossy();
            index::paragraph(&file.control, &path, file.size_bytes, &file.sha256)
        })
        .collect()
    }

    fn pool_path(&self, file: &PackageFile) -> PathBuf {
        let name = deb::file_name(&file.name, &file.version, &file.architecture);
        self.directory.join("pool").join(&self.release.component).join(&file.name).join(name)
    }
}

/// Replaces `path` in one step, so that a reader sees the old contents or the new ones; makes parents.
fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::io("make", parent))?;
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(Error::io("write in", parent))?;
    file.write_all(contents).map_err(Error::io("write", path))?;
    // A temporary file is private; an archive is for everybody (apt downloads local files as the user _apt).
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(file.path(), readable).map_err(Error::io("set the mode of", path))?;
    file.persist(path).map_err(|failed| Error::io("write", path)(failed.error))?;
    Ok(())
}

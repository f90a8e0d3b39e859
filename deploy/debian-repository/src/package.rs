//! What a package consists of, as its author thinks of it. Says nothing of archives or hosts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, PackageFile, deb};

/// The moments at which dpkg runs a script of a package. Each body is POSIX shell under `set -e`, without the `#!` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaintainerScript {
    /// `preinst`, before unpacking.
    BeforeInstallation,
    /// `postinst`, to configure after unpacking.
    AfterInstallation,
    /// `prerm`, before files go.
    BeforeRemoval,
    /// `postrm`, after files went, and once more with `purge`.
    AfterRemoval,
}

impl MaintainerScript {
    /// The file's name inside the package.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::BeforeInstallation => "preinst",
            Self::AfterInstallation => "postinst",
            Self::BeforeRemoval => "prerm",
            Self::AfterRemoval => "postrm",
        }
    }
}

/// One file that a package brings.
#[derive(Debug, Clone)]
pub(crate) struct PackagedFile {
    pub(crate) contents: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) conffile: bool,
}

/// The description of one binary package in one version.
///
/// ```no_run
/// use patchwave_debian_repository::{MaintainerScript, Package};
///
/// let shop = Package::new("web-shop", "1.0-1")
///     .source("shop")
///     .depends("sqlite3")
///     .file("/usr/bin/web-shop", 0o755, "#!/bin/sh\nexec sleep infinity\n")
///     .conffile("/etc/web-shop.conf", 0o644, "port = 8080\n")
///     .service("web-shop.service", "[Service]\nExecStart=/usr/bin/web-shop\n")
///     .script(MaintainerScript::AfterInstallation, "echo configured");
/// shop.build("/tmp".as_ref())?;
/// # Ok::<(), patchwave_debian_repository::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) relations: BTreeMap<&'static str, Vec<String>>,
    pub(crate) files: BTreeMap<String, PackagedFile>,
    pub(crate) scripts: BTreeMap<MaintainerScript, String>,
    pub(crate) services: Vec<String>,
}

impl Package {
    /// An empty package for all architectures. Names and versions are checked when it is built.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "all".to_owned(),
            fields: BTreeMap::new(),
            relations: BTreeMap::new(),
            files: BTreeMap::new(),
            scripts: BTreeMap::new(),
            services: Vec::new(),
        }
    }

    /// The binary package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full version, with epoch and revision if it has them.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Makes the same package in another version: the way to describe an update.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Restricts the package to one architecture, such as `amd64`.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// The source package that this one is built from, where its name differs; `"shop (2.0-1)"` where the version does too.
    #[must_use]
    pub fn source(self, source: &str) -> Self {
        self.field("Source", source)
    }

    /// Any other field of the control file, such as `Priority`, `Multi-Arch` or `Phased-Update-Percentage`.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds one dependency, such as `"libshop1 (>= 1.2)"`.
    #[must_use]
    pub fn depends(self, on: &str) -> Self {
        self.relation("Depends", on)
    }

    /// Adds one conflicting package: apt has to remove it.
    #[must_use]
    pub fn conflicts(self, with: &str) -> Self {
        self.relation("Conflicts", with)
    }

    /// Adds one relation of another kind: `Pre-Depends`, `Breaks`, `Replaces`, `Provides`, `Recommends`.
    #[must_use]
    pub fn relation(mut self, kind: &'static str, to: &str) -> Self {
        self.relations.entry(kind).or_default().push(to.to_owned());
        self
    }

    /// Adds a file; `mode` is its permission bits. It belongs to root.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Self {
        let file = PackagedFile { contents: contents.as_ref().to_vec(), mode, conffile: false };
        self.files.insert(path.to_owned(), file);
        self
    }

    /// Adds a configuration file: dpkg keeps an administrator's edit of it.
    #[must_use]
    pub fn conffile(mut self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Self {
        let file = PackagedFile { contents: contents.as_ref().to_vec(), mode, conffile: true };
        self.files.insert(path.to_owned(), file);
        self
    }

    /// Leaves out a file that [`Self::with_version`] would otherwise carry over.
    #[must_use]
    pub fn without_file(mut self, path: &str) -> Self {
        self.files.remove(path);
        self
    }

    /// Sets the body of one maintainer script (shell under `set -e`, no `#!` line); a second call replaces the first.
    ///
    /// In a sandbox `DPKG_ROOT` holds the root's path, on a real host it is empty: write `"$DPKG_ROOT/var/lib/…"`.
    #[must_use]
    pub fn script(mut self, when: MaintainerScript, body: &str) -> Self {
        self.scripts.insert(when, body.to_owned());
        self
    }

    /// Adds a systemd unit that is enabled and started on installation, restarted on upgrade and stopped on removal, as
    /// Debian's own packages do. Where systemd does not run (a sandbox, a chroot) the unit is only a file.
    #[must_use]
    pub fn service(mut self, unit: &str, contents: &str) -> Self {
        if !self.services.iter().any(|known| known == unit) {
            self.services.push(unit.to_owned());
        }
        self.file(&format!("/usr/lib/systemd/system/{unit}"), 0o644, contents)
    }

    /// Builds the `.deb` in `directory` and returns what is in it. The same description gives the same bytes.
    ///
    /// # Errors
    /// [`Error::InvalidPackage`] if Debian's rules forbid a name, version or path; [`Error::ToolMissing`],
    /// [`Error::ToolFailed`] or [`Error::Io`] if it cannot be built.
    pub fn build(&self, directory: &Path) -> Result<PackageFile, Error> {
        deb::build(self, directory)
    }
}

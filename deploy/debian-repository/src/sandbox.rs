//! A package root of its own for apt and dpkg, usable by an ordinary user on a machine whose own packages stay untouched.
//!
//! Apt is pointed at the root by one configuration file (`APT_CONFIG`), dpkg by options in it; maintainer scripts run
//! unchrooted with `DPKG_ROOT` set. The machine's own apt configuration and hooks are not read. **Never run it as root**:
//! a maintainer script that ignores `DPKG_ROOT` would then change the real system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, tool};

/// What dpkg and apt expect to find in a root.
const DIRECTORIES: [&str; 11] = [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "etc/apt/trusted.gpg.d",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/dpkg/triggers",
    "var/lib/apt/lists/partial",
    "var/lib/apt/periodic",
    "var/cache/apt/archives/partial",
    "var/log/apt",
];

/// A laid-out root. Dropping it deletes nothing.
#[derive(Debug, Clone)]
pub struct Sandbox {
    root: PathBuf,
}

impl Sandbox {
    /// Lays out an empty root in `directory` (made if absent; what is installed there stays) with these sources lines.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn create(directory: &Path, sources: &[String]) -> Result<Self, Error> {
        for each in DIRECTORIES {
            let path = directory.join(each);
            fs::create_dir_all(&path).map_err(Error::io("make", path))?;
        }
        let root = directory.canonicalize().map_err(Error::io("resolve", directory))?;
        let sandbox = Self { root };
        let status = sandbox.root.join("var/lib/dpkg/status");
        if !status.exists() {
            sandbox.write("var/lib/dpkg/status", "")?;
        }
        sandbox.write("etc/apt/apt.conf", &sandbox.apt_configuration())?;
        sandbox.set_sources(sources)?;
        Ok(sandbox)
    }

    /// The root directory, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file to name in `APT_CONFIG` for every apt program.
    #[must_use]
    pub fn apt_configuration_path(&self) -> PathBuf {
        self.root.join("etc/apt/apt.conf")
    }

    /// Replaces the sources.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn set_sources(&self, sources: &[String]) -> Result<(), Error> {
        self.write("etc/apt/sources.list", &(sources.join("\n") + "\n"))
    }

    /// Runs an apt program (`apt-get`, `apt-cache`, `apt-mark`) on this root, without questions; returns standard output.
    ///
    /// # Errors
    /// [`Error::Io`] if the root's configuration is gone: apt would then work on the machine's own packages.
    /// [`Error::ToolFailed`] with what apt said, [`Error::ToolMissing`] without apt.
    pub fn apt(&self, program: &str, arguments: &[&str]) -> Result<String, Error> {
        let configuration = self.apt_configuration_path();
        fs::metadata(&configuration).map_err(Error::io("read", configuration))?;
        tool::run(program, self.command(program).args(arguments))
    }

    /// The start of a command line for an apt program on this root, for callers that run it themselves.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Apt only warns when APT_CONFIG is missing and goes on with the machine's own root, so name this one here too.
        command.arg("-o").arg(format!("Dir={}", self.root.display()));
        command.arg("-o").arg(format!("Dir::State::status={}", self.root.join("var/lib/dpkg/status").display()));
        // Ordinary users often lack the sbin directories, without which dpkg refuses to run.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("APT_CONFIG", self.apt_configuration_path()).env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        command
    }

    /// The installed version of a package, as dpkg's database says; `None` unless it is wholly installed.
    ///
    /// # Errors
    /// [`Error::ToolMissing`] without dpkg.
    pub fn installed_version(&self, package: &str) -> Result<Option<String>, Error> {
        let mut command = Command::new("dpkg-query");
        command.arg(format!("--admindir={}", self.root.join("var/lib/dpkg").display()));
        command.args(["--show", "--showformat=${db:Status-Status} ${Version}", package]);
        match tool::run("dpkg-query", &mut command) {
            Ok(text) => Ok(text.strip_prefix("installed ").map(str::to_owned)),
            Err(Error::ToolFailed { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn apt_configuration(&self) -> String {
        let root = self.root.display();
        format!(
            r#"Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Etc::main "";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Debug::NoLocking "false";
DPkg::Options {{ "--root={root}"; "--force-not-root"; "--force-script-chrootless"; "--log={root}/var/log/dpkg.log"; }};
"#
        )
    }

    fn write(&self, path: &str, contents: &str) -> Result<(), Error> {
        let path = self.root.join(path);
        fs::write(&path, contents).map_err(Error::io("write", &path))
    }
}

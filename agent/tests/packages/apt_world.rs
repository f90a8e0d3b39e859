//! The contract's world for dpkg and apt: real packages from a real archive, in a root of their own.

use std::path::Path;
use std::process::Command;

use patchwave_agent::packages::apt::Apt;
use patchwave_agent::packages::{CommandSpec, PackageManager, PackageSettings, Step};
use patchwave_debian_repository::{MaintainerScript, Package, Published, ReleaseFields, Repository, RepositoryServer, Sandbox};

use crate::world::{Spec, World};

pub struct AptWorld {
    directory: tempfile::TempDir,
    pub repository: Repository,
    pub server: RepositoryServer,
    pub sandbox: Sandbox,
    pub apt: Apt,
}

impl AptWorld {
    /// `None`, loudly, where there is no apt.
    pub fn new() -> Option<Self> {
        if Command::new("apt-get").arg("--version").output().is_err() {
            eprintln!("LEFT OUT: there is no apt-get here, so the contract was not tried on dpkg and apt");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::create(&directory.path().join("security"), ReleaseFields::debian_security("bookworm")).unwrap();
        let server = RepositoryServer::start("127.0.0.1:0".parse().unwrap(), directory.path()).unwrap();
        let source = repository.source_line(&format!("{}/security", server.url()));
        let sandbox = Sandbox::create(&directory.path().join("root"), &[source]).unwrap();
        let apt = Apt::open(&Self::settings(&directory, &sandbox)).unwrap();
        Some(Self { directory, repository, server, sandbox, apt })
    }

    fn settings(directory: &tempfile::TempDir, sandbox: &Sandbox) -> PackageSettings {
        PackageSettings {
            root: Some(sandbox.root().to_owned()),
            state_dir: directory.path().join("state"),
            stage_limit_bytes: 64 * 1024 * 1024,
            keep_free_bytes: 1024 * 1024,
        }
    }

    /// The same host with other settings.
    pub fn reopened(&self, change: impl FnOnce(&mut PackageSettings)) -> Apt {
        let mut settings = Self::settings(&self.directory, &self.sandbox);
        change(&mut settings);
        Apt::open(&settings).unwrap()
    }

    pub fn publish_packages(&mut self, packages: &[Package]) {
        for package in packages {
            self.repository.add(package).unwrap();
        }
        self.repository.publish().unwrap();
        self.apt.refresh().unwrap();
    }
}

pub fn debian(spec: &Spec) -> Package {
    let mut package = Package::new(spec.name, spec.version);
    for name in spec.depends {
        package = package.depends(name);
    }
    for name in spec.conflicts {
        package = package.conflicts(name);
    }
    for (path, contents) in &spec.conffiles {
        package = package.conffile(path, 0o644, contents);
    }
    for (path, contents) in &spec.files {
        package = package.file(path, 0o644, contents);
    }
    package = package.file(&format!("/usr/share/{}/build", spec.name), 0o644, spec.build.to_string());
    if spec.broken {
        package = package.script(MaintainerScript::AfterInstallation, "echo broken >&2; exit 1");
    }
    package
}

pub fn run_command(command: &CommandSpec) -> Result<(), String> {
    let mut process = Command::new(&command.program);
    process.args(&command.arguments).env_clear().envs(&command.environment).stdin(std::process::Stdio::null());
    let output = process.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

impl World for AptWorld {
    fn manager(&self) -> &dyn PackageManager {
        &self.apt
    }

    fn root(&self) -> &Path {
        self.sandbox.root()
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn publish(&mut self, packages: &[Spec]) {
        let packages: Vec<Package> = packages.iter().map(debian).collect();
        self.publish_packages(&packages);
    }

    fn withdraw(&mut self, name: &str, version: &str) {
        self.repository.withdraw(name, version, Published::DeleteFile).unwrap();
        self.repository.publish().unwrap();
        self.apt.refresh().unwrap();
    }

    fn install(&mut self, name: &str, version: &str) {
        self.sandbox.apt("apt-get", &["-y", "install", &format!("{name}={version}")]).unwrap();
        // What apt keeps of it is not part of the host's past in these tests.
        self.sandbox.apt("apt-get", &["clean"]).unwrap();
    }

    fn mark_auto(&mut self, name: &str) {
        self.sandbox.apt("apt-mark", &["auto", name]).unwrap();
    }

    fn hold(&mut self, name: &str, held: bool) {
        self.sandbox.apt("apt-mark", &[if held { "hold" } else { "unhold" }, name]).unwrap();
    }

    fn pin_away(&mut self, name: &str, version: &str) {
        let path = self.root().join("etc/apt/preferences.d/administrator.pref");
        std::fs::write(path, format!("Package: {name}\nPin: version {version}\nPin-Priority: -1\n")).unwrap();
    }

    /// The witness is dpkg's own log: it has every unpacking and configuring.
    fn history(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.root().join("var/log/dpkg.log")).unwrap_or_default();
        log.lines()
            .filter_map(|line| line.get(20..))
            .filter(|line| !line.starts_with("status") && !line.starts_with("startup"))
            .map(str::to_owned)
            .collect()
    }

    fn run(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Perform(action) => self.apt.perform(action).map_err(|error| error.to_string()),
            Step::Run(command) => run_command(command),
        }
    }
}

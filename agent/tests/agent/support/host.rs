//! A host with simulated packages, and its agent as a process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use patchwave_agent::packages::simulated::{Simulated, SimulatedPackage};
use patchwave_common::domain::{Architecture, Mark, PackageName, PackageVersion};

use super::{Controller, PATIENCE};

/// The agent's binary.
const AGENT: &str = env!("CARGO_BIN_EXE_patchwave-agent");

/// A package of the simulated world.
pub fn package(name: &str, version: &str) -> SimulatedPackage {
    let architecture = Architecture::parse("all").unwrap();
    let mut package = SimulatedPackage::new(PackageName::parse(name).unwrap(), PackageVersion::parse(version).unwrap(), architecture);
    package.files.insert(format!("/usr/share/{name}"), version.to_owned());
    package
}

/// A host of its own directories.
pub struct Host {
    directory: tempfile::TempDir,
    pub packages: Simulated,
}

impl Host {
    /// A host with these packages in version 1; the archive offers them in version 1 and, where told, in 2.
    pub fn new(installed: &[&str], newer: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let packages = Simulated::open(&directory.path().join("root")).unwrap();
        for name in installed {
            packages.install(&package(name, "1"), Mark::Manual).unwrap();
        }
        let archive = installed.iter().map(|name| package(name, "1")).chain(newer.iter().map(|name| package(name, "2"))).collect();
        packages.change(|state| state.archive = archive).unwrap();
        let host = Self { directory, packages };
        let text = format!(
            "state_dir = {:?}\nchecks_dir = {:?}\nhooks_dir = {:?}\n[packages]\nmanager = \"simulated\"\nroot = {:?}\nkeep_free_mib = 1\n",
            host.state_dir(),
            host.path("checks.d"),
            host.path("hooks.d"),
            host.path("root"),
        );
        std::fs::write(host.path("agent.toml"), text).unwrap();
        host
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// A command of this host's agent that is about to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(AGENT);
        command.args(arguments).arg("--config").arg(self.path("agent.toml"));
        command
            .env_remove("COLUMNS")
            .env_remove("PATCHWAVE_TOKEN")
            .env_remove("NOTIFY_SOCKET")
            .env("PATCHWAVE_LOG", "debug,h2=info,hyper=info,tower=info");
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its data.
    pub fn ask(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The data of a command that may have found fault.
    pub fn ask_anyway(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub fn enrol(&self, controller: &Controller) {
        let token = self.path("join-token");
        std::fs::write(&token, controller.token()).unwrap();
        let fingerprint = controller.fingerprint.to_string();
        let token = token.to_str().unwrap();
        let output = self.run(&["enroll", "--controller", &controller.url, "--fingerprint", &fingerprint, "--token-file", token]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the agent; its log goes to a file that a failing test prints.
    pub fn start(&self) -> Running {
        self.start_with(self.command(&["run"]))
    }

    pub fn start_with(&self, mut command: Command) -> Running {
        let log = self.path("agent.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Running { child: Some(child), log }
    }
}

/// A running agent; killed when dropped.
pub struct Running {
    child: Option<Child>,
    log: PathBuf,
}

impl Running {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Asks it to end, and returns how it did and how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        let status = self.child.take().unwrap().wait().unwrap();
        (status, started.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the agent's log\n{}", self.log());
        }
    }
}

/// Waits until `look` finds something on disk, where another process puts it and tells nobody.
#[allow(clippy::disallowed_methods)]
pub fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file's permission bits.
pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().mode() & 0o777
}

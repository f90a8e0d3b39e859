//! What system tests need of the machine, and how a test says that it cannot run.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Programs that system tests run, with the Debian package of each.
const TOOLS: [(&str, &str); 10] = [
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("chroot", "coreutils"),
    ("timeout", "coreutils"),
    ("dpkg-deb", "dpkg"),
    ("apt-get", "apt"),
    ("faketime", "faketime"),
];

/// Set by `tests/run` where everything is expected to run: leaving a test out is then a failure.
const NOTHING_LEFT_OUT_VARIABLE: &str = "PATCHWAVE_TESTS_LEAVE_NOTHING_OUT";

/// Set by `tests/run` to the file that gathers the lines for its closing summary.
const LEFT_OUT_FILE_VARIABLE: &str = "PATCHWAVE_TESTS_LEFT_OUT_FILE";

/// Set by `tests/run --no-hosts`.
const WITHOUT_HOSTS_VARIABLE: &str = "PATCHWAVE_TESTS_WITHOUT_HOSTS";

/// This machine, as far as it matters for system tests.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

impl Machine {
    /// Everything missing for system tests, in words; empty if they can run.
    #[must_use]
    pub fn lacks() -> Vec<String> {
        let mut lacks = Vec::new();
        if std::env::var_os(WITHOUT_HOSTS_VARIABLE).is_some() {
            lacks.push(format!("hosts, which {WITHOUT_HOSTS_VARIABLE} forbids"));
        }
        if !rustix::process::geteuid().is_root() {
            lacks.push("root (mounts and network namespaces need it)".to_owned());
        }
        for (tool, package) in TOOLS {
            if !Self::has_tool(tool) {
                lacks.push(format!("{tool} (hint: apt-get install {package})"));
            }
        }
        if !Path::new("/usr/lib/apt/apt-helper").exists() {
            lacks.push("apt-helper (hint: apt-get install apt)".to_owned());
        }
        let systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !systems.lines().any(|line| line.ends_with("\toverlay")) {
            lacks.push("the overlay file system in the kernel (hint: modprobe overlay)".to_owned());
        }
        lacks
    }

    /// Whether a program is on the search path or in a system directory.
    #[must_use]
    pub fn has_tool(name: &str) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/sbin"].map(Into::into);
        std::env::split_paths(&path).chain(system).any(|directory| directory.join(name).is_file())
    }
}

/// Says that a test or a part of one was left out and why, on standard error and in the summary of `tests/run`.
///
/// # Panics
/// Where `tests/run` expects everything to run: leaving out is a failure there.
#[allow(clippy::panic, clippy::print_stderr)] // This is a test's verdict.
pub fn left_out(what: &str, why: &str) {
    let line = format!("LEFT OUT: {what}: {why}");
    assert!(std::env::var_os(NOTHING_LEFT_OUT_VARIABLE).is_none(), "{line}, though everything should run here");
    say_left_out(what, why);
}

/// As [`left_out`], for what no installation can bring: what is lacking came not with the source, such as its history.
///
/// # Panics
/// If the summary's file cannot be written.
#[allow(clippy::panic, clippy::print_stderr)] // This is a test's verdict.
pub fn say_left_out(what: &str, why: &str) {
    let line = format!("LEFT OUT: {what}: {why}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os(LEFT_OUT_FILE_VARIABLE) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        assert!(written.is_ok(), "cannot write the summary's file: {written:?}");
    }
}

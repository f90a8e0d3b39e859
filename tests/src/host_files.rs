//! A host's files and packages: in, out, and what dpkg and apt say.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};

use crate::Host;
use crate::command::{Finished, TOOL_LIMIT};

/// One `Start-Date … End-Date` entry of apt's history log: the witness of what was really done, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptTransaction {
    /// The command line that apt recorded.
    pub command: String,
    /// `Install`, `Upgrade`, `Downgrade`, `Remove`, `Purge` or `Reinstall`, each with apt's list of packages and versions.
    pub actions: Vec<(String, String)>,
    /// What went wrong, if apt says so.
    pub error: Option<String>,
}

impl Host {
    /// Writes a file inside, making its directories; `mode` in octal, such as `"0644"`. Replaces what was there.
    ///
    /// # Errors
    /// If the host does not run or the file cannot be written.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>, mode: &str) -> Result<()> {
        let mut install = self.command(TOOL_LIMIT, "install")?;
        install.args(["-D", "--mode", mode, "/dev/stdin", path]);
        install.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = install.spawn().context("cannot start nsenter")?;
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(contents.as_ref()));
        let output = child.wait_with_output().context("cannot wait for nsenter")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Finished { status: output.status, stdout: String::new(), stderr: said }.into_stdout(&format!("write {path} in {}", self.name()))?;
        written.with_context(|| format!("cannot write {path} in {}", self.name()))
    }

    /// Reads a file inside.
    ///
    /// # Errors
    /// If the host does not run or the file cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        self.run("cat", &["--", path])
    }

    /// Reads a file inside that is not text.
    ///
    /// # Errors
    /// If the host does not run or the file cannot be read.
    pub fn read_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let output = self.command(TOOL_LIMIT, "cat")?.args(["--", path]).output().context("cannot start nsenter")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Finished { status: output.status, stdout: String::new(), stderr: said }.into_stdout(&format!("read {path} in {}", self.name()))?;
        Ok(output.stdout)
    }

    /// Whether there is anything at `path`.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.try_run("test", &["-e", path])?.status.success())
    }

    /// Copies a file of the machine in.
    ///
    /// # Errors
    /// If either file cannot be read or written.
    pub fn copy_in(&self, from: &Path, to: &str, mode: &str) -> Result<()> {
        let contents = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(to, contents, mode)
    }

    /// Copies a file out to the machine.
    ///
    /// # Errors
    /// If either file cannot be read or written.
    pub fn copy_out(&self, from: &str, to: &Path) -> Result<()> {
        std::fs::write(to, self.read_bytes(from)?).with_context(|| format!("cannot write {}", to.display()))
    }

    /// Runs apt-get without questions; it must succeed.
    ///
    /// # Errors
    /// With what apt said.
    pub fn apt_get(&self, arguments: &[&str]) -> Result<String> {
        self.run("apt-get", &[&["--yes", "--quiet"], arguments].concat())
    }

    /// The version of a package if it is wholly installed, as dpkg-query says.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn installed_version(&self, package: &str) -> Result<Option<String>> {
        let shown = self.try_run("dpkg-query", &["--show", "--showformat=${db:Status-Status} ${Version}", package])?;
        Ok(shown.stdout.strip_prefix("installed ").map(str::to_owned))
    }

    /// Everything installed, as `name:architecture version` lines in order: for comparing a host before and after.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn installed(&self) -> Result<Vec<String>> {
        let shown =
            self.run("dpkg-query", &["--show", "--showformat=${binary:Package}:${Architecture} ${Version} ${db:Status-Status}\n"])?;
        Ok(shown.lines().map(str::to_owned).collect())
    }

    /// The packages marked as installed automatically.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn automatic(&self) -> Result<Vec<String>> {
        Ok(self.run("apt-mark", &["showauto"])?.lines().map(str::to_owned).collect())
    }

    /// Apt's own record of its transactions, oldest first.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn apt_history(&self) -> Result<Vec<AptTransaction>> {
        if !self.exists("/var/log/apt/history.log")? {
            return Ok(Vec::new());
        }
        Ok(parse_history(&self.read("/var/log/apt/history.log")?))
    }

    /// Adds a source beside those of Debian's archive and reads all indexes.
    ///
    /// # Errors
    /// With what apt said.
    pub fn add_source(&self, name: &str, line: &str) -> Result<()> {
        self.write(&format!("/etc/apt/sources.list.d/{name}.list"), format!("{line}\n"), "0644")?;
        self.apt_get(&["update", "-o", "APT::Update::Error-Mode=any"]).map(|_| ())
    }

    /// Gives the file system at `path` a size of its own, so that it can run full; what was there is hidden until a reboot.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn limit_disk(&self, path: &str, size_bytes: u64) -> Result<()> {
        self.run("mkdir", &["--parents", path])?;
        self.run("mount", &["-t", "tmpfs", "-o", &format!("size={size_bytes}"), "tmpfs", path]).map(|_| ())
    }

    /// Puts the civil clock of a service this many seconds ahead (or behind, if negative), for it and what it starts, from its
    /// next start on; 0 puts it right. Clocks that count from boot are not moved, as when somebody sets the date.
    ///
    /// # Errors
    /// If the library for it is not on this machine, or the host does not run.
    pub fn shift_clock_of(&self, unit: &str, seconds: i64) -> Result<()> {
        let library = "/usr/local/lib/libfaketime.so.1";
        self.copy_in(&faketime_library()?, library, "0644")?;
        let variables = format!("LD_PRELOAD={library} FAKETIME={seconds:+} FAKETIME_DONT_FAKE_MONOTONIC=1");
        let text = if seconds == 0 { String::new() } else { format!("[Service]\nEnvironment={variables}\n") };
        self.write(&format!("/etc/systemd/system/{unit}.d/90-shifted-clock.conf"), text, "0644")?;
        self.run("systemctl", &["daemon-reload"]).map(|_| ())
    }

    /// Copies directories and files with owners and modes to the same places in another host: what a cloned disk has in common.
    ///
    /// # Errors
    /// If one of the hosts does not run or a path is not there.
    pub fn copy_to(&self, other: &Self, paths: &[&str]) -> Result<()> {
        let archive = "/tmp/patchwave-tests-copied.tar";
        self.run("tar", &[&["--create", "--absolute-names", "--file", archive], paths].concat())?;
        other.write(archive, self.read_bytes(archive)?, "0600")?;
        other.run("tar", &["--extract", "--absolute-names", "--same-owner", "--file", archive])?;
        self.run("rm", &[archive])?;
        other.run("rm", &[archive]).map(|_| ())
    }
}

/// Where Debian's libfaketime package keeps its library for a machine's architecture.
fn faketime_library() -> Result<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").context("cannot read /usr/lib")?.flatten();
    let mut found = libraries.map(|entry| entry.path().join("faketime/libfaketime.so.1")).filter(|path| path.exists());
    found.next().context("no libfaketime (hint: apt-get install faketime)")
}

fn parse_history(text: &str) -> Vec<AptTransaction> {
    let mut transactions = Vec::new();
    for entry in text.split("\n\n").filter(|entry| !entry.trim().is_empty()) {
        let mut transaction = AptTransaction { command: String::new(), actions: Vec::new(), error: None };
        for (field, value) in entry.lines().filter_map(|line| line.split_once(": ")) {
            match field {
                "Commandline" => value.clone_into(&mut transaction.command),
                "Error" => transaction.error = Some(value.to_owned()),
                "Install" | "Upgrade" | "Downgrade" | "Remove" | "Purge" | "Reinstall" => {
                    transaction.actions.push((field.to_owned(), value.to_owned()));
                }
                _ => {}
            }
        }
        transactions.push(transaction);
    }
    transactions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from a bookworm host of this harness.
    const HISTORY: &str = "\nStart-Date: 2026-11-23  11:00:00\nCommandline: apt-get --yes install perl-base=5.36.0-7+deb12u3\n\
        Upgrade: perl-base:amd64 (5.36.0-7+deb12u2, 5.36.0-7+deb12u3)\nEnd-Date: 2026-11-23  11:00:02\n\
        \nStart-Date: 2026-11-23  11:00:05\nCommandline: apt-get --yes install x\nInstall: x:amd64 (1.0)\n\
        Error: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: 2026-11-23  11:00:06\n";

    #[test]
    fn apts_history_tells_what_was_done_and_what_failed() {
        let history = parse_history(HISTORY);
        assert_eq!(history.len(), 2);
        let upgraded = "perl-base:amd64 (5.36.0-7+deb12u2, 5.36.0-7+deb12u3)".to_owned();
        assert_eq!(history.first().map(|first| first.actions.clone()), Some(vec![("Upgrade".to_owned(), upgraded)]));
        assert!(history.last().is_some_and(|last| last.error.as_deref().is_some_and(|error| error.contains("dpkg"))));
    }
}

//! One Debian host: booting, rebooting, cutting off, and running programs in it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, Finished, TOOL_LIMIT};
use crate::container::{Container, Supervisor};
use crate::network::Connection;
use crate::overlay::Overlay;
use crate::slot::Slot;
use crate::wait_for;

/// Longest boot; under a second alone, some seconds when ten boot at once on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// Longest orderly shutdown: systemd's own limit for a stubborn unit is 90 s.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(120);

/// A booted Debian with an address of its own. It goes with its [`crate::Fleet`].
#[derive(Debug)]
pub struct Host {
    name: String,
    connection: Connection,
    overlay: Overlay,
    supervisor: Supervisor,
}

impl Host {
    /// Makes the host and begins to boot it.
    pub(crate) fn create(slot: &Slot, layers: &[PathBuf], name: &str, number: u8, proxy: &str) -> Result<Self> {
        let valid = !name.is_empty() && name.len() <= 32 && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '-');
        if !valid {
            bail!("{name:?} is no host name (hint: letters, digits and -, at most 32)");
        }
        let connection = Connection::make(slot, name, number)?;
        let directory = slot.directory().join(name);
        let overlay = Overlay::mount(layers, &directory)?;
        let write = |path: &str, text: String| std::fs::write(overlay.root().join(path), text);
        write("etc/hostname", format!("{name}\n")).context("cannot name the host")?;
        write("etc/apt/apt.conf.d/91patchwave-tests-proxy", format!("Acquire::http::Proxy \"{proxy}\";\n"))?;
        // The machine's own repositories on the bridge are reached directly.
        let direct = format!("Acquire::http::Proxy::{} \"DIRECT\";\n", slot.gateway());
        write("etc/apt/apt.conf.d/92patchwave-tests-direct", direct)?;
        let supervisor = Supervisor::new(Container {
            machine_name: format!("{}{name}", slot.prefix()),
            hostname: name.to_owned(),
            root: overlay.root().to_owned(),
            namespace: connection.namespace_path(),
            console: directory.join("console.log"),
        });
        supervisor.start()?;
        Ok(Self { name: name.to_owned(), connection, overlay, supervisor })
    }

    /// Its name, also its hostname.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the fleet's bridge.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.connection.address
    }

    /// Its root directory seen from the machine: for looking into a host that does not run. What it mounted itself (/run,
    /// /tmp) is not in there.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.overlay.root()
    }

    /// A command that runs `program` inside, ended after `limit` (exit status 124). Append arguments, then run it as you like.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn command(&self, limit: Duration, program: &str) -> Result<Command> {
        let leader = self.supervisor.leader().with_context(|| format!("{} does not run", self.name))?;
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(leader.as_raw_nonzero().to_string()).args(["--all", "--", "env", "-i"]);
        command.args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "timeout", "--kill-after=5", &limit.as_secs().max(1).to_string()]);
        command.arg(program).stdin(std::process::Stdio::null());
        Ok(command)
    }

    /// Runs a program inside to its end, whatever its exit status; at most two minutes.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn try_run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        command::finish(self.command(TOOL_LIMIT, program)?.args(arguments))
    }

    /// Runs a program inside, which must succeed within two minutes; returns its standard output.
    ///
    /// # Errors
    /// With everything it said, if it fails or the host does not run.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let what = format!("{}: {program} {}", self.name, arguments.join(" "));
        self.try_run(program, arguments)?.into_stdout(&what)
    }

    /// `running` when all is well, `degraded` when a unit failed, and systemd's other words.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn system_state(&self) -> Result<String> {
        Ok(self.try_run("systemctl", &["is-system-running"])?.stdout.trim().to_owned())
    }

    /// The failed units, by name.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn failed_units(&self) -> Result<Vec<String>> {
        let list = self.run("systemctl", &["list-units", "--state=failed", "--plain", "--no-legend"])?;
        Ok(list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Identifies the present boot.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn boot_id(&self) -> Result<String> {
        Ok(self.run("cat", &["/proc/sys/kernel/random/boot_id"])?.trim().to_owned())
    }

    /// Waits until systemd has finished booting, with or without failed units.
    ///
    /// # Errors
    /// With the console's end, if it does not.
    pub fn wait_until_booted(&self) -> Result<()> {
        let booted = wait_for(&format!("{} to boot", self.name), BOOT_LIMIT, || {
            if !self.supervisor.is_up() {
                bail!("{} ended while booting", self.name);
            }
            // Fails until its init is far enough to be asked; `--wait` then answers at the end of the boot.
            let state = self.try_run("systemctl", &["is-system-running", "--wait"]).map(|finished| finished.stdout);
            Ok(matches!(state.as_deref().map(str::trim), Ok("running" | "degraded")).then_some(()))
        });
        booted.with_context(|| format!("console of {}:\n{}", self.name, self.supervisor.console()))
    }

    /// Reboots in an orderly way and waits until it is up again.
    ///
    /// # Errors
    /// If it does not go down or does not come up.
    pub fn reboot(&self) -> Result<()> {
        let before = self.supervisor.boots();
        self.run("systemctl", &["--no-block", "reboot"])?;
        self.wait_until_booted_again(before)
    }

    /// Waits until it has been booted more than `before` times (see [`Self::boots`]) and is up: for a reboot by other hands.
    ///
    /// # Errors
    /// If that does not happen.
    pub fn wait_until_booted_again(&self, before: u32) -> Result<()> {
        wait_for(&format!("{} to go down", self.name), SHUTDOWN_LIMIT, || Ok((self.supervisor.boots() > before).then_some(())))?;
        self.wait_until_booted()
    }

    /// How often it was booted so far.
    #[must_use]
    pub fn boots(&self) -> u32 {
        self.supervisor.boots()
    }

    /// Shuts down in an orderly way; [`Self::start`] boots it again.
    ///
    /// # Errors
    /// If it does not end.
    pub fn power_off(&self) -> Result<()> {
        self.run("systemctl", &["--no-block", "poweroff"])?;
        self.supervisor.wait_for_end(SHUTDOWN_LIMIT).map(|_| ())
    }

    /// Kills everything inside at once, as if the plug were pulled; [`Self::start`] boots it again.
    ///
    /// # Errors
    /// If it does not end.
    pub fn pull_the_plug(&self) -> Result<()> {
        self.supervisor.kill()
    }

    /// Boots a host that was powered off or killed, and waits until it is up.
    ///
    /// # Errors
    /// If it runs already or does not come up.
    pub fn start(&self) -> Result<()> {
        self.supervisor.start()?;
        self.wait_until_booted()
    }

    /// Cuts it off the network; its processes go on.
    ///
    /// # Errors
    /// If the machine's end of its link cannot be taken down.
    pub fn cut_off(&self) -> Result<()> {
        self.connection.cut()
    }

    /// Ends [`Self::cut_off`].
    ///
    /// # Errors
    /// If the link cannot be brought up.
    pub fn reconnect(&self) -> Result<()> {
        self.connection.restore()
    }

    /// The last lines of a unit's journal, of all boots.
    ///
    /// # Errors
    /// If the host does not run.
    pub fn journal(&self, unit: &str, lines: u32) -> Result<String> {
        self.run("journalctl", &["--no-pager", "--output=short-precise", "--unit", unit, "--lines", &lines.to_string()])
    }

    /// What its console showed last: the place to look when it does not boot.
    #[must_use]
    pub fn console(&self) -> String {
        self.supervisor.console()
    }

    pub(crate) fn stop_at_once(&self) {
        if self.supervisor.is_up() {
            // The sweep that follows kills what is left.
            let _ = self.supervisor.kill();
        }
    }
}

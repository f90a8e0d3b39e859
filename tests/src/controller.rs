//! Patchwave's controller as a process of this machine, reachable on a fleet's bridge, and its command line.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::{self, Finished, finish, limited};
use crate::{Binaries, Fleet, control_groups, wait_for};

/// Where the controller listens on the bridge's address; each fleet has its own address.
const PORT: u16 = 8443;

/// Longest start: opening a store and binding a port.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Longest orderly end.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How `patchwave` is called; everything that depends on its command line stands here.
#[derive(Debug, Clone)]
pub struct ControllerSetup {
    /// Arguments that make a new controller, run once.
    pub initialise: Vec<String>,
    /// Arguments that serve.
    pub serve: Vec<String>,
    /// Variables for every call, so that operator verbs find the operator's context.
    pub environment: Vec<(String, String)>,
    /// A fragment of settings and its place, written after the initialisation.
    pub settings: Option<(PathBuf, String)>,
}

impl ControllerSetup {
    /// `init` and `serve` with everything below one directory, the operator's context included.
    #[must_use]
    pub fn usual(directory: &Path, address: SocketAddr) -> Self {
        let (state, config) = (directory.join("state").display().to_string(), directory.join("config").display().to_string());
        let (name, listen) = (address.ip().to_string(), address.to_string());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let init =
            ["init", "--state-dir", &state, "--trust-domain", "fleet.test", "--name", &name, "--listen", &listen, "--operator", "tester"];
        Self {
            initialise: words(&init),
            serve: words(&["serve", "--state-dir", &state, "--listen", &listen]),
            environment: vec![("XDG_CONFIG_HOME".to_owned(), config), ("HOME".to_owned(), directory.display().to_string())],
            // A lost link is noticed after three heartbeats and believed after the grace: in seconds here, not in minutes.
            settings: Some((directory.join("state/controller.conf.d/tests.toml"), "heartbeat = \"4s\"\ngrace = \"20s\"\n".to_owned())),
        }
    }
}

/// A controller process; killed when dropped.
#[derive(Debug)]
pub struct Controller {
    binary: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
    setup: ControllerSetup,
    group: String,
    process: Option<Child>,
}

impl Controller {
    /// Initialises a controller and starts it; it accepts connections when this returns.
    ///
    /// # Errors
    /// With its log's end, if it cannot be initialised or does not listen.
    pub fn start(fleet: &Fleet, binaries: &Binaries) -> Result<Self> {
        let address = SocketAddr::from((fleet.address(), PORT));
        let setup = ControllerSetup::usual(&fleet.directory("controller")?, address);
        Self::start_with(fleet, binaries, setup)
    }

    /// As [`Self::start`], called in another way.
    ///
    /// # Errors
    /// With its log's end, if it cannot be initialised or does not listen.
    pub fn start_with(fleet: &Fleet, binaries: &Binaries, setup: ControllerSetup) -> Result<Self> {
        let mut controller = Self {
            binary: binaries.patchwave.clone(),
            directory: fleet.directory("controller")?,
            address: SocketAddr::from((fleet.address(), PORT)),
            group: format!("{}controller", fleet.slot().prefix()),
            setup,
            process: None,
        };
        let initialise: Vec<&str> = controller.setup.initialise.iter().map(String::as_str).collect();
        controller.run(&initialise)?;
        if let Some((path, text)) = &controller.setup.settings {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        controller.serve()?;
        Ok(controller)
    }

    /// Where agents and operators reach it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its files: store, certificates, log.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts the process after [`Self::kill`] or [`Self::stop`], and waits until it accepts connections.
    ///
    /// # Errors
    /// With its log's end, if it ends or does not listen.
    pub fn serve(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path()).context("cannot open the controller's log")?;
        let mut command = control_groups::command_in(&self.group)?;
        command.arg(&self.binary).args(&self.setup.serve).envs(self.setup.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut process = command.spawn().context("cannot start the controller")?;
        let address = self.address;
        let listening = wait_for(&format!("the controller to listen on {address}"), START_LIMIT, || {
            if let Some(status) = process.try_wait()? {
                bail!("the controller ended: {status}");
            }
            Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(|_| ()))
        });
        self.process = Some(process);
        listening.with_context(|| format!("the controller's log:\n{}", self.log()))
    }

    /// Another program from the next start on, as an upgrade brings it.
    pub fn replace_program(&mut self, binaries: &Binaries) {
        self.binary.clone_from(&binaries.patchwave);
    }

    /// How it is called now.
    #[must_use]
    pub fn setup(&self) -> &ControllerSetup {
        &self.setup
    }

    /// As [`Self::serve`], called in another way from now on: with another state directory, say.
    ///
    /// # Errors
    /// With its log's end, if it ends or does not listen.
    pub fn serve_as(&mut self, setup: ControllerSetup) -> Result<()> {
        self.setup = setup;
        self.serve()
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the controller does not run")?;
        process.kill().context("cannot kill the controller")?;
        process.wait().context("cannot wait for the controller")?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; it must end with status 0.
    ///
    /// # Errors
    /// If it does not run, does not end in time, or ends with a failure.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the controller does not run")?;
        let id = Pid::from_raw(process.id().cast_signed()).context("no process")?;
        kill_process(id, Signal::TERM).context("cannot signal the controller")?;
        let status = wait_for("the controller to end", STOP_LIMIT, || Ok(process.try_wait()?))?;
        if !status.success() {
            bail!("the controller ended with {status}; its log:\n{}", self.log());
        }
        Ok(())
    }

    /// Runs an operator's verb to its end, whatever its exit status.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn try_run(&self, arguments: &[&str]) -> Result<Finished> {
        self.try_run_as(&self.setup.environment, arguments)
    }

    /// Runs an operator's verb, which must succeed; returns its standard output.
    ///
    /// # Errors
    /// With what it said.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.try_run(arguments)?.into_stdout(&format!("patchwave {}", arguments.join(" ")))
    }

    /// Runs an operator's verb with `-o json` and returns what it printed.
    ///
    /// # Errors
    /// With what it said, if it fails or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let text = self.run(&[arguments, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("patchwave {} printed no JSON:\n{text}", arguments.join(" ")))
    }

    /// As [`Self::try_run`] with other variables: another operator's context.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn try_run_as(&self, environment: &[(String, String)], arguments: &[&str]) -> Result<Finished> {
        let mut command: Command = limited(command::TOOL_LIMIT, &self.binary);
        finish(command.args(arguments).envs(environment.iter().cloned()).current_dir(&self.directory))
    }

    /// The end of what it has logged, over all starts.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(8_000)..]).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("controller.log")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr)] // A failing test's report.
            {
                eprintln!("=== the controller's log:\n{}", self.log());
            }
        }
        if self.process.is_some() {
            // The fleet's sweep kills what is left.
            let _ = self.kill();
        }
    }
}

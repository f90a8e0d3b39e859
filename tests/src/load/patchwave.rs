//! The controller under measurement: a real `patchwave serve`, and the operator's command line beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::arguments::SubjectKind;
use super::disk::syncs_per_second;
use super::exchange::now;
use super::identities::{self, POLICY};
use super::orders::{Kind, Order, now_us};
use super::process::Process;
use super::report::{CheckIns, Comeback, Latency, Patchwave, Reports, Rollout};
use super::subject::{Ground, Measured, free_address, grown, measure, us};
use super::workers::Workers;
use super::world::Content;
use super::{bare, talk};
use crate::command::{finish, limited};

/// Agents that check in durably at once.
const CHECKING_IN: u32 = 1_000;
/// Longest rollout: agents answer at once, so 19,000 hosts are done within some seconds.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(120);
/// Heartbeats are ordered here, so agents must not be taken for silent between two phases.
const SETTINGS: &str = "heartbeat = \"1h\"\n";

/// The controller's program, its directory and where it listens.
pub struct Controller {
    program: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
}

impl Controller {
    /// Makes the state directory with every host in it.
    ///
    /// # Errors
    /// If the controller's program does not run or the store refuses.
    pub fn make(program: &Path, directory: &Path, agents: u32, packages: u32) -> Result<Self> {
        let controller = Self { program: program.to_owned(), directory: directory.to_owned(), address: free_address()? };
        let (state, mut init) = (controller.state(), controller.command());
        init.arg("init").arg("--state-dir").arg(&state).args(["--trust-domain", "load.test", "--operator", "load"]);
        init.args(["--name", bare::SERVER_NAME, "--listen", &controller.address.to_string()]);
        talk(&format!("enrolling {agents} hosts into a new store"));
        identities::make(init, &state, agents, &Content::new(packages)?, now())?;
        let fragments = state.join("controller.conf.d");
        std::fs::create_dir_all(&fragments)?;
        std::fs::write(fragments.join("load.toml"), SETTINGS)?;
        Ok(controller)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("serve.log")
    }

    /// Another setting than those that measurements take; to be made before it serves.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self, settings: &str) -> Result<()> {
        Ok(std::fs::write(self.state().join("controller.conf.d/load.toml"), settings)?)
    }

    /// Where the authority is.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        patchwave::setup::pki_dir(&self.state())
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("XDG_CONFIG_HOME", self.directory.join("config")).env("HOME", &self.directory);
        command
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// If it does not start; with its log's end.
    pub fn serve(&self) -> Result<Process> {
        let (mut command, log) = (self.command(), self.log());
        command.arg("serve").arg("--state-dir").arg(self.state());
        let mut process = Process::start(command, &log)?;
        process.wait_until_it_listens(self.address, &log)?;
        Ok(process)
    }

    /// An operator's verb; gives what it printed as JSON.
    ///
    /// # Errors
    /// If it fails; with what it said.
    pub fn operate(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command().args(arguments).args(["-o", "json"]).output().context("cannot start patchwave")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "patchwave {}: {said}", arguments.join(" "));
        Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }

    /// Waits for the end of a rollout; false where it does not come.
    fn watch(&self, rollout: &str) -> Result<bool> {
        let mut command = limited(ROLLOUT_LIMIT, &self.program);
        command.env("XDG_CONFIG_HOME", self.directory.join("config")).env("HOME", &self.directory);
        let ended = finish(command.args(["rollout", "watch", rollout]))?;
        if ended.code() != 0 {
            talk(&format!("  THE ROLLOUT DID NOT COMPLETE ({}): {}", ended.status, ended.stderr.trim()));
        }
        Ok(ended.code() == 0)
    }
}

/// Everything, from start to end; also how many workers there were.
pub fn run(ground: &Ground<'_>, controller: &Controller) -> Result<(Patchwave, u32)> {
    let load = ground.load;
    talk(&format!("patchwave serve on {}", controller.address));
    let mut process = controller.serve()?;
    let mut workers = Workers::start(load, SubjectKind::Patchwave, controller.address, &ground.pki)?;
    let measured = measure(load, &process, &mut workers).context("measuring patchwave")?;
    let quarantine = quarantine(controller, &mut workers)?;
    let rollout = if load.no_rollout { None } else { Some(rollout(controller, &process, &mut workers, load.agents)?) };
    let upload = reports(&process, &mut workers, &measured, "whole inventories", Order::Report { round: 0, whole: true })?;
    let inventory = reports(&process, &mut workers, &measured, "changed inventories", Order::Report { round: 1, whole: false })?;
    let check_ins = check_ins(ground, &process, &mut workers)?;
    let comeback = comeback(controller, &mut process, &mut workers)?;
    let patchwave = Patchwave { subject: measured.subject, upload, inventory, quarantine, rollout, check_ins, comeback };
    Ok((patchwave, workers.count()))
}

/// Every agent reports.
fn reports(process: &Process, workers: &mut Workers, measured: &Measured, what: &str, order: Order) -> Result<Reports> {
    process.rest()?;
    let cpu = process.cpu()?;
    let done = workers.order(what, order)?;
    process.rest()?;
    #[allow(clippy::cast_precision_loss)] // A count of reports.
    let cpu_us = us(process.cpu()?.saturating_sub(cpu)) / done.exchanges.max(1) as f64;
    // Heartbeats follow, as they do in life.
    workers.order("heartbeats", Order::Beat { rounds: 2 })?;
    let resident = process.memory()?.resident;
    Ok(Reports { cpu_us, resident_bytes_per_agent: grown(measured.empty.resident, resident, measured.counted) })
}

/// Lifts the quarantine, of which everybody is told.
fn quarantine(controller: &Controller, workers: &mut Workers) -> Result<Latency> {
    let entries = controller.operate(&["quarantine", "list"])?;
    let id = entries[0]["id"].as_str().context("no quarantine to lift")?.to_owned();
    workers.listen(Kind::Quarantine)?;
    let began = now_us();
    controller.operate(&["quarantine", "lift", &id, "--reason", "measured"])?;
    let told = workers.done("the changed quarantine reaches all")?;
    Ok(Latency::of(&told.at_us, began))
}

/// One wave over everybody.
fn rollout(controller: &Controller, process: &Process, workers: &mut Workers, agents: u32) -> Result<Rollout> {
    process.rest()?;
    let (cpu, began) = (process.cpu()?, Instant::now());
    let plan = controller.operate(&["rollout", "plan", "--policy", POLICY])?;
    let plan_seconds = began.elapsed().as_secs_f64();
    let id = plan["rollout"]["id"].as_str().or_else(|| plan["id"].as_str()).context("the plan names no rollout")?.to_owned();
    workers.listen(Kind::Directive)?;
    let (began_us, began) = (now_us(), Instant::now());
    controller.operate(&["rollout", "start", &id, "--despite-lints"])?;
    let told = workers.done("a directive reaches all")?;
    let completed = controller.watch(&id)?;
    let seconds = began.elapsed().as_secs_f64();
    process.rest()?;
    let cpu_us_per_host = us(process.cpu()?.saturating_sub(cpu)) / f64::from(agents);
    Ok(Rollout { plan_seconds, directive: Latency::of(&told.at_us, began_us), completed, seconds, cpu_us_per_host })
}

/// A thousand agents check in again and again; the disk is asked before and after.
fn check_ins(ground: &Ground<'_>, process: &Process, workers: &mut Workers) -> Result<Option<CheckIns>> {
    let load = ground.load;
    if load.check_ins == 0 {
        return Ok(None);
    }
    let agents = CHECKING_IN.min(load.agents) / workers.count();
    let before = syncs_per_second(&ground.directory)?;
    process.rest()?;
    let (cpu, began) = (process.cpu()?, Instant::now());
    let done = workers.order("durable check-ins", Order::CheckIn { agents, millis: load.check_ins * 1000 })?;
    let seconds = began.elapsed().as_secs_f64();
    process.rest()?;
    #[allow(clippy::cast_precision_loss)] // A count of check-ins.
    let exchanges = done.exchanges.max(1) as f64;
    let cpu_us = us(process.cpu()?.saturating_sub(cpu)) / exchanges;
    let syncs = f64::midpoint(before, syncs_per_second(&ground.directory)?);
    Ok(Some(CheckIns { agents: agents * workers.count(), per_second: exchanges / seconds, syncs_per_second: syncs, cpu_us }))
}

/// Kills it and starts it again.
fn comeback(controller: &Controller, process: &mut Process, workers: &mut Workers) -> Result<Comeback> {
    workers.listen(Kind::Return)?;
    let (began_us, began) = (now_us(), Instant::now());
    process.kill()?;
    *process = controller.serve()?;
    let listens_seconds = began.elapsed().as_secs_f64();
    let back = workers.done("everybody comes back after a kill")?;
    let latency = Latency::of(&back.at_us, began_us);
    process.rest()?;
    let memory = process.memory()?;
    Ok(Comeback {
        listens_seconds,
        all_back_seconds: latency.last_ms / 1000.0,
        half_back_seconds: latency.median_ms / 1000.0,
        peak_bytes: memory.peak,
        steady_bytes: memory.resident,
    })
}

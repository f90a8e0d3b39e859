//! What every server goes through: connects and heartbeats, with its CPU and memory before and after.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::arguments::{Load, SubjectKind};
use super::orders::Order;
use super::process::{Memory, Process, pause};
use super::report::Subject;
use super::workers::Workers;
use super::{bare, nginx, talk};

/// Agents that are connected before memory is counted: code and buffers that serve all of them come in once.
const FIRST_AGENTS: u32 = 100;
/// How long a server is watched while nobody says anything.
const IDLE: Duration = Duration::from_secs(5);

/// What the parts of a run share.
pub struct Ground<'a> {
    /// What is measured.
    pub load: &'a Load,
    /// The temporary directory.
    pub directory: PathBuf,
    /// The authority's.
    pub pki: PathBuf,
}

/// A port that was free a moment ago.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What a subject looks like once everything common is measured.
pub struct Measured {
    /// The numbers.
    pub subject: Subject,
    /// Memory before most agents were connected.
    pub empty: Memory,
    /// Agents that memory counts for.
    pub counted: u32,
}

/// Connects every agent and lets them beat.
pub fn measure(load: &Load, process: &Process, workers: &mut Workers) -> Result<Measured> {
    let first = FIRST_AGENTS.min(load.agents / 2);
    let counted = load.agents - first;
    workers.connect(first)?;
    workers.order("first heartbeats", Order::Beat { rounds: 1 })?;
    process.rest()?;
    let (empty, cpu, began) = (process.memory()?, process.cpu()?, Instant::now());
    workers.connect(load.agents)?;
    let seconds = began.elapsed().as_secs_f64();
    process.rest()?;
    let connect = us(process.spent_since(cpu)?) / f64::from(counted);
    let (cpu, written) = (process.cpu()?, process.written());
    let beats = workers.order("heartbeats", Order::Beat { rounds: load.beats })?;
    process.rest()?;
    #[allow(clippy::cast_precision_loss)] // A count of heartbeats.
    let beat = us(process.spent_since(cpu)?) / beats.exchanges.max(1) as f64;
    let full = process.memory()?;
    let (cpu, began) = (process.cpu()?, Instant::now());
    pause(IDLE);
    let idle = us(process.cpu()?.saturating_sub(cpu)) / began.elapsed().as_secs_f64() * 1000.0 / f64::from(load.agents);
    let subject = Subject {
        resident_bytes_per_agent: grown(empty.resident, full.resident, counted),
        anonymous_bytes_per_agent: grown(empty.anonymous, full.anonymous, counted),
        connect_cpu_us: connect,
        connects_per_core: 1e6 / connect,
        connects_per_second: f64::from(counted) / seconds,
        heartbeat_cpu_us: beat,
        heartbeats_per_core: 1e6 / beat,
        idle_cpu_us_per_second: idle,
        heartbeat_written_bytes: written.zip(process.written()).map(|(before, after)| after - before),
    };
    Ok(Measured { subject, empty, counted })
}

/// The bare tonic server, from start to end.
pub fn bare(ground: &Ground<'_>) -> Result<Subject> {
    let (address, log) = (free_address()?, ground.directory.join("bare.log"));
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("bare-server").arg("--pki").arg(&ground.pki).args(["--listen", &address.to_string()]);
    talk(&format!("bare tonic server on {address} ({})", bare::SERVER_NAME));
    beside(ground, SubjectKind::BareTonic, Process::start(command, &log)?, address, &log)
}

/// nginx, likewise; nothing where it is not installed.
pub fn nginx(ground: &Ground<'_>) -> Result<Option<Subject>> {
    let Some(program) = nginx::find() else {
        talk("LEFT OUT: nginx is not installed (hint: apt-get install nginx-light)");
        return Ok(None);
    };
    let (address, directory) = (free_address()?, ground.directory.join("nginx"));
    let command = nginx::command(&program, &directory, &ground.pki, address)?;
    let log = directory.join("error.log");
    talk(&format!("nginx on {address}"));
    beside(ground, SubjectKind::Nginx, Process::start(command, &log)?, address, &log).map(Some)
}

fn beside(ground: &Ground<'_>, kind: SubjectKind, mut process: Process, address: SocketAddr, log: &std::path::Path) -> Result<Subject> {
    process.wait_until_it_listens(address, log)?;
    let mut workers = Workers::start(ground.load, kind, address, &ground.pki)?;
    Ok(measure(ground.load, &process, &mut workers).with_context(|| format!("measuring {kind:?}"))?.subject)
}

/// Bytes for each agent.
#[allow(clippy::cast_precision_loss)] // Bytes of a process.
pub fn grown(before: u64, after: u64, agents: u32) -> f64 {
    (after as f64 - before as f64) / f64::from(agents)
}

/// Microseconds.
pub fn us(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

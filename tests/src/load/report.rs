//! What a run found, as the JSON file has it. `tests/README.md` says what each number means; a change of meaning raises [`SCHEMA`].

use serde::{Deserialize, Serialize};

/// Version of the file's form.
pub const SCHEMA: u32 = 1;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Simulated agents.
    pub agents: u32,
    /// Packages in an inventory.
    pub packages: u32,
    /// Different inventories; 0 for one each.
    pub inventories: u32,
    /// Cores of the machine, which servers and load share.
    pub cores: u32,
    /// Processes that held the agents.
    pub workers: u32,
    /// The controller.
    pub patchwave: Option<Patchwave>,
    /// The bare tonic server.
    pub bare_tonic: Option<Subject>,
    /// nginx.
    pub nginx: Option<Subject>,
    /// Ours against theirs; what is lacking is absent.
    pub ratios: Ratios,
}

/// What every server is measured by. CPU is the server's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Growth of resident memory for each agent: connected, and after its heartbeats.
    pub resident_bytes_per_agent: f64,
    /// Of that, anonymous memory.
    pub anonymous_bytes_per_agent: f64,
    /// CPU of one connect: TCP, TLS 1.3 with client certificate, HTTP/2, the stream and its first answer.
    pub connect_cpu_us: f64,
    /// How many of them one core can do in a second.
    pub connects_per_core: f64,
    /// How many were done in a second of this run, load and server on the same cores.
    pub connects_per_second: f64,
    /// CPU of one heartbeat and its answer (nginx: a request for one small file).
    pub heartbeat_cpu_us: f64,
    /// How many of them one core can do in a second.
    pub heartbeats_per_core: f64,
    /// CPU of a second in which nobody says anything, for a thousand agents.
    pub idle_cpu_us_per_second: f64,
    /// Bytes handed to the disk while the heartbeats went on; absent where the kernel does not say.
    pub heartbeat_written_bytes: Option<u64>,
}

/// The controller's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patchwave {
    /// As of every server.
    pub subject: Subject,
    /// Every agent reports its whole inventory.
    pub upload: Reports,
    /// Every agent reports one changed package.
    pub inventory: Reports,
    /// From an operator's command until each agent has the fleet's changed quarantine.
    pub quarantine: Latency,
    /// A rollout over all agents.
    pub rollout: Option<Rollout>,
    /// Check-ins by a thousand agents, each after the answer to the one before.
    pub check_ins: Option<CheckIns>,
    /// After a kill with SIGKILL.
    pub comeback: Comeback,
}

/// Inventories that all agents report at once, each acknowledged when it is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reports {
    /// CPU of each.
    pub cpu_us: f64,
    /// Growth of resident memory for each agent since before most were connected.
    pub resident_bytes_per_agent: f64,
}

/// When a message reached the agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The first agent.
    pub first_ms: f64,
    /// Half of them.
    pub median_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
    /// All.
    pub last_ms: f64,
}

/// One wave that orders every agent; all stage, begin and prove healthy at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// From the command to make the plan until it was made.
    pub plan_seconds: f64,
    /// From the command to start until each agent had its directive; staging lies in between.
    pub directive: Latency,
    /// Whether it came to its end.
    pub completed: bool,
    /// From the command to start until the rollout was completed, or given up.
    pub seconds: f64,
    /// CPU for each host, from plan to end.
    pub cpu_us_per_host: f64,
}

/// Durable check-ins: a changed inventory that is acknowledged once it is on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckIns {
    /// Agents that took part.
    pub agents: u32,
    /// Acknowledged in a second.
    pub per_second: f64,
    /// fdatasync calls in a second on the same disk, the mean of before and after.
    pub syncs_per_second: f64,
    /// CPU of each.
    pub cpu_us: f64,
}

/// Everybody comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comeback {
    /// From the start of the new process until it listened.
    pub listens_seconds: f64,
    /// From the kill until each agent was welcomed again.
    pub all_back_seconds: f64,
    /// Until half were.
    pub half_back_seconds: f64,
    /// Most that was resident.
    pub peak_bytes: u64,
    /// Resident once all are back and at rest.
    pub steady_bytes: u64,
}

/// Ours against theirs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    /// Memory of an agent, against a bare stream.
    pub memory_to_bare: Option<f64>,
    /// Memory of an agent, against nginx's connection.
    pub memory_to_nginx: Option<f64>,
    /// Connects per core, against the bare server's.
    pub connects_to_bare: Option<f64>,
    /// Connects per core, against nginx's.
    pub connects_to_nginx: Option<f64>,
    /// Heartbeats per core, against the bare server's.
    pub heartbeats_to_bare: Option<f64>,
    /// Heartbeats per core, against nginx's requests.
    pub heartbeats_to_nginx: Option<f64>,
    /// Check-ins a second against fdatasync calls a second.
    pub check_ins_to_syncs: Option<f64>,
    /// Time until all are back, against agents ÷ connects a second.
    pub comeback_to_connects: Option<f64>,
    /// Memory peak after the kill, against steady memory.
    pub comeback_peak_to_steady: Option<f64>,
}

impl Latency {
    /// Of instants in order, counted from `began`; all in microseconds.
    #[must_use]
    pub fn of(at_us: &[u64], began: u64) -> Self {
        let at = |share: f64| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // A share of a length.
            let index = ((at_us.len().saturating_sub(1)) as f64 * share).round() as usize;
            at_us.get(index).map_or(f64::NAN, |at| millis(at.saturating_sub(began)))
        };
        Self { first_ms: at(0.0), median_ms: at(0.5), p99_ms: at(0.99), last_ms: at(1.0) }
    }
}

#[allow(clippy::cast_precision_loss)] // Hours at most.
fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

impl Report {
    /// Fills in the ratios.
    pub fn compare(&mut self) {
        let Some(ours) = &self.patchwave else { return };
        let subject = &ours.subject;
        let to = |theirs: &Option<Subject>, part: fn(&Subject) -> f64| theirs.as_ref().map(|theirs| part(subject) / part(theirs));
        let comeback = &ours.comeback;
        #[allow(clippy::cast_precision_loss)] // Bytes of a process.
        let peak = comeback.peak_bytes as f64 / comeback.steady_bytes as f64;
        self.ratios = Ratios {
            memory_to_bare: to(&self.bare_tonic, |subject| subject.resident_bytes_per_agent),
            memory_to_nginx: to(&self.nginx, |subject| subject.resident_bytes_per_agent),
            connects_to_bare: to(&self.bare_tonic, |subject| subject.connects_per_core),
            connects_to_nginx: to(&self.nginx, |subject| subject.connects_per_core),
            heartbeats_to_bare: to(&self.bare_tonic, |subject| subject.heartbeats_per_core),
            heartbeats_to_nginx: to(&self.nginx, |subject| subject.heartbeats_per_core),
            check_ins_to_syncs: ours.check_ins.as_ref().map(|done| done.per_second / done.syncs_per_second),
            comeback_to_connects: Some(comeback.all_back_seconds * subject.connects_per_second / f64::from(self.agents)),
            comeback_peak_to_steady: Some(peak),
        };
    }
}

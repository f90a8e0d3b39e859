//! A sandbox host in a temporary directory, orders for it, and an agent's patching on it.
//!
//! The host has `web` 1 with an edited conffile and a service file; the archive has version 2 (good) and 3 (its check fails).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchwave_agent::packages::simulated::{Simulated, SimulatedPackage};
use patchwave_agent::packages::{PackageManager, PackageSettings};
use patchwave_agent::patching::*;
use patchwave_common::domain::policy::{HealthRules, TransactionRules};
use patchwave_common::domain::*;
use patchwave_common::runtime::clock::{Clock, SystemClock};
use tokio::sync::mpsc;

use crate::gated::{Gate, Gated};

/// Nothing in these tests takes longer unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(50);

/// The host.
pub struct Host {
    pub directory: PathBuf,
}

fn package(version: &str, service: &str) -> SimulatedPackage {
    let name = PackageName::parse("web").unwrap();
    let mut package = SimulatedPackage::new(name, PackageVersion::parse(version).unwrap(), Architecture::parse("all").unwrap());
    package.files.insert("/srv/web".to_owned(), service.to_owned());
    package.conffiles.insert("/etc/web.conf".to_owned(), format!("port = {version}\n"));
    package
}

impl Host {
    pub fn new(directory: &Path) -> Self {
        let host = Self { directory: directory.to_owned() };
        let simulated = host.simulated();
        simulated.install(&package("1", "good"), Mark::Auto).unwrap();
        let archive = vec![package("1", "good"), package("2", "good too"), package("3", "bad")];
        simulated.change(|state| state.archive = archive).unwrap();
        std::fs::write(host.root().join("etc/web.conf"), "port = 8080 # ours\n").unwrap();
        std::fs::create_dir(host.checks()).unwrap();
        let check = host.checks().join("web");
        std::fs::write(&check, "#!/bin/sh\nexec grep -q good \"$PATCHWAVE_ROOT/srv/web\"\n").unwrap();
        std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
        host
    }

    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    fn checks(&self) -> PathBuf {
        self.directory.join("checks.d")
    }

    pub fn simulated(&self) -> Simulated {
        Simulated::open(&self.root()).unwrap()
    }

    pub fn settings(&self) -> PatchingSettings {
        PatchingSettings {
            state_dir: self.directory.join("state"),
            checks_dir: self.checks(),
            root: Some(self.root()),
            manager: Manager::Simulated,
            packages: PackageSettings {
                root: Some(self.root()),
                state_dir: self.directory.join("state"),
                stage_limit_bytes: 1 << 30,
                keep_free_bytes: 0,
            },
            runner: Runner { program: env!("CARGO_BIN_EXE_patchwave-agent").into(), arguments: vec!["run-transaction".into()] },
            isolation: Isolation::Session,
            disk_bound_bytes: 1 << 30,
            poll: Duration::from_millis(50),
        }
    }

    pub fn gate(&self, name: &'static str) -> Gate {
        Gate::new(&self.directory, name)
    }

    pub fn version(&self) -> String {
        let id = PackageId { name: PackageName::parse("web").unwrap(), architecture: Architecture::parse("all").unwrap() };
        self.simulated().inventory().unwrap().get(&id).unwrap().version.to_string()
    }

    /// Everything that a return must bring back.
    pub fn picture(&self) -> (String, String, String, Mark, bool) {
        let read = |name: &str| std::fs::read_to_string(self.root().join(name)).unwrap();
        let state = self.simulated().state().unwrap();
        let mark = state.installed["web:all"].mark;
        let leftover = self.root().join("etc/web.conf.dpkg-dist").exists();
        (self.version(), read("srv/web"), read("etc/web.conf"), mark, leftover)
    }

    /// What the package manager did, in order.
    pub fn history(&self) -> Vec<String> {
        let all = self.simulated().state().unwrap().history;
        all.into_iter().filter(|line| !line.starts_with("install")).collect()
    }

    /// Starts patching in this process, without gates.
    pub fn start(&self) -> Agent {
        self.start_with(Arc::new(self.simulated()))
    }

    pub fn start_gated(&self, gates: impl FnOnce(&mut Gated)) -> Agent {
        let inner = Arc::new(self.simulated());
        let mut gated = Gated { inner, before_apply: None, after_apply: None, before_restore: None, after_restore: None };
        gates(&mut gated);
        self.start_with(Arc::new(gated))
    }

    pub fn start_with(&self, manager: Arc<dyn PackageManager>) -> Agent {
        let (handle, events) = PatchingHandle::start(self.settings(), manager, Arc::new(SystemClock::new())).unwrap();
        Agent { handle, events, seen: Vec::new() }
    }
}

pub fn generation(counter: u64) -> Generation {
    Generation { epoch: 1, counter }
}

pub fn rollout() -> RolloutId {
    RolloutId::parse("r-test").unwrap()
}

pub fn targets(to: &str) -> TargetSet {
    let target = PackageTarget {
        id: PackageId { name: PackageName::parse("web").unwrap(), architecture: Architecture::parse("all").unwrap() },
        from: PackageVersion::parse("1").unwrap(),
        to: PackageVersion::parse(to).unwrap(),
        source: PackageName::parse("web").unwrap(),
        origin: "Simulated-Security".to_owned(),
        sha256: None,
        size_bytes: 0,
    };
    TargetSet::new(Manager::Simulated, vec![target]).unwrap()
}

fn health() -> HealthRules {
    let check = HealthCheck { name: CheckName::parse("web").unwrap(), kind: CheckKind::Executable, timeout: Duration::from_secs(10) };
    HealthRules {
        checks: vec![check],
        patience: Duration::from_millis(200),
        interval: Duration::from_millis(50),
        settle: Duration::from_millis(100),
        silence: Duration::from_secs(60),
    }
}

pub fn apply(counter: u64, to: &str, automatic_rollback: bool) -> Directive {
    let transaction = TransactionRules {
        allow_removals: false,
        allow_new_packages: true,
        allow_no_way_back: false,
        observe_other_hands: false,
        lock_wait: Duration::from_millis(200),
        time_limit: Duration::from_secs(60),
    };
    let order = Order::Apply(ApplyOrder { targets: targets(to), transaction, health: health(), automatic_rollback });
    Directive { generation: generation(counter), rollout: rollout(), requires: vec![], order }
}

pub fn take_back(counter: u64, of: u64) -> Directive {
    let order = Order::TakeBack(TakeBackOrder { of: generation(of), health: health() });
    Directive { generation: generation(counter), rollout: rollout(), requires: vec![], order }
}

/// Patching, with everything that it told.
pub struct Agent {
    pub handle: PatchingHandle,
    events: mpsc::Receiver<Event>,
    pub seen: Vec<(u64, String)>,
}

/// A report in a word, e.g. `taken-back`, or with its reason `refused local-hold`.
pub fn word(progress: &DirectiveProgress) -> String {
    match progress {
        DirectiveProgress::Accepted => "accepted".to_owned(),
        DirectiveProgress::Refused { reason, .. } => format!("refused {reason}"),
        DirectiveProgress::Ready => "ready".to_owned(),
        DirectiveProgress::Applying => "applying".to_owned(),
        DirectiveProgress::Verifying => "verifying".to_owned(),
        DirectiveProgress::Healthy => "healthy".to_owned(),
        DirectiveProgress::Harmed { reason, .. } => format!("harmed {reason}"),
        DirectiveProgress::TakingBack => "taking-back".to_owned(),
        DirectiveProgress::TakenBack => "taken-back".to_owned(),
        DirectiveProgress::NeedsAttention { .. } => "needs-attention".to_owned(),
    }
}

impl Agent {
    /// A session begins, with clocks that agree.
    pub async fn connect(&self) {
        self.tell(Command::Connected).await;
        self.tell(Command::ClockOffset { offset_ms: 0 }).await;
    }

    pub async fn tell(&self, command: Command) {
        assert!(self.handle.send(command).await);
    }

    pub async fn order(&self, directive: Directive) {
        self.tell(Command::Directive(Box::new(directive))).await;
    }

    pub async fn lease(&self, counter: u64, valid_ms: u64) {
        let asked_ms = SystemClock::new().boottime_ms();
        self.tell(Command::Lease { lease: Lease { generation: generation(counter), valid_ms, answers: 0 }, asked_ms }).await;
    }

    pub async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(DEADLINE, self.events.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("nothing more is told after {:?}", self.seen)).unwrap();
        if let Event::Progress { generation, progress, .. } = &event {
            self.seen.push((generation.counter, word(progress)));
        }
        event
    }

    /// Waits for a report that starts so; leases are given as they are asked for.
    pub async fn until(&mut self, wanted: &str) -> DirectiveProgress {
        loop {
            let Event::Progress { generation, progress, .. } = self.event().await else { continue };
            if word(&progress).starts_with(wanted) {
                return progress;
            }
            if progress == DirectiveProgress::Ready {
                self.lease(generation.counter, 60_000).await;
            }
        }
    }

    /// The reports of one directive so far, without those that only say again what was said.
    pub fn words(&self, counter: u64) -> Vec<&str> {
        let mut words: Vec<&str> = self.seen.iter().filter(|(of, _)| *of == counter).map(|(_, word)| word.as_str()).collect();
        words.dedup();
        words
    }
}

/// Waits for something that no event tells.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < DEADLINE, "not so after {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

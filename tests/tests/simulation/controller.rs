//! The controller's process: the real conductor, store, fleet and sessions, and a session service as small as the real one allows.
//!
//! It may die at any commit. What it had said by then is on its way; what it had not is lost.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt as _;
use patchwave::conductor::{ConductorHandle, ConductorParts, ConductorSettings, ConductorTask, prepare};
use patchwave::fleet::Fleet;
use patchwave::metrics::Metrics;
use patchwave::records::HostUpdate;
use patchwave::sessions::{Attached, Outbox, Reader, Session, Sessions};
use patchwave::store::simulated::{CommitFate, Power, SimulatedDisk};
use patchwave::store::{Change, StoreHandle, Write};
use patchwave_common::domain::{FromAgent, Hello, HostId, HostMode, Inventory, ToAgent};
use patchwave_common::runtime::clock::Clock as _;
use patchwave_common::runtime::steady_clock::SteadyClock;
use tokio_stream::StreamExt as _;

use crate::clock::ControllerClock;
use crate::network::StreamId;

pub const LEASE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(90);

/// What happens to the next commits.
#[derive(Debug, Default)]
pub struct Switch(Mutex<Armed>);

#[derive(Debug, Default)]
struct Armed {
    fate: Option<CommitFate>,
    dies_before: bool,
    dies_after: bool,
}

/// What a process unwinds with where its power is cut.
struct PowerCut;

impl Switch {
    pub fn arm(&self, fate: CommitFate) {
        self.0.lock().unwrap().fate = Some(fate);
    }

    pub fn die_at_commit(&self, after: bool) {
        let mut armed = self.0.lock().unwrap();
        (armed.dies_before, armed.dies_after) = (!after, after);
    }

    pub fn disarm(&self) {
        *self.0.lock().unwrap() = Armed::default();
    }
}

impl Power for Switch {
    fn before_commit(&self) -> CommitFate {
        let fate = {
            let mut armed = self.0.lock().unwrap();
            if !std::mem::take(&mut armed.dies_before) {
                return armed.fate.take().unwrap_or(CommitFate::Works);
            }
            PowerCut
        };
        resume_unwind(Box::new(fate))
    }

    fn after_commit(&self) {
        if std::mem::take(&mut self.0.lock().unwrap().dies_after) {
            resume_unwind(Box::new(PowerCut));
        }
    }
}

/// One stream on the controller's side.
pub struct Open {
    pub host: HostId,
    session: Arc<Session>,
    messages: Reader,
}

/// A running controller.
pub struct Process {
    pub conductor: ConductorHandle,
    task: ConductorTask,
    pub store: StoreHandle,
    pub fleet: Arc<Fleet>,
    sessions: Arc<Sessions>,
    pub open: BTreeMap<StreamId, Open>,
    steady: Arc<SteadyClock>,
}

pub struct Controller {
    pub disk: SimulatedDisk,
    pub switch: Arc<Switch>,
    pub clock: Arc<ControllerClock>,
    pub process: Option<Process>,
}

/// A future that waits for nobody.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing in the simulation waits")
}

impl Controller {
    pub fn new() -> Self {
        let switch = Arc::new(Switch::default());
        Self { disk: SimulatedDisk::new(switch.clone()), switch, clock: Arc::new(ControllerClock::default()), process: None }
    }

    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the process on what is on disk; `false` where the disk does not let it.
    pub fn start(&mut self) -> bool {
        let (disk, clock) = (self.disk.clone(), self.clock.clone());
        let started = survive(move || {
            let store = StoreHandle::inline(disk.open().ok()?);
            let steady = Arc::new(SteadyClock::over(clock));
            let fleet = Arc::new(Fleet::new(steady.now(), GRACE));
            fleet.load(store.store().as_ref()).ok()?;
            let sessions = Arc::new(Sessions::default());
            let parts = ConductorParts {
                store: store.clone(),
                fleet: fleet.clone(),
                sessions: sessions.clone(),
                clock: steady.clone(),
                metrics: Arc::new(Metrics::default()),
                settings: ConductorSettings { lease: LEASE },
            };
            let (conductor, task) = at_once(prepare(parts)).ok()?;
            Some(Process { conductor, task, store, fleet, sessions, open: BTreeMap::new(), steady })
        });
        self.process = started.flatten();
        self.process.is_some()
    }

    /// Something that the process does; `None` where there is none, or where it died of it.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let process = self.process.as_mut()?;
        survive(|| act(process))
    }
}

/// `None` where the power was cut meanwhile.
fn survive<T>(act: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(value) => Some(value),
        Err(payload) => {
            let payload: Box<dyn Any + Send> = payload;
            if payload.is::<PowerCut>() { None } else { resume_unwind(payload) }
        }
    }
}

impl Process {
    /// One turn of the conductor; how long it has nothing to do then.
    pub fn turn(&mut self) -> Duration {
        at_once(self.task.turn());
        self.task.due_in()
    }

    /// Asks the conductor and lets it answer.
    pub fn ask<T>(&mut self, question: impl Future<Output = T>) -> T {
        let mut question = pin!(question);
        for _ in 0..3 {
            if let Some(answer) = question.as_mut().now_or_never() {
                return answer;
            }
            at_once(self.task.turn());
        }
        panic!("the conductor does not answer");
    }

    /// An agent's first message, as the session service takes it. `false` ends the stream.
    fn greet(&mut self, stream: StreamId, host: &HostId, hello: Hello, clock: &ControllerClock) -> bool {
        let (at, civil) = (self.steady.now(), clock.now());
        // A stream of an earlier process of that agent has been reset by its host.
        let older: Vec<StreamId> = self.open.iter().filter(|(_, open)| open.host == *host).map(|(id, _)| *id).collect();
        for older in older {
            self.close(older);
        }
        let outbox = Arc::new(Outbox::default());
        let messages = outbox.read();
        let attached = at_once(self.sessions.attach(host, hello.instance.clone(), "sim".to_owned(), outbox.clone()));
        let Attached::Yes(session) = attached else { return false };
        self.open.insert(stream, Open { host: host.clone(), session: session.clone(), messages });
        let clock_offset_ms = hello.clock.0.saturating_sub(civil.0);
        let update = HostUpdate::Seen { at, instance: hello.instance.clone(), clock_offset_ms };
        if !self.write(vec![Change::UpdateHost { host: host.clone(), update }]) {
            return false;
        }
        self.note_clock(host, clock_offset_ms);
        self.fleet.set_online(host, true, at);
        outbox.welcomed();
        session.send(ToAgent::Welcome {
            clock: civil,
            heartbeat: HEARTBEAT,
            host: host.clone(),
            mode: HostMode::Managed,
            reads_compressed: true,
        });
        let known = self.fleet.get(host).map(|known| known.record.clone());
        let (inventory, candidates) = known.map_or((None, None), |record| (record.inventory, record.candidates));
        session.send(ToAgent::InventoryAnswer { digest: inventory, need_full: inventory.is_none() });
        session.send(ToAgent::CandidatesAnswer { digest: candidates, need_full: candidates.is_none() });
        session.send(ToAgent::Quarantine(self.conductor.quarantine().into_iter().collect()));
        at_once(self.conductor.connected(host.clone(), Box::new(hello)));
        true
    }

    fn note_clock(&self, host: &HostId, clock_offset_ms: i64) {
        self.fleet.update_record(host, |record| record.clock_offset_ms = clock_offset_ms);
        self.conductor.world_changed();
    }

    fn write(&self, changes: Vec<Change>) -> bool {
        at_once(self.store.write(Write::new(changes))).is_ok()
    }

    /// What an agent says. `false` ends the stream.
    pub fn hears(&mut self, stream: StreamId, host: &HostId, message: FromAgent, clock: &ControllerClock) -> bool {
        let Some(open) = self.open.get(&stream) else {
            return match message {
                FromAgent::Hello(hello) => self.greet(stream, host, *hello, clock),
                _ => false,
            };
        };
        let session = open.session.clone();
        match message {
            FromAgent::Hello(_) => false,
            FromAgent::Heartbeat { clock: wall, nonce } => {
                session.heard(nonce);
                let offset = wall.0.saturating_sub(clock.now().0);
                if self.fleet.get(host).is_some_and(|known| (known.record.clock_offset_ms - offset).abs() > 1000) {
                    self.note_clock(host, offset);
                }
                session.send(ToAgent::Ping(0));
                true
            }
            FromAgent::Inventory(delta) => {
                let base = self.fleet.get(host).and_then(|known| known.inventory.clone());
                let Ok(inventory) = Inventory::apply(base.as_deref(), delta) else {
                    session.send(ToAgent::InventoryAnswer { digest: None, need_full: true });
                    return true;
                };
                let digest = Some(inventory.digest());
                let set = Change::SetHostInventory { host: host.clone(), inventory: digest, candidates: None };
                let stored = self.write(vec![Change::PutInventory(Arc::new(inventory.clone())), set]);
                if stored {
                    self.fleet.set_inventory(host, Arc::new(inventory));
                    session.send(ToAgent::InventoryAnswer { digest, need_full: false });
                }
                stored
            }
            FromAgent::Candidates(candidates) => {
                let digest = Some(candidates.digest());
                let set = Change::SetHostInventory { host: host.clone(), inventory: None, candidates: digest };
                let stored = self.write(vec![Change::PutCandidates(Arc::new(candidates.clone())), set]);
                if stored {
                    self.fleet.set_candidates(host, Arc::new(candidates));
                    session.send(ToAgent::CandidatesAnswer { digest, need_full: false });
                }
                stored
            }
            FromAgent::Facts(_) => true,
            FromAgent::Stage { rollout, result } => {
                at_once(self.conductor.staged(host.clone(), rollout, result));
                true
            }
            FromAgent::Progress { generation, progress, question } => {
                session.asked(question);
                at_once(self.conductor.progress(host.clone(), generation, progress));
                true
            }
        }
    }

    /// The end of a stream, as the session service records it.
    pub fn close(&mut self, stream: StreamId) {
        let Some(open) = self.open.remove(&stream) else { return };
        if self.sessions.detach(&open.host, open.session.epoch) {
            let at = self.steady.now();
            self.fleet.set_online(&open.host, false, at);
            let clock_offset_ms = self.fleet.get(&open.host).map_or(0, |known| known.record.clock_offset_ms);
            let update = HostUpdate::Seen { at, instance: open.session.instance.clone(), clock_offset_ms };
            self.write(vec![Change::UpdateHost { host: open.host.clone(), update }]);
            at_once(self.conductor.disconnected(open.host));
        }
    }

    /// Takes what waits to be sent, in the order of the streams; and the streams that are to be closed for good.
    pub fn outgoing(&mut self) -> (Vec<(StreamId, ToAgent)>, Vec<StreamId>) {
        let (mut messages, mut closing) = (Vec::new(), Vec::new());
        for (stream, open) in &mut self.open {
            while let Some(Some(Ok(message))) = open.messages.next().now_or_never() {
                messages.push((*stream, message));
            }
            if open.session.closed().now_or_never().is_some() {
                closing.push(*stream);
            }
        }
        (messages, closing)
    }
}

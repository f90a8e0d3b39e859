//! Carries rollouts out: the shell around the pure engine. One task owns every rollout; nothing else touches them.
//!
//! Terms: an *input* is what an agent reports, an operator orders, or a change of the world (presence, halt, quarantine). A *batch* is
//! what was gathered before the disk is synced: its events are folded in memory, appended in one write per rollout (with claims, the
//! summary and lines for people), and only when that is on disk are its *effects* carried out: directives, leases, conclusions, answers
//! (save, then send). If an append fails, the rollout is loaded again from its log and the effects are dropped.
//!
//! What it may not do: decide. Which host gets what and when is `crate::rollout`'s; this module gives it the world to look at and keeps
//! its word.

mod acts;
mod batch;
mod ended;
mod epoch;
mod handle;
mod history;
mod load;
mod planning;
mod reconcile;
mod reports;
mod story;
mod task;
#[cfg(test)]
mod tests;
mod views;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use patchwave_common::domain::{DirectiveProgress, Generation, HostId, QuarantineKey, RolloutId, Timestamp};
use patchwave_common::runtime::clock::Clock;
use tokio::sync::{Notify, mpsc, watch};

pub use acts::{Act, ActError};
pub use handle::{ConductorHandle, WeakWorld};
pub use history::{HISTORY_LINES, HISTORY_RECORDS, host_history};
pub use planning::{PlanAsk, PlanAskKind, PlanRefused, Planned};
pub use task::ConductorTask;

use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::rollout::{Halt, Look, Rollout, RolloutState};
use crate::sessions::Sessions;
use crate::store::{GenerationBlock, StoreError, StoreHandle};
use batch::Batch;
use handle::Input;

/// Inputs that wait. Agents are slowed down (their streams are read more slowly) when it is full.
const QUEUE_INPUTS: usize = 10_000;
/// Inputs of one batch, so that one sync of the disk serves many reports and no answer waits for more than a batch.
const BATCH_INPUTS: usize = 1_000;
/// How often the conductor looks at the world although nothing told it to: a safety net for missed wakes, cheap when nothing is due.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// After an append failed, nothing is decided for so long: a disk that failed now fails again at once, and each failure reads a log.
const REST_AFTER_FAILURE_MS: u64 = 1_000;
/// A look at a rollout that found nothing to do is followed by a rest of so many times as long as it took. A look goes over every host of the
/// plan, and in a large fleet somebody reports all the time: looking may take a tenth of a core, and not more.
const REST_PER_LOOK: u64 = 9;
/// Rounds of decisions in one batch; the rest is taken up in the next one, so that one rollout cannot starve the others.
const MAX_DECISION_ROUNDS: usize = 64;

/// Bounds and spans of the conductor.
#[derive(Debug, Clone)]
pub struct ConductorSettings {
    /// How long a granted lease lasts on the agent's boot-time clock.
    pub lease: Duration,
}

impl Default for ConductorSettings {
    fn default() -> Self {
        // Long enough for a slow link and a queue at the package manager's lock, short enough that a halt is soon true everywhere.
        Self { lease: Duration::from_secs(60) }
    }
}

/// What the rest of the controller may look at without asking the task.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    quarantine: RwLock<BTreeSet<QuarantineKey>>,
    claims: RwLock<HashMap<HostId, RolloutId>>,
}

impl Shared {
    fn quarantine(&self) -> BTreeSet<QuarantineKey> {
        self.quarantine.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether nothing more will be released under a rollout in this state.
#[must_use]
pub fn is_ended(state: RolloutState) -> bool {
    matches!(state, RolloutState::Stopped | RolloutState::Aborted | RolloutState::Completed | RolloutState::NeedsAttention)
}

/// The same of a state's name, as views and summaries have it.
#[must_use]
pub fn is_ended_name(state: &str) -> bool {
    RolloutState::parse(state).is_ok_and(is_ended)
}

/// The task's state.
pub struct Conductor {
    store: StoreHandle,
    fleet: Arc<Fleet>,
    sessions: Arc<Sessions>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    settings: ConductorSettings,
    shared: Arc<Shared>,
    changed: watch::Sender<u64>,
    rollouts: BTreeMap<RolloutId, Rollout>,
    claims: HashMap<HostId, (RolloutId, Generation)>,
    /// Rollouts that, or whose claims, could not be read again after a failed append: without them nobody would carry them on.
    unloaded: BTreeSet<RolloutId>,
    /// The directive that each connected host was last sent or has: it is not sent again, and one that is void is named when it is withdrawn.
    sent: HashMap<HostId, Generation>,
    /// The report of each connected host that was answered last because it did not fit.
    answered: HashMap<HostId, (Generation, DirectiveProgress)>,
    /// Hosts of whose unknown directive people were told.
    unknown_told: HashMap<HostId, Generation>,
    generations: Option<GenerationBlock>,
    /// The store's epoch when this run began; see [`epoch::MAX_EPOCH_RAISE`].
    first_epoch: u32,
    /// Hosts of which an impossible generation was told.
    epoch_refused: BTreeSet<HostId>,
    halt: Halt,
    quarantine: BTreeSet<QuarantineKey>,
    /// When every rollout is to be looked at although nothing was heard of it.
    look_all: bool,
    /// When every rollout was looked at last, in boot time.
    looked_ms: u64,
    /// Until when nothing is decided, in boot time; see [`REST_AFTER_FAILURE_MS`].
    rests_until_ms: u64,
    /// Whether absence counts by now: hosts that were not heard of since the start are offline from then on, and nobody tells.
    absence_counts: bool,
    wakes: BTreeMap<RolloutId, Timestamp>,
    /// Until when a rollout is not looked at again, in boot time; see [`REST_PER_LOOK`].
    resting: BTreeMap<RolloutId, u64>,
}

/// What the conductor is made of.
pub struct ConductorParts {
    /// The store.
    pub store: StoreHandle,
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// The open streams.
    pub sessions: Arc<Sessions>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Bounds.
    pub settings: ConductorSettings,
}

/// Loads every rollout that has not ended and starts the task. It ends when the last handle is dropped.
pub async fn start(parts: ConductorParts) -> Result<ConductorHandle, StoreError> {
    let (handle, task) = prepare(parts).await?;
    tokio::spawn(task.run());
    Ok(handle)
}

/// Loads every rollout that has not ended; what is told to the handle is done when the task runs.
pub async fn prepare(parts: ConductorParts) -> Result<(ConductorHandle, ConductorTask), StoreError> {
    let (inputs, received) = mpsc::channel(QUEUE_INPUTS);
    let (changed, changes) = watch::channel(0);
    let shared = Arc::new(Shared::default());
    let world = Arc::new(Notify::new());
    let looked_ms = parts.clock.boottime_ms();
    let mut conductor = Conductor {
        store: parts.store,
        fleet: parts.fleet,
        sessions: parts.sessions,
        clock: parts.clock,
        metrics: parts.metrics,
        settings: parts.settings,
        shared: shared.clone(),
        changed,
        rollouts: BTreeMap::new(),
        claims: HashMap::new(),
        unloaded: BTreeSet::new(),
        sent: HashMap::new(),
        answered: HashMap::new(),
        unknown_told: HashMap::new(),
        generations: None,
        first_epoch: 0,
        epoch_refused: BTreeSet::new(),
        halt: Halt::default(),
        quarantine: BTreeSet::new(),
        look_all: true,
        looked_ms,
        rests_until_ms: 0,
        absence_counts: false,
        wakes: BTreeMap::new(),
        resting: BTreeMap::new(),
    };
    conductor.load_all().await?;
    let handle = ConductorHandle::new(inputs, shared, world.clone(), changes);
    Ok((handle, ConductorTask::new(conductor, received, world)))
}

impl Conductor {
    /// Every rollout in memory: those that have not ended, and some that have.
    pub fn rollouts(&self) -> impl Iterator<Item = (&RolloutId, &Rollout)> {
        self.rollouts.iter()
    }
}

impl Conductor {
    /// How long nothing needs to be done unless something is heard.
    fn until_next_look(&self) -> Duration {
        if self.look_all {
            return self.rest();
        }
        let now = self.clock.now();
        let absence = (!self.absence_counts).then(|| self.fleet.grace_ends_at());
        let due = self.wakes.values().copied().chain(absence).min();
        let latest = LOOK_AT_LEAST_EVERY.saturating_sub(self.since_looked());
        due.map_or(latest, |due| due.since(now)).min(latest).max(self.rest())
    }

    /// Inputs come without end where people watch a rollout, so that a pause between them is no sign that it is time to look.
    fn look_where_nobody_told(&mut self) {
        if !self.absence_counts && self.fleet.grace_ends_at() <= self.clock.now() {
            self.absence_counts = true;
            self.look_all = true;
        }
        self.look_all |= self.since_looked() >= LOOK_AT_LEAST_EVERY;
        if self.look_all {
            self.looked_ms = self.clock.boottime_ms();
        }
    }

    /// How long nothing may be decided yet.
    fn rest(&self) -> Duration {
        Duration::from_millis(self.rests_until_ms.saturating_sub(self.clock.boottime_ms()))
    }

    fn since_looked(&self) -> Duration {
        Duration::from_millis(self.clock.boottime_ms().saturating_sub(self.looked_ms))
    }

    async fn take(&mut self, input: Input, batch: &mut Batch) {
        match input {
            Input::Connected { host, hello } => self.connected(&host, &hello, batch).await,
            Input::Disconnected { host } => {
                self.sent.remove(&host);
                self.answered.remove(&host);
                self.look_all = true;
            }
            Input::Staged { host, rollout, result } => self.staged(&host, &rollout, &result, batch).await,
            Input::Progress { host, generation, progress } => self.progress(&host, generation, &progress, batch).await,
            Input::RulesChanged { answer } => {
                self.reload_rules().await;
                self.look_all = true;
                batch.after(move |_| {
                    let _asker_gave_up = answer.send(());
                });
            }
            Input::Ask(ask) => ask(self),
            Input::Load { id, answer } => drop(answer.send(self.ensure_loaded(&id).await)),
            Input::Plan { ask, answer } => self.plan(*ask, answer, batch).await,
            Input::Act { rollout, act, answer } => self.act(&rollout, act, answer, batch).await,
        }
    }

    /// Lets every rollout that is due decide, until none proposes anything.
    async fn decide(&mut self, batch: &mut Batch) {
        if !self.rest().is_zero() {
            return;
        }
        self.load_what_is_missing().await;
        let now = self.clock.now();
        let due: Vec<RolloutId> = self
            .rollouts
            .keys()
            .filter(|id| self.look_all || batch.touched(id) || self.wakes.get(id).is_some_and(|wake| *wake <= now))
            .cloned()
            .collect();
        self.look_all = false;
        for id in due {
            let began_ms = self.clock.boottime_ms();
            let rest_ms = self.resting.get(&id).map_or(0, |until| until.saturating_sub(began_ms));
            if rest_ms > 0 {
                self.wakes.insert(id, now.plus(Duration::from_millis(rest_ms)));
                continue;
            }
            if self.decide_one(&id, now, batch).await {
                let ended_ms = self.clock.boottime_ms();
                self.resting.insert(id, ended_ms.saturating_add(ended_ms.saturating_sub(began_ms).saturating_mul(REST_PER_LOOK)));
            }
        }
    }

    /// Lets one rollout decide; `true` where nothing more is due.
    async fn decide_one(&mut self, id: &RolloutId, now: Timestamp, batch: &mut Batch) -> bool {
        let mut idle = false;
        let look = Look::default();
        for round in 0.. {
            let Some(rollout) = self.rollouts.get(id) else { break };
            let events = rollout.decide(now, &look.at(&self.world(id, now)));
            if events.is_empty() {
                idle = true;
                break;
            }
            if round >= MAX_DECISION_ROUNDS || batch.is_full() {
                self.look_all = true;
                break;
            }
            if !self.record_proposals(id, events, batch).await {
                break;
            }
        }
        let wake = self.rollouts.get(id).and_then(|rollout| rollout.wake_at(now, &look.at(&self.world(id, now))));
        match wake {
            Some(wake) => drop(self.wakes.insert(id.clone(), wake)),
            None => drop(self.wakes.remove(id)),
        }
        idle
    }

    /// A rollout, from memory or from its log.
    async fn rollout(&mut self, id: &RolloutId) -> Result<Option<&mut Rollout>, StoreError> {
        if !self.rollouts.contains_key(id)
            && let Some(rollout) = self.load_rollout(id).await?
        {
            self.rollouts.insert(id.clone(), rollout);
        }
        Ok(self.rollouts.get_mut(id))
    }
}

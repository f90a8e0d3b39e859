//! Keeps the findings of the fleet true: whenever a host, a feed, a rollout or an exception changes, it looks at the hosts concerned.
//!
//! Terms: a *look* takes what is known of one host and gives its findings (pure, in `finding`); what changed is appended to the host's log
//! before anybody is shown it. *Coverage* says whether advisories speak of a host at all: one that they do not speak of is unknown, never
//! clean, and its findings stay as they are. A *ruling* says how soon a finding must be closed and why (pure, in `advisory::priority`).
//!
//! The assessor is one task that owns everything it decides with; others ask it questions ([`AssessorHandle::ask`]). It works on threads
//! that may block, in turns: each takes what was told meanwhile, looks at a bounded number of hosts and then answers.

mod handle;
mod load;
mod look;
mod rollouts;
mod ruling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{AdvisoryId, FeedName, HostId, RolloutId, Timestamp};
use patchwave_common::runtime::clock::Clock;
use tokio::sync::mpsc;

pub use handle::{AssessorHandle, Gone};
pub use ruling::{Ruling, Rulings};

use crate::advisory::decision::Table;
use crate::advisory::matching::{ImageId, Matcher};
use crate::advisory::priority::Knowledge;
use crate::advisory::record::{Advisory, Space};
use crate::conductor::ConductorHandle;
use crate::feeds::Content;
use crate::finding::FindingSet;
use crate::fleet::Fleet;
use crate::records::FixKey;
use crate::store::StoreHandle;
use handle::Input;

/// Hosts looked at in one turn: their log entries are one write to the store, and a question waits for some tenths of a second at most.
const LOOKS_PER_TURN: usize = 1_000;
/// Inputs taken in one turn.
const INPUTS_PER_TURN: usize = 64;
/// How long to wait after the store failed before it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Spans, and the scheme, that rulings are made with.
#[derive(Debug, Clone)]
pub struct FindingSettings {
    /// How soon findings must be closed.
    pub scheme: Table,
    /// A fix should have passed its test within this time; from then on its time runs in any case (rule 33).
    pub test_limit: Duration,
    /// What a new host has to come up to date.
    pub new_host_grace: Duration,
    /// A finding is due soon when less than this is left.
    pub due_soon: Duration,
}

impl Default for FindingSettings {
    fn default() -> Self {
        let hour = Duration::from_secs(3_600);
        Self { scheme: Table::by_severity().clone(), test_limit: hour * 24, new_host_grace: hour * 72, due_soon: hour * 24 }
    }
}

/// What the assessor is made of.
pub struct AssessorParts {
    /// Where feeds and logs are.
    pub store: StoreHandle,
    /// What hosts have.
    pub fleet: Arc<Fleet>,
    /// What rollouts will bring.
    pub conductor: ConductorHandle,
    /// Civil time.
    pub clock: Arc<dyn Clock>,
    /// How findings are ruled.
    pub settings: FindingSettings,
}

/// Whether advisories speak of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// They do.
    Known,
    /// It has not told what is installed.
    NoInventory,
    /// Its system is none of which any feed speaks.
    NoSystem,
    /// No feed in use speaks of its release.
    NoAdvisories(Space),
    /// It left the fleet.
    Left,
}

impl Coverage {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::NoInventory => "no-inventory",
            Self::NoSystem => "no-system",
            Self::NoAdvisories(_) => "no-advisories",
            Self::Left => "left",
        }
    }
}

/// A host as it was last looked at.
#[derive(Debug, Clone)]
pub struct Assessed {
    /// Number of the next entry of its log.
    next: u64,
    /// Its findings.
    pub findings: Arc<FindingSet>,
    /// Whether advisories speak of it.
    pub coverage: Coverage,
}

/// The task's state.
pub struct Assessor {
    store: StoreHandle,
    /// What hosts have.
    pub fleet: Arc<Fleet>,
    conductor: ConductorHandle,
    clock: Arc<dyn Clock>,
    /// How findings are ruled.
    pub settings: FindingSettings,
    contents: BTreeMap<FeedName, Arc<Content>>,
    matcher: Matcher,
    knowledge: Knowledge,
    fixes: BTreeMap<FixKey, Timestamp>,
    hosts: HashMap<HostId, Assessed>,
    /// Hosts by the number that the matcher has for them; numbers are never given again.
    numbers: Vec<HostId>,
    number_of_host: HashMap<HostId, u32>,
    scheduled: HashMap<HostId, Vec<rollouts::Scheduled>>,
    live_rollouts: BTreeSet<RolloutId>,
    waiting: BTreeSet<HostId>,
    loaded: bool,
}

/// Starts the assessor; it reads everything by itself before it answers.
#[must_use]
pub fn start(parts: AssessorParts) -> AssessorHandle {
    let (handle, inputs) = AssessorHandle::new();
    let changes = parts.conductor.changes();
    tokio::spawn(run(Assessor::new(parts), inputs, changes));
    handle
}

async fn run(mut assessor: Assessor, mut inputs: mpsc::Receiver<Input>, mut rollouts: tokio::sync::watch::Receiver<u64>) {
    let fleet = assessor.fleet.clone();
    let mut pause = Duration::ZERO;
    loop {
        let first = if assessor.has_work() {
            tokio::time::sleep(pause).await;
            inputs.try_recv().ok()
        } else {
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => return,
                },
                () = fleet.changed() => None,
                _ = rollouts.changed() => None,
            }
        };
        if first.is_none() && inputs.is_closed() {
            return;
        }
        let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(INPUTS_PER_TURN);
        let taken: Vec<Input> = first.into_iter().chain(more).collect();
        let worked = tokio::task::spawn_blocking(move || {
            let went_well = assessor.turn(taken);
            (assessor, went_well)
        });
        match worked.await {
            Ok((back, went_well)) => {
                assessor = back;
                pause = if went_well { Duration::ZERO } else { RETRY };
            }
            Err(error) => {
                tracing::error!(%error, "findings are no longer kept; a restart of the controller brings them back");
                return;
            }
        }
    }
}

impl Assessor {
    fn new(parts: AssessorParts) -> Self {
        Self {
            store: parts.store,
            fleet: parts.fleet,
            conductor: parts.conductor,
            clock: parts.clock,
            settings: parts.settings,
            contents: BTreeMap::new(),
            matcher: Matcher::default(),
            knowledge: Knowledge::default(),
            fixes: BTreeMap::new(),
            hosts: HashMap::new(),
            numbers: Vec::new(),
            number_of_host: HashMap::new(),
            scheduled: HashMap::new(),
            live_rollouts: BTreeSet::new(),
            waiting: BTreeSet::new(),
            loaded: false,
        }
    }

    fn has_work(&self) -> bool {
        !self.loaded || !self.waiting.is_empty()
    }

    /// One turn; whether the store went along.
    fn turn(&mut self, inputs: Vec<Input>) -> bool {
        if !self.loaded {
            if let Err(error) = self.load() {
                tracing::error!(%error, "feeds and findings cannot be read; trying again");
                return false;
            }
            self.loaded = true;
        }
        let mut questions = Vec::new();
        for input in inputs {
            match input {
                Input::Feed { name, content, done } => {
                    self.set_content(name, content);
                    // Whoever told may have gone meanwhile.
                    let _ = done.send(());
                }
                Input::Ask(ask) => questions.push(ask),
            }
        }
        self.see_rollouts();
        self.waiting.extend(self.fleet.take_changed());
        let looked = self.look_at_some();
        questions.into_iter().for_each(|ask| ask(self));
        if let Err(error) = &looked {
            tracing::error!(%error, "what changed of findings cannot be stored; trying again");
        }
        looked.is_ok()
    }

    /// Whether everything that was told before is in the findings.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.loaded && self.waiting.is_empty()
    }

    /// Civil time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Every host, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostId, &Assessed)> {
        self.hosts.iter()
    }

    /// One host.
    #[must_use]
    pub fn host(&self, id: &HostId) -> Option<&Assessed> {
        self.hosts.get(id)
    }

    /// The matcher with the advisories in use.
    #[must_use]
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// What is known beside advisories.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// The content of a feed that is in use.
    #[must_use]
    pub fn content(&self, feed: &FeedName) -> Option<Arc<Content>> {
        self.contents.get(feed).cloned()
    }

    /// What is in use, by the feeds' names.
    pub fn contents(&self) -> impl Iterator<Item = (&FeedName, &Content)> {
        self.contents.iter().map(|(name, content)| (name, content.as_ref()))
    }

    /// The image of packages that the matcher knows of a host.
    #[must_use]
    pub fn image_of(&self, host: &HostId) -> Option<ImageId> {
        self.matcher.image_of(*self.number_of_host.get(host)?)
    }

    /// A feed's content is this now, or is none any more. Only what it says otherwise than before is matched again.
    fn set_content(&mut self, name: FeedName, content: Option<Arc<Content>>) {
        let before = match content {
            Some(content) => self.contents.insert(name.clone(), content),
            None => self.contents.remove(&name),
        };
        let after = self.contents.get(&name).cloned();
        let mut ids: BTreeSet<AdvisoryId> = BTreeSet::new();
        for content in [before.as_deref(), after.as_deref()].into_iter().flatten() {
            if let Content::Advisories(advisories) = content {
                ids.extend(advisories.keys().cloned());
            }
        }
        let (mut put, mut remove): (Vec<Arc<Advisory>>, Vec<AdvisoryId>) = Default::default();
        for id in ids {
            match (self.effective(&id), self.matcher.advisories().get(&id)) {
                (Some(now), Some(in_use)) if now == in_use => {}
                (Some(now), _) => put.push(now.clone()),
                (None, Some(_)) => remove.push(id),
                (None, None) => {}
            }
        }
        let images = self.matcher.change(put, remove);
        for image in &images {
            for host in self.matcher.hosts_of_number(image).into_iter().flatten() {
                self.waiting.extend(self.numbers.get(host as usize).cloned());
            }
        }
        self.learn();
        // Whom nobody spoke of before may be spoken of now, and the other way round.
        let matcher = &self.matcher;
        let concerned = self.hosts.iter().filter(|(_, host)| match &host.coverage {
            Coverage::NoAdvisories(space) => matcher.advisories().covers(space),
            Coverage::Known => true,
            _ => false,
        });
        let concerned: Vec<HostId> =
            concerned.filter(|(id, host)| host.coverage != Coverage::Known || !self.is_covered(id)).map(|(id, _)| id.clone()).collect();
        self.waiting.extend(concerned);
    }

    fn is_covered(&self, id: &HostId) -> bool {
        let space = self.fleet.get(id).and_then(|host| look::space_of(&host));
        space.is_some_and(|space| self.matcher.advisories().covers(&space))
    }

    /// What all feeds together say under an id: of several the one whose feed's name is last.
    fn effective(&self, id: &AdvisoryId) -> Option<&Arc<Advisory>> {
        self.contents.values().rev().find_map(|content| match content.as_ref() {
            Content::Advisories(advisories) => advisories.get(id),
            _ => None,
        })
    }

    /// Puts together what the feeds know of vulnerabilities; of several of a kind the one whose name is last wins.
    fn learn(&mut self) {
        let mut knowledge = Knowledge::default();
        for content in self.contents.values() {
            match content.as_ref() {
                Content::Kev(facts) => knowledge.kev.get_or_insert_default().by_cve.extend(facts.by_cve.clone()),
                Content::Epss(facts) => knowledge.epss.get_or_insert_default().by_cve.extend(facts.by_cve.clone()),
                Content::Ssvc(facts) => knowledge.ssvc.get_or_insert_default().by_cve.extend(facts.by_cve.clone()),
                Content::Advisories(_) | Content::Statements(_) => {}
            }
        }
        self.knowledge = knowledge;
    }
}

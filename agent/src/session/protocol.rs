//! The session's core: what was heard and what happened on the host go in, messages and commands come out.
//!
//! No I/O, no clock, no randomness: each event comes with its instant. Nothing here decides about patches; an instruction is passed on as
//! it came. Order of a link: connected → hello → welcome → everything else; an instruction before the welcome ends the link.

use std::collections::VecDeque;
use std::time::Duration;

use patchwave_common::domain::{
    CandidateSet, Digest, Directive, DirectiveHistory, DirectiveProgress, Feature, FromAgent, Generation, Hello, HostFacts, HostId,
    HostMode, InstanceId, InventoryDelta, Lease, QuarantineKey, RolloutId, StageRequest, StageResult, StopCause, Timestamp, ToAgent,
};

use super::exchange::{Exchange, Prepared};
use super::questions::Questions;

/// A link whose controller says nothing for so many heartbeats is given up. (The controller answers each heartbeat.)
const SILENT_HEARTBEATS: u32 = 3;
/// Time for the welcome: the controller looks the host up and reconciles its directive.
const WELCOME_WAIT_MS: u64 = 30_000;
/// Bounds on what a welcome may ask for, so that a mistake neither floods the controller nor makes the host look dead.
const HEARTBEAT_MIN_MS: u64 = 1_000;
const HEARTBEAT_MAX_MS: u64 = 600_000;
/// Results of staging that wait for a link; beyond it the oldest goes, and the controller asks again.
const MAX_WAITING_STAGES: usize = 16;

/// An instant on the host's two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Milliseconds since boot.
    pub boottime_ms: u64,
    /// Civil time.
    pub wall: Timestamp,
}

/// What the controller wants changed on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Download ahead.
    Stage(Box<StageRequest>),
    /// The one order.
    Directive(Box<Directive>),
    /// Leave to begin.
    Lease {
        /// As the controller gave it.
        lease: Lease,
        /// Boot time at which the question that it answers was put, in milliseconds.
        asked_ms: u64,
    },
    /// Void unless begun.
    Withdraw(Generation),
    /// Over; the host keeps what it has.
    Conclude {
        /// The directive.
        generation: Generation,
        /// How long originals stay.
        keep_originals: Duration,
    },
    /// The full list of versions that must not be installed.
    Quarantine(Vec<QuarantineKey>),
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A stream is open. What the host carries goes into the hello.
    Connected {
        /// The directive that it carries, or the last that it ended.
        directive: Option<DirectiveHistory>,
        /// Newest generation seen.
        newest: Option<Generation>,
    },
    /// The stream is gone.
    Disconnected,
    /// The controller said something.
    Heard(ToAgent),
    /// The packages changed on disk; the digest where it is known already.
    InventoryChanged(Option<Digest>),
    /// An inventory asked for by [`Command::PrepareInventory`] is ready.
    InventoryReady(InventoryDelta),
    /// It could not be read.
    InventoryFailed,
    /// Installed packages or the archive's indexes changed: candidates may differ.
    CandidatesChanged,
    /// What [`Command::RefreshArchive`] asked for is over, well or not.
    ArchiveRefreshed,
    /// Candidates asked for by [`Command::PrepareCandidates`] are ready.
    CandidatesReady(CandidateSet),
    /// They could not be computed.
    CandidatesFailed,
    /// Facts were read.
    Facts(Box<HostFacts>),
    /// News of the directive.
    Progress {
        /// The directive.
        generation: Generation,
        /// The news.
        progress: DirectiveProgress,
    },
    /// Staging ended.
    Staged {
        /// For this rollout.
        rollout: RolloutId,
        /// The result.
        result: StageResult,
    },
    /// The time of [`Protocol::wake_ms`] came.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Say this to the controller.
    Send(FromAgent),
    /// Read the inventory, answer with [`Event::InventoryReady`] or [`Event::InventoryFailed`].
    PrepareInventory {
        /// The acknowledged inventory to start from; `None` for everything.
        base: Option<Digest>,
    },
    /// Compute the candidates, answer with [`Event::CandidatesReady`] or [`Event::CandidatesFailed`].
    PrepareCandidates,
    /// This inventory is on the controller's disk: remember that across restarts.
    KeepInventory(Digest),
    /// These candidates are on the controller's disk: remember that across restarts.
    KeepCandidates(Digest),
    /// Fetch the archive's indexes, then say [`Event::ArchiveRefreshed`].
    RefreshArchive,
    /// Hand this to the patching parts.
    Instruct(Instruction),
    /// The controller greeted.
    Welcomed {
        /// The host as the controller knows it.
        host: HostId,
        /// The mode that the controller has on record.
        mode: HostMode,
        /// How far the host's civil clock is ahead of the controller's, in milliseconds; negative where it is behind. The way of the
        /// welcome is in it, some milliseconds.
        clock_ahead_ms: i64,
    },
    /// Close the stream.
    HangUp(HangUp),
}

/// Why the agent closes a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HangUp {
    /// The controller said nothing for too long.
    Silent {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// The controller gave an instruction before its welcome.
    OutOfOrder,
    /// The controller ended the session for good.
    Stopped {
        /// Why.
        cause: StopCause,
        /// In plain words, with the way out.
        detail: String,
    },
}

/// What an agent is for as long as it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whoami {
    /// This run of the agent.
    pub instance: InstanceId,
    /// The agent's version.
    pub agent_version: String,
    /// What it can do; none for a report-only agent.
    pub features: Vec<Feature>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Greeting { since_ms: u64 },
    Up { heartbeat_ms: u64, heard_ms: u64, beat_at_ms: u64 },
}

/// The core of a session; outlives its links.
#[derive(Debug)]
pub struct Protocol {
    whoami: Whoami,
    inventory: Exchange,
    candidates: Exchange,
    facts: HostFacts,
    told_facts: Option<HostFacts>,
    link: Link,
    waiting_stages: VecDeque<(RolloutId, StageResult)>,
    questions: Questions,
    reads_compressed: bool,
}

impl Protocol {
    /// Starts without a link, with what was acknowledged in an earlier run.
    #[must_use]
    pub fn new(whoami: Whoami, facts: HostFacts, inventory: Option<Digest>, candidates: Option<Digest>) -> Self {
        Self {
            whoami,
            inventory: Exchange::new(inventory),
            candidates: Exchange::new(candidates),
            facts,
            told_facts: None,
            link: Link::Down,
            waiting_stages: VecDeque::new(),
            questions: Questions::default(),
            reads_compressed: false,
        }
    }

    /// Whether the controller has greeted on the present link.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Whether the controller reads compressed messages.
    #[must_use]
    pub fn may_compress(&self) -> bool {
        self.is_up() && self.reads_compressed
    }

    /// The exchange of the inventory, for status output.
    #[must_use]
    pub fn inventory(&self) -> &Exchange {
        &self.inventory
    }

    /// The exchange of the candidates, for status output.
    #[must_use]
    pub fn candidates(&self) -> &Exchange {
        &self.candidates
    }

    /// Takes one event and says what is to be done, in order.
    #[must_use]
    pub fn handle(&mut self, at: At, event: Event) -> Vec<Command> {
        let now = at.boottime_ms;
        let mut commands = Vec::new();
        match event {
            Event::Connected { directive, newest } => commands.push(self.greet(at, directive, newest)),
            Event::Disconnected => self.lose_link(),
            Event::Heard(message) => self.hear(at, message, &mut commands),
            Event::InventoryChanged(digest) => self.inventory.changed(digest),
            Event::InventoryReady(delta) => {
                if self.inventory.prepared(delta.digest, delta.base.is_none(), self.is_up(), now) == Prepared::Send {
                    commands.push(Command::Send(FromAgent::Inventory(delta)));
                }
            }
            Event::InventoryFailed => self.inventory.failed(),
            Event::CandidatesChanged | Event::ArchiveRefreshed => self.candidates.changed(None),
            Event::CandidatesReady(set) => {
                if self.candidates.prepared(set.digest(), true, self.is_up(), now) == Prepared::Send {
                    commands.push(Command::Send(FromAgent::Candidates(set)));
                }
            }
            Event::CandidatesFailed => self.candidates.failed(),
            Event::Facts(facts) => self.facts = *facts,
            Event::Progress { generation, progress } => {
                // Without a link it is not lost: the next hello carries the directive's whole history. A hello that is said already does
                // not have it, so from then on it is told, welcome or not.
                if self.link != Link::Down {
                    let question = if progress == DirectiveProgress::Ready { self.questions.ask(now) } else { 0 };
                    commands.push(Command::Send(FromAgent::Progress { generation, progress, question }));
                }
            }
            Event::Staged { rollout, result } => self.staged(rollout, result),
            Event::Tick => {}
        }
        self.drive(at, &mut commands);
        commands
    }

    /// When [`Event::Tick`] is due, on the boot-time clock.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        match self.link {
            Link::Down => None,
            Link::Greeting { since_ms } => Some(since_ms.saturating_add(WELCOME_WAIT_MS)),
            Link::Up { heartbeat_ms, heard_ms, beat_at_ms } => {
                let silent = heard_ms.saturating_add(silence_ms(heartbeat_ms));
                [Some(silent), Some(beat_at_ms), self.inventory.wake_ms(), self.candidates.wake_ms()].into_iter().flatten().min()
            }
        }
    }

    fn greet(&mut self, at: At, directive: Option<DirectiveHistory>, newest: Option<Generation>) -> Command {
        self.lose_link();
        self.link = Link::Greeting { since_ms: at.boottime_ms };
        self.questions = Questions::of_session(at.boottime_ms);
        self.told_facts = Some(self.facts.clone());
        Command::Send(FromAgent::Hello(Box::new(Hello {
            instance: self.whoami.instance.clone(),
            agent_version: self.whoami.agent_version.clone(),
            features: self.whoami.features.clone(),
            inventory: self.inventory.acknowledged(),
            candidates: self.candidates.acknowledged(),
            facts: self.facts.clone(),
            clock: at.wall,
            directive,
            newest,
        })))
    }

    fn lose_link(&mut self) {
        if self.link != Link::Down {
            self.link = Link::Down;
            self.told_facts = None;
            self.inventory.link_lost();
            self.candidates.link_lost();
        }
    }

    fn hear(&mut self, at: At, message: ToAgent, commands: &mut Vec<Command>) {
        match (&mut self.link, &message) {
            // Said on a link that is closed already.
            (Link::Down, _) => return,
            (Link::Greeting { .. }, ToAgent::Welcome { .. } | ToAgent::Stop { .. }) => {}
            (Link::Greeting { .. }, _) => return self.hang_up(HangUp::OutOfOrder, commands),
            (Link::Up { heard_ms, .. }, _) => *heard_ms = at.boottime_ms,
        }
        match message {
            ToAgent::Welcome { clock, heartbeat, host, mode, reads_compressed } => {
                self.reads_compressed = reads_compressed;
                let interval = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX).clamp(HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
                let beat_at_ms = at.boottime_ms.saturating_add(interval);
                self.link = Link::Up { heartbeat_ms: interval, heard_ms: at.boottime_ms, beat_at_ms };
                commands.push(Command::Welcomed { host, mode, clock_ahead_ms: at.wall.0.saturating_sub(clock.0) });
            }
            ToAgent::Ping(0) => {}
            ToAgent::Ping(nonce) => commands.push(self.beat(at, nonce)),
            ToAgent::InventoryAnswer { digest, need_full } => {
                commands.extend(self.inventory.answered(digest, need_full).map(Command::KeepInventory));
            }
            ToAgent::CandidatesAnswer { digest, need_full } => {
                commands.extend(self.candidates.answered(digest, need_full).map(Command::KeepCandidates));
            }
            ToAgent::Refresh => commands.push(Command::RefreshArchive),
            ToAgent::Stop { cause, detail } => self.hang_up(HangUp::Stopped { cause, detail }, commands),
            ToAgent::Stage(request) => commands.push(Command::Instruct(Instruction::Stage(request))),
            ToAgent::Directive(directive) => commands.push(Command::Instruct(Instruction::Directive(directive))),
            ToAgent::Lease(lease) => {
                let asked_ms = self.questions.answered_by(&lease);
                commands.push(Command::Instruct(Instruction::Lease { lease, asked_ms }));
            }
            ToAgent::Withdraw(generation) => commands.push(Command::Instruct(Instruction::Withdraw(generation))),
            ToAgent::Conclude { generation, keep_originals } => {
                commands.push(Command::Instruct(Instruction::Conclude { generation, keep_originals }));
            }
            ToAgent::Quarantine(keys) => commands.push(Command::Instruct(Instruction::Quarantine(keys))),
        }
    }

    fn staged(&mut self, rollout: RolloutId, result: StageResult) {
        // Only the newest result of a rollout means something.
        self.waiting_stages.retain(|(waiting, _)| *waiting != rollout);
        if self.waiting_stages.len() == MAX_WAITING_STAGES {
            self.waiting_stages.pop_front();
        }
        self.waiting_stages.push_back((rollout, result));
    }

    /// Everything that is due, after whatever happened.
    fn drive(&mut self, at: At, commands: &mut Vec<Command>) {
        let now = at.boottime_ms;
        match self.link {
            Link::Down => return,
            Link::Greeting { since_ms } => {
                if now >= since_ms.saturating_add(WELCOME_WAIT_MS) {
                    self.hang_up(HangUp::Silent { for_ms: now.saturating_sub(since_ms) }, commands);
                }
                return;
            }
            Link::Up { heartbeat_ms, heard_ms, .. } if now >= heard_ms.saturating_add(silence_ms(heartbeat_ms)) => {
                return self.hang_up(HangUp::Silent { for_ms: now.saturating_sub(heard_ms) }, commands);
            }
            Link::Up { beat_at_ms, .. } => {
                if now >= beat_at_ms {
                    commands.push(self.beat(at, 0));
                }
            }
        }
        if self.told_facts.as_ref() != Some(&self.facts) {
            self.told_facts = Some(self.facts.clone());
            commands.push(Command::Send(FromAgent::Facts(Box::new(self.facts.clone()))));
        }
        commands.extend(self.waiting_stages.drain(..).map(|(rollout, result)| Command::Send(FromAgent::Stage { rollout, result })));
        self.inventory.tick(now);
        self.candidates.tick(now);
        commands.extend(self.inventory.next(now).map(|prepare| Command::PrepareInventory { base: prepare.base }));
        commands.extend(self.candidates.next(now).map(|_| Command::PrepareCandidates));
    }

    fn beat(&mut self, at: At, nonce: u64) -> Command {
        if let Link::Up { heartbeat_ms, beat_at_ms, .. } = &mut self.link {
            *beat_at_ms = at.boottime_ms.saturating_add(*heartbeat_ms);
        }
        Command::Send(FromAgent::Heartbeat { clock: at.wall, nonce })
    }

    fn hang_up(&mut self, why: HangUp, commands: &mut Vec<Command>) {
        self.lose_link();
        commands.push(Command::HangUp(why));
    }
}

fn silence_ms(heartbeat_ms: u64) -> u64 {
    heartbeat_ms.saturating_mul(u64::from(SILENT_HEARTBEATS))
}

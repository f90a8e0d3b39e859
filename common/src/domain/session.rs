//! What an agent and the controller say to each other, as domain values. The wire form is `patchwave-proto`'s business.

use std::time::Duration;

use super::{
    CandidateSet, Digest, Directive, DirectiveProgress, Feature, Generation, HostFacts, HostId, HostMode, InstanceId, InventoryDelta,
    Lease, QuarantineKey, RolloutId, StageRequest, StageResult, Timestamp,
};

/// First word of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// This run of the agent.
    pub instance: InstanceId,
    /// The agent's version.
    pub agent_version: String,
    /// What it can do.
    pub features: Vec<Feature>,
    /// Digest of the inventory that it has now, if it has read one.
    pub inventory: Option<Digest>,
    /// Digest of the candidates that it has now, if it has computed them.
    pub candidates: Option<Digest>,
    /// Facts of the machine.
    pub facts: HostFacts,
    /// The agent's wall clock.
    pub clock: Timestamp,
    /// The directive that it carries, or the last that it ended.
    pub directive: Option<DirectiveHistory>,
    /// The newest generation that it has seen.
    pub newest: Option<Generation>,
}

/// Everything an agent has reported about one directive, in order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DirectiveHistory {
    /// The directive.
    pub generation: Generation,
    /// Its rollout.
    pub rollout: RolloutId,
    /// What was reported, oldest first.
    pub progress: Vec<DirectiveProgress>,
}

impl DirectiveHistory {
    /// A directive takes about eight reports; only one that goes back and forth before it begins gives more, and those tell nothing new.
    pub const MAX_REPORTS: usize = 64;

    /// A history without a report.
    #[must_use]
    pub fn new(generation: Generation, rollout: RolloutId) -> Self {
        Self { generation, rollout, progress: Vec::new() }
    }

    /// Adds a report, unless the last one says the same. Beyond the bound the second oldest goes.
    pub fn push(&mut self, progress: DirectiveProgress) {
        if self.progress.last() == Some(&progress) {
            return;
        }
        if self.progress.len() >= Self::MAX_REPORTS {
            self.progress.remove(1);
        }
        self.progress.push(progress);
    }

    /// The newest report.
    #[must_use]
    pub fn current(&self) -> Option<&DirectiveProgress> {
        self.progress.last()
    }
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromAgent {
    /// First word.
    Hello(Box<Hello>),
    /// Still here; answers a ping where `nonce` is not 0.
    Heartbeat {
        /// The agent's wall clock.
        clock: Timestamp,
        /// The ping that this answers, or 0.
        nonce: u64,
    },
    /// What changed in the inventory, or all of it.
    Inventory(InventoryDelta),
    /// All candidates.
    Candidates(CandidateSet),
    /// Facts, when they changed.
    Facts(Box<HostFacts>),
    /// How staging ended.
    Stage {
        /// For this rollout.
        rollout: RolloutId,
        /// The result.
        result: StageResult,
    },
    /// News of the directive.
    Progress {
        /// The directive.
        generation: Generation,
        /// The news.
        progress: DirectiveProgress,
        /// Where the news ask for a lease: the number of the question in this session. The hello is question 1, whatever it carries;
        /// 0 is said with news that ask nothing, and by agents of release 0.1.
        question: u64,
    },
}

/// From the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAgent {
    /// Answer to the hello.
    Welcome {
        /// The controller's wall clock.
        clock: Timestamp,
        /// Time between heartbeats.
        heartbeat: Duration,
        /// Who the host is.
        host: HostId,
        /// What the host agreed to.
        mode: HostMode,
        /// Whether the controller reads compressed messages; release 0.1 did not.
        reads_compressed: bool,
    },
    /// Answer with a heartbeat that has this nonce; 0 asks for no answer (the controller says it after each heartbeat, see the .proto).
    Ping(u64),
    /// The inventory on disk is now this one, or everything is needed.
    InventoryAnswer {
        /// What is on disk; `None` with `need_full`.
        digest: Option<Digest>,
        /// The delta did not fit.
        need_full: bool,
    },
    /// The same for candidates.
    CandidatesAnswer {
        /// What is on disk; `None` with `need_full`.
        digest: Option<Digest>,
        /// Send all candidates.
        need_full: bool,
    },
    /// Download ahead.
    Stage(Box<StageRequest>),
    /// The one order.
    Directive(Box<Directive>),
    /// Leave to begin.
    Lease(Lease),
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
    /// Ask the archive again.
    Refresh,
    /// The session ends.
    Stop {
        /// Stable name: `retired`, `revoked`, `cloned`.
        cause: StopCause,
        /// In plain words, with the way out.
        detail: String,
    },
}

/// Why the controller ends a session for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// The host was retired or replaced.
    Retired,
    /// Its certificate was revoked.
    Revoked,
    /// Two running agents use its key (rule 25).
    Cloned,
    /// The agent broke the protocol.
    Protocol,
}

impl StopCause {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retired => "retired",
            Self::Revoked => "revoked",
            Self::Cloned => "cloned",
            Self::Protocol => "protocol",
        }
    }
}

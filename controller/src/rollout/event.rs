//! What a rollout's log records. Everything that ever changes a rollout is one of these; a new kind is added, none is changed.

use patchwave_common::domain::{
    Digest, Generation, HarmReason, NotStagedReason, OperatorName, QuarantineKey, RefusalReason, RolloutId, Timestamp,
};

use super::named::named;
use super::plan::{HostIndex, WaveIndex};
use crate::records::Actor;

/// Most hosts that one event names: bounds a record, and the changes of the write that appends it.
pub const MAX_HOSTS_PER_EVENT: usize = 1_000;

/// An event and its instant, which is max(previous record's instant, clock), so that a clock set back never reorders a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// A host and the generation of what it is ordered to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// The host.
    pub host: HostIndex,
    /// The directive's generation; [`Generation::default`] in a proposal, until the shell fills it in.
    pub generation: Generation,
}

/// One thing that happened or was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The plan was adopted; the first event of every log.
    Created {
        /// Who planned it.
        by: Actor,
        /// Root of the plan.
        plan: Digest,
    },
    /// Somebody other than the planner approved the plan.
    Approved {
        /// Who.
        by: OperatorName,
    },
    /// Let go.
    Started {
        /// Who.
        by: Actor,
    },
    /// Nothing more begins until resumed.
    Paused {
        /// Who, or the controller by itself.
        by: Actor,
        /// The kind of reason.
        reason: PauseReason,
        /// In plain words.
        detail: String,
    },
    /// A pause ends; the wave's time limit starts anew, and hosts that could not stage are asked again.
    Resumed {
        /// Who.
        by: Actor,
    },
    /// An operator lets the wave pass without the evidence that the policy asks for.
    GateOverridden {
        /// Who.
        by: Actor,
        /// The wave.
        wave: WaveIndex,
        /// Why.
        reason: String,
    },
    /// Ended by an operator; what has begun finishes.
    Aborted {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
    },
    /// The fleet was halted.
    Halted {
        /// The fleet's revision that says so.
        revision: u64,
    },
    /// The fleet's halt was lifted.
    HaltLifted {
        /// The fleet's revision that says so.
        revision: u64,
    },
    /// Another rollout takes over (a reverse rollout or a successor): healthy hosts are concluded at once.
    HandedOver {
        /// The other rollout.
        to: RolloutId,
    },
    /// These hosts were asked to download what they will need.
    StageRequested {
        /// The hosts.
        hosts: Vec<HostIndex>,
    },
    /// A host has everything.
    HostStaged {
        /// The host.
        host: HostIndex,
        /// Whether its way back is certain (rule 12).
        way_back: bool,
    },
    /// A host could not stage; never harm (rule 18).
    HostNotStaged {
        /// The host.
        host: HostIndex,
        /// The kind of reason.
        reason: NotStagedReason,
        /// What the tool said.
        detail: String,
    },
    /// A wave began.
    WaveStarted {
        /// The wave.
        wave: WaveIndex,
    },
    /// These hosts have a directive now. The same append claims them.
    Released {
        /// The hosts and their generations.
        hosts: Vec<Ordered>,
    },
    /// These hosts' directives are void; none had begun.
    Withdrawn {
        /// The hosts.
        hosts: Vec<HostIndex>,
    },
    /// A host told how far it is.
    HostProgress {
        /// The host.
        host: HostIndex,
        /// The directive that it speaks of.
        generation: Generation,
        /// What it told.
        progress: Progress,
    },
    /// These hosts fell silent after they had begun (rule 1).
    HostSilent {
        /// The hosts.
        hosts: Vec<HostIndex>,
        /// How silence was seen.
        cause: SilenceCause,
    },
    /// These hosts cannot be reached before they begin: neither success nor failure. Their directives are void.
    HostOffline {
        /// The hosts.
        hosts: Vec<HostIndex>,
        /// What keeps them away.
        cause: AbsenceCause,
    },
    /// These hosts can be reached again.
    HostReturned {
        /// The hosts.
        hosts: Vec<HostIndex>,
    },
    /// A person reported harm (rule 4).
    OperatorReportedHarm {
        /// The host.
        host: HostIndex,
        /// Who.
        by: OperatorName,
        /// What the person saw.
        reason: String,
    },
    /// These harmed hosts are ordered to return to their receipts.
    TakeBackOrdered {
        /// The hosts and the generations of the orders.
        hosts: Vec<Ordered>,
    },
    /// These healthy hosts keep what they have and are watched no longer.
    HostConcluded {
        /// The hosts.
        hosts: Vec<HostIndex>,
    },
    /// These hosts were retired from the fleet.
    HostRetired {
        /// The hosts.
        hosts: Vec<HostIndex>,
    },
    /// A gate passed.
    WavePassed {
        /// The wave.
        wave: WaveIndex,
        /// What it passed on.
        because: PassReason,
    },
    /// A gate did not pass within the wave's time limit; the rollout waits for an operator.
    WaveTimedOut {
        /// The wave.
        wave: WaveIndex,
        /// What it waited for.
        waiting: WaitingReason,
    },
    /// A failure limit was reached: nothing more is released, harmed hosts are taken back, the rest stay.
    Stopped {
        /// Which limit.
        reason: StopReason,
    },
    /// These versions are suspects (rule 13).
    Quarantined {
        /// The versions.
        keys: Vec<QuarantineKey>,
    },
    /// Nothing more will be released; what is left are hosts that finish or return.
    Completed {
        /// How it ended.
        outcome: Outcome,
    },
}

/// What a host told about its directive, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// In its journal.
    Accepted,
    /// Nothing was changed and nothing will be.
    Refused {
        /// The kind of reason.
        reason: RefusalReason,
        /// In plain words.
        detail: String,
    },
    /// It was ready, and this record is its lease (rule 2): from here on silence is harm.
    Applying,
    /// It says that it began although no lease is recorded. That should not be, and is believed: what a host did to itself is a fact.
    Begun,
    /// The transaction ended; checks run.
    Verifying,
    /// Proved healthy.
    Healthy,
    /// Harm was seen.
    Harmed {
        /// The kind of harm.
        reason: HarmReason,
        /// In plain words.
        detail: String,
    },
    /// Returning to the receipt.
    TakingBack,
    /// Equal to the receipt, verified.
    TakenBack,
    /// Neither target nor receipt; a person is needed.
    NeedsAttention {
        /// What differs.
        detail: String,
    },
}

/// Which limit stopped a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The rollout's own.
    RolloutLimit,
    /// A wave's.
    WaveLimit(WaveIndex),
}

impl std::fmt::Display for StopReason {
    /// `rollout-limit`, or `wave-limit:` and the wave's place counted from 0.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RolloutLimit => formatter.write_str("rollout-limit"),
            Self::WaveLimit(wave) => write!(formatter, "wave-limit:{}", wave.0),
        }
    }
}

named!(
    /// Why a rollout was paused.
    PauseReason, "pause reason" {
        /// An operator asked.
        Operator = "operator",
        /// So many hosts could not stage that the policy's threshold was reached (rule 18).
        NotStaged = "not-staged",
        /// Too few hosts were proved healthy, and no more can come (rule 6).
        TooLittleEvidence = "too-little-evidence",
        /// The wave has no host, so it decides nothing (rule 6).
        EmptyWave = "empty-wave",
        /// The wave's time limit passed.
        TimeLimit = "time-limit",
        /// A version of the plan is in quarantine.
        Quarantined = "quarantined",
    }
);
named!(
    /// What a wave waits for.
    WaitingReason, "waiting reason" {
        /// Hosts are downloading.
        Staging = "staging",
        /// Hosts are applying or verifying.
        InFlight = "in-flight",
        /// Proved hosts must stay healthy for a while.
        Soaking = "soaking",
        /// A healthy host is offline in its soak.
        SilentInSoak = "silent-in-soak",
        /// More hosts are offline than the policy's budget.
        Offline = "offline",
        /// Too few hosts are proved healthy, and more could come.
        TooLittleEvidence = "too-little-evidence",
        /// As many hosts are unavailable as the policy allows.
        Unavailable = "unavailable",
        /// As many hosts are in flight as the policy allows for the wave or a site.
        InFlightLimit = "in-flight-limit",
        /// Hosts are claimed by another rollout.
        Claimed = "claimed",
        /// Hosts may not be ordered now: clock off, cloned.
        Ineligible = "ineligible",
        /// It is not known yet whether hosts are there (the controller has just started).
        PresenceUnknown = "presence-unknown",
        /// Hosts are away, but not for long enough to be left to catch-up.
        Grace = "grace",
        /// The wave's earliest start has not come.
        EarliestStart = "earliest-start",
        /// A refused host is asked again soon.
        Retry = "retry",
        /// The next step is due now.
        Due = "due",
    }
);
named!(
    /// What a gate passed on.
    PassReason, "pass reason" {
        /// Enough hosts were proved healthy through the soak.
        Proved = "proved",
        /// Every host of the wave is at its target already, or is in an earlier wave.
        NothingToDo = "nothing-to-do",
        /// An operator's word.
        Overridden = "overridden",
    }
);
named!(
    /// How silence was seen.
    SilenceCause, "silence cause" {
        /// The host has been offline for longer than the policy allows.
        Offline = "offline",
        /// The host answers but tells nothing about its directive.
        NoProgress = "no-progress",
    }
);
named!(
    /// What keeps a host away before it begins.
    AbsenceCause, "absence cause" {
        /// No connection.
        Offline = "offline",
        /// Two running copies use its key (rule 25).
        Cloned = "cloned",
        /// Its clock is off (rule 28).
        ClockOff = "clock-off",
    }
);
named!(
    /// How a rollout ended.
    Outcome, "outcome" {
        /// Every wave passed.
        Completed = "completed",
        /// A failure limit was reached.
        Stopped = "stopped",
        /// An operator ended it.
        Aborted = "aborted",
    }
);

impl Event {
    /// How many generations a proposal wants.
    #[must_use]
    pub fn generations_wanted(&self) -> usize {
        match self {
            Self::Released { hosts } | Self::TakeBackOrdered { hosts } => hosts.len(),
            _ => 0,
        }
    }

    /// Fills in generations, in order; the shell takes them from the store, which never gives one twice.
    pub fn fill_generations(&mut self, mut next: impl FnMut() -> Generation) {
        if let Self::Released { hosts } | Self::TakeBackOrdered { hosts } = self {
            hosts.iter_mut().for_each(|ordered| ordered.generation = next());
        }
    }

    /// The hosts that this event orders, with their generations: they are claimed in the write that appends it.
    #[must_use]
    pub fn orders(&self) -> &[Ordered] {
        match self {
            Self::Released { hosts } | Self::TakeBackOrdered { hosts } => hosts,
            _ => &[],
        }
    }
}

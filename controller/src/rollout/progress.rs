//! A rollout in numbers, per wave and as a whole, for people and for metrics.

use patchwave_common::domain::policy::WaveKind;
use patchwave_common::domain::{OperatorName, QuarantineKey, Timestamp};

use super::event::WaitingReason;
use super::named::named;
use super::plan::WaveIndex;
use super::state::{Rollout, RolloutState};
use super::view::Liveness;
use crate::records::Actor;

named!(
    /// Where a wave stands.
    WaveStage, "wave stage" {
        /// An earlier wave has not passed.
        Waiting = "waiting",
        /// Hosts are being ordered.
        Running = "running",
        /// All that can be ordered is done; proved hosts are watched.
        Soaking = "soaking",
        /// Its gate passed.
        Passed = "passed",
        /// The rollout ended before its gate passed.
        Stopped = "stopped",
    }
);

/// What a wave or a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The kind of reason.
    pub reason: WaitingReason,
    /// In plain words.
    pub text: String,
    /// Until when, where known.
    pub until: Option<Timestamp>,
}

/// One wave in numbers. Each host of the wave counts in exactly one of the fields from `pending` to `retired`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveProgress {
    /// Which.
    pub wave: WaveIndex,
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub kind: WaveKind,
    /// Where it stands.
    pub stage: WaveStage,
    /// Hosts in it.
    pub hosts: u32,
    /// Not asked to stage yet.
    pub pending: u32,
    /// Downloading.
    pub staging: u32,
    /// Downloaded, not ordered yet.
    pub staged: u32,
    /// Ordered, or applying.
    pub applying: u32,
    /// Applied, checks run.
    pub verifying: u32,
    /// Proved healthy (or concluded). In a reverse rollout: taken back as ordered.
    pub healthy: u32,
    /// Harmed, being taken back, or in need of a person.
    pub failed: u32,
    /// Taken back to exactly what they had.
    pub taken_back: u32,
    /// Away; they get it when they return.
    pub offline: u32,
    /// Could not stage.
    pub not_staged: u32,
    /// Not updated: they refused, before anything was changed.
    pub refused: u32,
    /// At their target already.
    pub up_to_date: u32,
    /// Retired meanwhile.
    pub retired: u32,
    /// Failures charged to the wave; never decreases.
    pub charged: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its gate passed.
    pub passed_at: Option<Timestamp>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
}

/// A rollout as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutSummary {
    /// Its state.
    pub state: RolloutState,
    /// Why it is in that state, or what it waits for, in plain words.
    pub reason: String,
    /// Who planned it.
    pub created_by: Option<Actor>,
    /// When.
    pub created_at: Option<Timestamp>,
    /// When it was let go.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: Vec<OperatorName>,
    /// Approvals that it needs.
    pub approvals_needed: u32,
    /// Hosts of the plan.
    pub hosts: u32,
    /// Hosts on which the change stands and was proved.
    pub updated: u32,
    /// Hosts on which something was applied (or, in a reverse rollout, taken back), those taken back again included.
    pub changed: u32,
    /// Hosts that were never ordered to do anything.
    pub untouched: u32,
    /// Hosts that were harmed and are not restored.
    pub harmed: u32,
    /// Hosts taken back.
    pub taken_back: u32,
    /// Hosts that need a person.
    pub needs_attention: u32,
    /// Failures charged; never decreases.
    pub charged: u32,
    /// So many stop it.
    pub failure_limit: u32,
    /// Suspects.
    pub quarantined: Vec<QuarantineKey>,
}

impl Rollout {
    /// Every wave in numbers.
    #[must_use]
    pub fn progress(&self, at: Timestamp, view: &dyn Liveness) -> Vec<WaveProgress> {
        let _ = (at, view);
        Vec::new()
    }

    /// The rollout as a whole. Without a view the reason tells what the log alone can tell.
    #[must_use]
    pub fn summary(&self) -> RolloutSummary {
        RolloutSummary {
            state: self.state(),
            reason: String::new(),
            created_by: None,
            created_at: None,
            started_at: None,
            ended_at: None,
            approved_by: Vec::new(),
            approvals_needed: 0,
            hosts: 0,
            updated: 0,
            changed: 0,
            untouched: 0,
            harmed: 0,
            taken_back: 0,
            needs_attention: 0,
            charged: 0,
            failure_limit: 0,
            quarantined: Vec::new(),
        }
    }
}

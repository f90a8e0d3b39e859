//! The state that the events fold into.

use std::sync::Arc;

use patchwave_common::domain::Digest;

use super::event::Recorded;
use super::named::named;
use super::plan::{Plan, SealedPlan};
use super::rejected::Rejected;

named!(
    /// A rollout's state.
    RolloutState, "rollout state" {
        /// Planned; may be started.
        Planned = "planned",
        /// Planned; needs approvals first.
        AwaitingApproval = "awaiting-approval",
        /// Approved; may be started.
        Approved = "approved",
        /// Waves go on.
        Running = "running",
        /// Every wave passed; hosts that were away still get it when they return.
        CatchingUp = "catching-up",
        /// Nothing begins until it is resumed.
        Paused = "paused",
        /// Nothing begins until the fleet's halt is lifted.
        Halted = "halted",
        /// A failure limit was reached; harmed hosts are being taken back.
        Stopping = "stopping",
        /// Stopped by a failure limit.
        Stopped = "stopped",
        /// Ended by an operator.
        Aborted = "aborted",
        /// Done.
        Completed = "completed",
        /// Ended, and at least one host is neither updated nor restored.
        NeedsAttention = "needs-attention",
    }
);
named!(
    /// Where one host stands.
    Phase, "host phase" {
        /// Not ordered.
        Pending = "pending",
        /// Ordered; not heard yet that the host has it.
        Released = "released",
        /// In the host's journal.
        Accepted = "accepted",
        /// It may have begun.
        Applying = "applying",
        /// Applied; checks run.
        Verifying = "verifying",
        /// Proved healthy, still watched.
        Healthy = "healthy",
        /// Proved healthy, watched no longer.
        Concluded = "concluded",
        /// Harmed, and not on its way back yet.
        Harmed = "harmed",
        /// On its way back.
        TakingBack = "taking-back",
        /// Exactly as before.
        TakenBack = "taken-back",
        /// Neither the one nor the other.
        NeedsAttention = "needs-attention",
        /// Away before it began.
        Offline = "offline",
        /// Not updated, by its own word.
        Refused = "refused",
        /// At its target already.
        UpToDate = "up-to-date",
        /// Retired from the fleet.
        Retired = "retired",
    }
);
named!(
    /// How far a host is with downloading.
    Staging, "staging state" {
        /// Not asked.
        NotAsked = "not-asked",
        /// Asked.
        Asked = "asked",
        /// It has everything.
        Staged = "staged",
        /// It could not.
        NotStaged = "not-staged",
    }
);

/// A rollout: a plan and the fold of what was recorded.
#[derive(Debug, Clone)]
pub struct Rollout {
    plan: Arc<Plan>,
    root: Digest,
}

impl Rollout {
    /// A rollout of which nothing is recorded yet.
    #[must_use]
    pub fn new(sealed: SealedPlan) -> Self {
        Self { plan: sealed.plan, root: sealed.root }
    }

    /// A rollout from its log.
    ///
    /// # Errors
    /// The place of the first event that does not fit, counted from 0, and why.
    pub fn replay(sealed: SealedPlan, log: impl IntoIterator<Item = Recorded>) -> Result<Self, (u64, Rejected)> {
        let mut rollout = Self::new(sealed);
        for (number, recorded) in (0_u64..).zip(log) {
            rollout.step(&recorded).map_err(|rejected| (number, rejected))?;
        }
        Ok(rollout)
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        RolloutState::Planned
    }

    /// How many events were folded; the log's revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        0
    }

    /// Digest over the whole state: two folds of one log are equal if and only if this is.
    #[must_use]
    pub fn state_hash(&self) -> Digest {
        self.root
    }

    /// Root of the plan.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }
}

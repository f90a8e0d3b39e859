//! Names of states: of a rollout, of a host in it, of its download.

use crate::rollout::named::named;

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
        /// An operator ended it; what has begun finishes.
        Aborting = "aborting",
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

impl Phase {
    /// It has an order and has not proved healthy: it counts against the bounds on hosts in flight.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Released | Self::Accepted | Self::Applying | Self::Verifying)
    }

    /// Its order can still be withdrawn.
    #[must_use]
    pub fn is_withdrawable(self) -> bool {
        matches!(self, Self::Released | Self::Accepted)
    }

    /// It may be down because of this rollout: it counts against the disruption budget until it proves healthy (rules 3 and 8).
    #[must_use]
    pub fn is_unavailable(self) -> bool {
        self.is_in_flight() || matches!(self, Self::Harmed | Self::TakingBack | Self::NeedsAttention)
    }

    /// This rollout holds the host's claim.
    #[must_use]
    pub fn is_claimed(self) -> bool {
        self.is_in_flight() || matches!(self, Self::Healthy | Self::Harmed | Self::TakingBack)
    }

    /// It is neither updated nor restored.
    #[must_use]
    pub fn is_unresolved(self) -> bool {
        matches!(self, Self::Harmed | Self::TakingBack | Self::NeedsAttention)
    }
}

impl RolloutState {
    /// Nothing will be released any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopping | Self::Stopped | Self::Aborting | Self::Aborted | Self::Completed | Self::NeedsAttention)
    }
}

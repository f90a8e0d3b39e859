//! Why an event is not accepted. An event that is rejected changes nothing and must not be appended.

use patchwave_common::domain::{Generation, HostId, Timestamp};

use super::state::{Phase, RolloutState};

/// Why an event was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The record is older than the one before it.
    #[error("the record of {at} is older than the last one, of {last}")]
    TimeWentBack {
        /// The record's instant.
        at: Timestamp,
        /// The instant of the last one.
        last: Timestamp,
    },
    /// The rollout is in a state that does not allow this.
    #[error("{action} is not possible while the rollout is {state} (hint: {hint})")]
    WrongState {
        /// What was tried.
        action: &'static str,
        /// The state.
        state: RolloutState,
        /// The way out.
        hint: &'static str,
    },
    /// An approval that does not count.
    #[error("this approval does not count: {0}")]
    Approval(&'static str),
    /// The host is not in the plan.
    #[error("host {0} is not in the plan")]
    NoSuchHost(HostId),
    /// The number of a host, wave or list that the plan does not have, or a list that is empty, too long or has one host twice.
    #[error("the event does not fit the plan: {0}")]
    Malformed(&'static str),
    /// The host's phase does not allow this.
    #[error("{action} does not fit a host that is {phase}")]
    WrongPhase {
        /// What was tried.
        action: &'static str,
        /// The host's phase.
        phase: Phase,
    },
    /// The report is about a directive that is void.
    #[error("the report is about directive {got}, which is void (the newest is {current})")]
    Stale {
        /// The report's.
        got: Generation,
        /// The host's newest.
        current: Generation,
    },
    /// It is known already; nothing to record.
    #[error("it is known already")]
    NoNews,
    /// A generation that is not newer than those before.
    #[error("generation {got} is not newer than {newest}")]
    OldGeneration {
        /// The event's.
        got: Generation,
        /// The newest of this rollout.
        newest: Generation,
    },
    /// A bound or a gate forbids it.
    #[error("not allowed now: {0}")]
    Forbidden(&'static str),
}

//! What the shell knows of the world at this moment. It enters decisions only; what is decided from it is recorded as an event.

use patchwave_common::domain::{HostId, QuarantineKey, RolloutId, Timestamp};

/// The world as [`Rollout::decide`](super::Rollout::decide) may look at it.
pub trait Liveness {
    /// One host.
    fn host(&self, host: &HostId) -> HostNow;
    /// Whether the fleet is halted.
    fn halt(&self) -> Halt;
    /// Whether a version may not be installed.
    fn is_quarantined(&self, key: &QuarantineKey) -> bool;
}

/// The fleet's halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Halt {
    /// Every rollout is stopped.
    pub on: bool,
    /// The fleet's revision that says so.
    pub revision: u64,
}

/// One host at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNow {
    /// Whether it can be reached.
    pub presence: Presence,
    /// Whether it may take part.
    pub standing: Standing,
    /// The *other* rollout that has claimed it.
    pub claimed_by: Option<RolloutId>,
}

/// Whether a host can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has a stream.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// It has none.
    Offline {
        /// Since when; never before the controller itself has been there to be reached, so that the controller's own outage is nobody's silence.
        since: Timestamp,
    },
    /// The controller started so recently that hosts had no chance to come back. No verdict is given (unknown is not offline).
    Unknown,
}

/// Whether a host may take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may.
    Eligible,
    /// An operator retired it, or another host stands for it.
    Retired,
    /// Two running copies use its key (rule 25).
    Cloned,
    /// Not seen for so long that it is left out of denominators (rule 32).
    Stale,
    /// Its clock is more than five minutes off (rule 28).
    ClockOff,
}

//! What workers are told and what they answer: one JSON value a line, on standard input and output.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What a worker does with its agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Agents up to this number (of the worker's own) connect.
    Connect {
        /// How many are to be connected then.
        up_to: u32,
    },
    /// Each agent that is connected sends so many heartbeats, each after the answer to the one before.
    Beat {
        /// How many.
        rounds: u32,
    },
    /// Each agent reports a changed inventory and waits for the acknowledgement.
    Report {
        /// Numbers the change.
        round: u32,
        /// All of the inventory, as after enrolment, or only what changed.
        whole: bool,
    },
    /// Agents report changed inventories one after the other until the time is over.
    CheckIn {
        /// Agents of this worker that take part.
        agents: u32,
        /// For how long.
        millis: u64,
    },
    /// Counts what comes from now on: each agent's first message of that kind.
    Await(Kind),
}

/// A message that the controller sends to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The list of versions in quarantine.
    Quarantine,
    /// A rollout's order.
    Directive,
    /// A new stream after the old one broke: welcomed again.
    Return,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// Its agents are made; it awaits orders. Also the answer to [`Order::Await`].
    Ready,
    /// How far an order is.
    Progress {
        /// Agents that are done.
        done: u32,
    },
    /// An order is carried out.
    Done(Outcome),
}

/// How an order went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Exchanges that were answered.
    pub exchanges: u64,
    /// Streams that broke meanwhile.
    pub broken: u64,
    /// For messages that were awaited: when each agent had its first, in microseconds since 1970.
    pub at_us: Vec<u64>,
}

/// Now, in microseconds since 1970: the one clock that all processes of the machine share.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap_or_default()
}

//! When to try again. For ever; how soon depends on why the last link ended.

use std::time::Duration;

use patchwave_common::runtime::retry::Retry;

use super::link::ClosedKind;

/// A link that stood for so long was a success; the next failure starts with short pauses again. Shorter, and a controller that accepts
/// and drops everybody at once would be met by its whole fleet every second.
pub const LASTED_MS: u64 = 30_000;
/// After a refusal somebody has to act; some minutes make a repair seen soon and cost a controller with 10,000 revoked hosts 17 tries/s.
const REFUSED_SECS: std::ops::Range<u64> = 300..900;
/// After a stop (retired, revoked, cloned) an operator has to act, and the agent's log says so. About an hour.
const STOPPED_SECS: std::ops::Range<u64> = 2_700..4_500;

/// Why there is no link now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It broke off, or never came about.
    Broken,
    /// One side would not have the other.
    Refused,
    /// The controller ended the session for good.
    Stopped,
}

impl From<ClosedKind> for Ending {
    fn from(kind: ClosedKind) -> Self {
        match kind {
            ClosedKind::Broken => Self::Broken,
            ClosedKind::Refused => Self::Refused,
        }
    }
}

/// The pause before the next try.
pub fn pause(ending: Ending, retry: &mut Retry) -> Duration {
    match ending {
        Ending::Broken => retry.next_delay(),
        Ending::Refused => spread(REFUSED_SECS),
        Ending::Stopped => spread(STOPPED_SECS),
    }
}

fn spread(secs: std::ops::Range<u64>) -> Duration {
    Duration::from_secs(rand::random_range(secs))
}

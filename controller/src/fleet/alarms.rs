//! What an operator should know of a host.

use std::time::Duration;

use patchwave_common::domain::Timestamp;

use super::{FleetHost, Presence};
use crate::records::HostState;

/// A clock further off than this is an alarm, and the host gets no directive (rule 28).
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);
/// A host unseen for this long is stale: it leaves the denominators, never the reports (rule 32).
pub const STALE_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// Stable names of what is wrong with a host, most serious first.
#[must_use]
pub fn alarms(host: &FleetHost, presence: Presence, now: Timestamp) -> Vec<&'static str> {
    let record = &host.record;
    let mut alarms = Vec::new();
    if matches!(record.state, HostState::Cloned { .. }) {
        alarms.push("cloned");
    }
    if !host.is_active() {
        return alarms;
    }
    if clock_is_off(record.clock_offset_ms) {
        alarms.push("clock-off");
    }
    if let Presence::Offline { since } = presence
        && now.since(since) > STALE_AFTER
    {
        alarms.push("stale");
    }
    if record.facts.hold.is_some() {
        alarms.push("held");
    }
    if !record.facts.other_hands.is_empty() {
        alarms.push("other-hands");
    }
    if host.inventory.is_none() {
        alarms.push("no-inventory");
    }
    alarms
}

/// Whether a clock offset in milliseconds is beyond [`CLOCK_TOLERANCE`].
#[must_use]
pub fn clock_is_off(offset_ms: i64) -> bool {
    u128::from(offset_ms.unsigned_abs()) > CLOCK_TOLERANCE.as_millis()
}

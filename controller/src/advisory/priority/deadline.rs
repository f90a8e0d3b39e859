//! From an outcome to an instant (rules 33 and 34).

use std::time::Duration;

use patchwave_common::domain::Timestamp;

use crate::advisory::decision::{Due, Outcome};

/// What our own records say of a fix and of the host that needs it. Dates that a feed writes do not count: a notice that is dated anew would
/// put a deadline off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixHistory {
    /// When any host could first get the fix from its origin.
    pub first_seen: Timestamp,
    /// When the test ring had passed with it.
    pub test_passed: Option<Timestamp>,
    /// When the host enrolled.
    pub enrolled: Timestamp,
}

/// From when on the time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// From the end of the test.
    TestPassed,
    /// From when the test should have ended: a fix that nobody tests is late all the same.
    TestLimit,
    /// A new host: from when it had time to settle.
    NewHost,
}

/// By when a hole must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The instant.
    pub due: Timestamp,
    /// From when on the time ran.
    pub basis: Basis,
}

/// The deadline: the earlier of the test's end and its limit, and the outcome's span after it; a host that enrolled later has at least its
/// grace after that. `None` for what waits for the next upgrade. Nothing that fails, is absent or superseded is asked, so nothing of that
/// kind moves it later.
#[must_use]
pub fn deadline(outcome: Outcome, fix: FixHistory, test_limit: Duration, grace: Duration) -> Option<Deadline> {
    let Due::Within(span) = outcome.due else { return None };
    let limit = fix.first_seen.plus(test_limit);
    let (from, basis) = match fix.test_passed {
        Some(passed) if passed <= limit => (passed, Basis::TestPassed),
        _ => (limit, Basis::TestLimit),
    };
    let due = from.plus(span);
    let settled = fix.enrolled.plus(grace);
    // Only a host that came after the fix is new to it.
    Some(if fix.enrolled > fix.first_seen && settled > due {
        Deadline { due: settled, basis: Basis::NewHost }
    } else {
        Deadline { due, basis }
    })
}

//! Civil time that cannot be moved by a jump: for everything that counts a span.
//!
//! A soak of two days is counted in civil time, since it must outlive restarts. If somebody sets the machine's clock two days ahead, or a
//! virtual machine wakes with another time, that soak would be over at once and the next wave begin. This clock follows boot time, which
//! nobody can move, and approaches civil time at most a tenth faster or slower than it passes: a span is at least nine tenths of what
//! was asked for, whatever happens to the civil clock. It never goes back. A new process begins with civil time as it is.
//!
//! Certificates, and the comparison with clocks of hosts, need the civil clock itself.

use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Clock;
use crate::domain::Timestamp;

/// The share of a span by which this clock runs ahead or behind while it approaches civil time: one in so many.
const SLEW_ONE_IN: u64 = 10;
/// Spans are measured from an anchor that is at least so old, so that many small steps are no less exact than a large one.
const ANCHOR_MS: u64 = 10_000;
/// A civil clock further away than this was set or is wrong, and people are told; a synchronised one stays within a second.
const FAR_MS: u64 = 60_000;

/// See the module.
pub struct SteadyClock {
    civil: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    anchor: Reading,
    shown: Timestamp,
    is_far: bool,
}

#[derive(Clone, Copy)]
struct Reading {
    shown: Timestamp,
    boottime_ms: u64,
}

impl SteadyClock {
    /// Begins with what `civil` shows now.
    #[must_use]
    pub fn over(civil: Arc<dyn Clock>) -> Self {
        let anchor = Reading { shown: civil.now(), boottime_ms: civil.boottime_ms() };
        Self { civil, state: Mutex::new(State { anchor, shown: anchor.shown, is_far: false }) }
    }
}

impl State {
    /// What is shown at that boot time when the civil clock shows this.
    fn show(&mut self, civil: Timestamp, boottime_ms: u64) -> Timestamp {
        let passed = boottime_ms.saturating_sub(self.anchor.boottime_ms);
        let slew = passed / SLEW_ONE_IN;
        let at = |span: u64| self.anchor.shown.0.saturating_add(i64::try_from(span).unwrap_or(i64::MAX));
        let (earliest, latest) = (at(passed - slew), at(passed.saturating_add(slew)));
        self.shown = Timestamp(civil.0.clamp(earliest, latest)).max(self.shown);
        if passed >= ANCHOR_MS {
            self.anchor = Reading { shown: self.shown, boottime_ms };
        }
        self.shown
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let civil = self.civil.now();
        let shown = state.show(civil, self.civil.boottime_ms());
        let away_ms = civil.0.abs_diff(shown.0);
        let is_far = away_ms > FAR_MS;
        if is_far && !state.is_far {
            tracing::warn!(
                seconds = away_ms / 1000,
                "this machine's clock was set; spans go on as they were, and follow it a tenth faster or slower (hint: is its time synchronised?)"
            );
        }
        state.is_far = is_far;
        shown
    }

    fn boottime_ms(&self) -> u64 {
        self.civil.boottime_ms()
    }

    fn boot_id(&self) -> String {
        self.civil.boot_id()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::runtime::clock::ManualClock;

    const START: Timestamp = Timestamp(1_790_000_000_000);
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_right_is_followed_exactly() {
        let civil = Arc::new(ManualClock::new(START));
        let steady = SteadyClock::over(civil.clone());
        for step in [1, 20, 999, 30_000, 86_400_000] {
            civil.advance(Duration::from_millis(step));
            assert_eq!(steady.now(), civil.now());
        }
    }

    #[test]
    fn a_jump_ends_no_span_and_is_made_up_for_slowly() {
        let civil = Arc::new(ManualClock::new(START));
        let steady = SteadyClock::over(civil.clone());
        civil.set(START.plus(Duration::from_secs(2 * 86_400)));
        assert_eq!(steady.now(), START, "no time has passed");
        civil.advance(Duration::from_secs(3_600));
        assert_eq!(steady.now(), Timestamp(START.0 + HOUR_MS + HOUR_MS / 10));
        // Twenty days later it has caught up.
        for _ in 0..20 {
            civil.advance(Duration::from_secs(86_400));
            steady.now();
        }
        assert_eq!(steady.now(), civil.now());
    }

    proptest! {
        #[test]
        fn between_two_readings_as_much_time_passes_as_did_give_or_take_a_tenth(
            steps in prop::collection::vec((0_u64..200_000, prop::option::weighted(0.2, -100 * HOUR_MS..100 * HOUR_MS)), 1..200),
        ) {
            let civil = Arc::new(ManualClock::new(START));
            let steady = SteadyClock::over(civil.clone());
            let mut readings = vec![(civil.boottime_ms(), steady.now())];
            for (step, jump) in steps {
                civil.advance(Duration::from_millis(step));
                if let Some(jump) = jump {
                    civil.set(Timestamp(START.0 + jump));
                }
                readings.push((civil.boottime_ms(), steady.now()));
            }
            for (from, (boot, shown)) in readings.iter().enumerate() {
                for (later_boot, later_shown) in &readings[from..] {
                    let passed = later_boot - boot;
                    let counted = u64::try_from(later_shown.0 - shown.0).unwrap();
                    // Between two anchors a reading may go from ahead to behind; and each anchor rounds by less than a millisecond.
                    let leeway = passed / SLEW_ONE_IN + 2 * ANCHOR_MS / SLEW_ONE_IN + 200;
                    prop_assert!(counted.abs_diff(passed) <= leeway, "{counted} ms for {passed} ms");
                }
            }
        }
    }
}

//! A bound on how often something is said: so many times in a window, and then how many were left out. What strangers can cause must not be
//! able to fill a log.

use std::sync::{Mutex, PoisonError};

/// Says yes to at most `most` in each window.
#[derive(Debug)]
pub struct Throttle {
    most: u32,
    window_ms: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since_ms: u64,
    said: u32,
    left_out: u64,
}

impl Throttle {
    /// At most `most` in each window of `window_ms` milliseconds.
    #[must_use]
    pub fn new(most: u32, window_ms: u64) -> Self {
        Self { most, window_ms, state: Mutex::default() }
    }

    /// Whether one more may be said at `now_ms` (a clock that nobody sets back, such as boot time); if so, how many before it were not.
    pub fn admit(&self, now_ms: u64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(state.since_ms) >= self.window_ms || now_ms < state.since_ms {
            state.since_ms = now_ms;
            state.said = 0;
        }
        if state.said >= self.most {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_admits_its_number_and_the_next_one_tells_what_was_left_out() {
        let throttle = Throttle::new(3, 1000);
        let admitted = |at| throttle.admit(at);
        assert_eq!([admitted(5000), admitted(5001), admitted(5002), admitted(5999)], [Some(0), Some(0), Some(0), None]);
        assert_eq!(admitted(5999), None);
        assert_eq!([admitted(6000), admitted(6001)], [Some(2), Some(0)]);
    }
}

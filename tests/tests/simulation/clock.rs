//! The controller's clocks: true time moves them, and somebody may set the civil one wrong.

use std::sync::Mutex;

use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::clock::Clock;

/// Civil time at the start of every life.
pub const START: i64 = 1_790_000_000_000;

#[derive(Debug, Default)]
pub struct ControllerClock(Mutex<(u64, i64)>);

impl ControllerClock {
    pub fn set_true(&self, now_ms: u64) {
        self.0.lock().unwrap().0 = now_ms;
    }

    pub fn set_wrong_by(&self, offset_ms: i64) {
        self.0.lock().unwrap().1 = offset_ms;
    }
}

impl Clock for ControllerClock {
    fn now(&self) -> Timestamp {
        let (now_ms, offset_ms) = *self.0.lock().unwrap();
        Timestamp(START + i64::try_from(now_ms).unwrap() + offset_ms)
    }

    fn boottime_ms(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn boot_id(&self) -> String {
        "controller".to_owned()
    }
}

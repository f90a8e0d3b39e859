//! The clocks, behind one trait so that tests inject time.
//!
//! * *now* is civil time; people and the network can move it.
//! * *boot time* counts from boot and also while the machine sleeps (`CLOCK_BOOTTIME`); nobody can move it, a reboot restarts it.
//!   It means something only together with the *boot id*, so leases and dead-man timers are kept as (boot id, boot time).

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::atomic_file;
use crate::domain::{Timestamp, clean_text};

/// Where Linux names the present boot.
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
/// A boot id is a UUID with a newline: 37 bytes. More is not a boot id.
const BOOT_ID_MAX_BYTES: u64 = 64;

/// What tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, by the machine's civil clock.
    fn now(&self) -> Timestamp;

    /// Milliseconds since boot, sleep included; comparable only within one [`Clock::boot_id`].
    fn boottime_ms(&self) -> u64;

    /// Names the present boot of this machine.
    fn boot_id(&self) -> String;
}

/// The machine's own clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    boot_id: String,
}

impl SystemClock {
    /// The system's clocks; reads the boot id once. Where the kernel shows none (no `/proc`), the id is made from the instant of boot, to
    /// the second: two boots never share it.
    #[must_use]
    pub fn new() -> Self {
        let boot_id = match atomic_file::read_bounded(BOOT_ID_PATH.as_ref(), BOOT_ID_MAX_BYTES) {
            Ok(bytes) => clean_text(String::from_utf8_lossy(&bytes).trim(), 64),
            Err(_) => {
                let booted_ms = system_now_ms().saturating_sub(i64::try_from(system_boottime_ms()).unwrap_or(i64::MAX));
                format!("booted-at-{}", booted_ms / 1000)
            }
        };
        Self { boot_id }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(system_now_ms())
    }

    fn boottime_ms(&self) -> u64 {
        system_boottime_ms()
    }

    fn boot_id(&self) -> String {
        self.boot_id.clone()
    }
}

/// Civil time in milliseconds since 1970; a clock set before 1970 gives a negative number.
#[allow(clippy::disallowed_methods)] // The one place that reads it.
fn system_now_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

fn system_boottime_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug, Clone)]
struct ManualState {
    now: Timestamp,
    boottime_ms: u64,
    boots: u32,
}

impl ManualClock {
    /// A clock that shows `now`, ten minutes after boot.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(ManualState { now, boottime_ms: 600_000, boots: 1 }) }
    }

    /// Lets time pass: civil and boot time both move on.
    pub fn advance(&self, span: Duration) {
        self.change(|state| {
            state.now = state.now.plus(span);
            state.boottime_ms = state.boottime_ms.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        });
    }

    /// Sets civil time, as a person or NTP does; boot time does not move.
    pub fn set(&self, now: Timestamp) {
        self.change(|state| state.now = now);
    }

    /// Reboots: a new boot id, boot time from zero.
    pub fn reboot(&self) {
        self.change(|state| {
            state.boots = state.boots.saturating_add(1);
            state.boottime_ms = 0;
        });
    }

    fn change(&self, act: impl FnOnce(&mut ManualState)) {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> ManualState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.read().now
    }

    fn boottime_ms(&self) -> u64 {
        self.read().boottime_ms
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.read().boots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_knows_its_boot_and_its_boot_time_never_runs_backwards() {
        let clock = SystemClock::new();
        assert_eq!(clock.boot_id(), SystemClock::new().boot_id());
        assert!(!clock.boot_id().is_empty());
        let first = clock.boottime_ms();
        assert!(first > 0 && clock.boottime_ms() >= first);
        assert!(clock.now() > Timestamp(1_600_000_000_000), "the machine's clock is set");
    }

    #[test]
    fn a_reboot_restarts_boot_time_and_a_step_of_the_civil_clock_does_not_touch_it() {
        let clock = ManualClock::new(Timestamp(1_000_000));
        clock.advance(Duration::from_secs(5));
        assert_eq!((clock.now(), clock.boottime_ms()), (Timestamp(1_005_000), 605_000));
        clock.set(Timestamp(0));
        assert_eq!(clock.boottime_ms(), 605_000);
        let before = clock.boot_id();
        clock.reboot();
        assert_ne!(clock.boot_id(), before);
        assert_eq!(clock.boottime_ms(), 0);
    }
}

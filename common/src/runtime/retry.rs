//! Trying again, for ever: exponential growth, full jitter, capped.
//!
//! *Full jitter* draws each delay evenly from zero to the present ceiling, so that a fleet that lost its controller at one instant does not
//! return at one instant. This is the only file that names the crate `backoff`, whose defaults do neither: it gives up after 15 minutes, and
//! jitters by half. It computes the ceilings here; the draw is ours, from a seed that a test can set.

use std::future::Future;
use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// First ceiling: long enough that a controller's restart (about a second) is not met by several tries of each agent.
pub const INITIAL_CEILING: Duration = Duration::from_secs(1);
/// Last ceiling: with full jitter a host is back 30 s after its controller on average, and 20,000 agents come at about 670 a second
/// (a connection costs the controller about 0.65 ms of CPU).
pub const MAX_CEILING: Duration = Duration::from_secs(60);

/// The delays between tries. Never ends.
pub struct Retry {
    ceilings: ExponentialBackoff<backoff::SystemClock>,
    random: SmallRng,
    failures: u32,
}

impl Retry {
    /// Delays below ceilings of 1, 2, 4 … 60 s.
    #[must_use]
    pub fn new() -> Self {
        Self::within(MAX_CEILING)
    }

    /// Delays below ceilings of 1, 2, 4 … s, the last being `max`.
    #[must_use]
    pub fn within(max: Duration) -> Self {
        Self::with(INITIAL_CEILING, max, rand::random())
    }

    /// Delays below ceilings that double from `initial` to `max`; `seed` makes the draws repeatable.
    #[must_use]
    pub fn with(initial: Duration, max: Duration, seed: u64) -> Self {
        let ceilings = ExponentialBackoffBuilder::new()
            .with_initial_interval(initial.min(max))
            .with_max_interval(max)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build();
        Self { ceilings, random: SmallRng::seed_from_u64(seed), failures: 0 }
    }

    /// The delay before the next try; call it once after each failure.
    pub fn next_delay(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        // `backoff` adds up to a nanosecond even with no randomness asked for; and without a time limit it never says None.
        let ceiling = self.ceilings.next_backoff().unwrap_or(MAX_CEILING).min(self.ceilings.max_interval);
        self.random.random_range(Duration::ZERO..=ceiling)
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// To be called after a success that lasted: the next failure starts from the first ceiling again.
    pub fn reset(&mut self) {
        self.ceilings.reset();
        self.failures = 0;
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

/// What kind of failure a try ended with.
#[derive(Debug)]
pub enum Failure<E> {
    /// May pass by itself; is tried again.
    Transient(E),
    /// Will not pass by itself; ends the trying.
    Permanent(E),
}

/// Runs `attempt` until it succeeds or fails for good. `on_transient` hears of each failure that will be retried, with the delay before
/// the next try. To stop early, drop the future.
///
/// # Errors
/// Only what `attempt` called [`Failure::Permanent`].
pub async fn until_done<T, E, Attempt, Running>(
    retry: &mut Retry,
    mut attempt: Attempt,
    mut on_transient: impl FnMut(&E, Duration),
) -> Result<T, E>
where
    Attempt: FnMut() -> Running,
    Running: Future<Output = Result<T, Failure<E>>>,
{
    loop {
        match attempt().await {
            Ok(value) => {
                retry.reset();
                return Ok(value);
            }
            Err(Failure::Permanent(error)) => return Err(error),
            Err(Failure::Transient(error)) => {
                let delay = retry.next_delay();
                on_transient(&error, delay);
                tokio::time::sleep(delay).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_under_doubling_ceilings_and_never_end() {
        for seed in 0..50 {
            let mut retry = Retry::with(Duration::from_secs(1), Duration::from_secs(60), seed);
            for ceiling_secs in [1, 2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat_n(60, 2000)) {
                assert!(retry.next_delay() <= Duration::from_secs(ceiling_secs));
            }
            assert_eq!(retry.failures(), 2006);
        }
    }

    #[test]
    fn jitter_is_full_so_a_fleet_spreads_over_the_whole_interval() {
        let mut buckets = [0_u32; 6];
        for seed in 0..6000 {
            let mut retry = Retry::with(Duration::from_secs(60), Duration::from_secs(60), seed);
            let bucket = (retry.next_delay().as_millis() / 10_000).min(5) as usize;
            buckets[bucket] += 1;
        }
        assert!(buckets.iter().all(|&count| (850..=1150).contains(&count)), "{buckets:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_delays_and_success_starts_over() {
        let series = |seed| {
            let mut retry = Retry::with(INITIAL_CEILING, MAX_CEILING, seed);
            (0..8).map(|_| retry.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(series(7), series(7));
        assert_ne!(series(7), series(8));
        let mut retry = Retry::with(INITIAL_CEILING, MAX_CEILING, 7);
        (0..8).for_each(|_| _ = retry.next_delay());
        retry.reset();
        assert!(retry.next_delay() <= INITIAL_CEILING);
    }

    #[tokio::test]
    async fn trying_goes_on_through_transient_failures_and_ends_at_a_permanent_one() {
        let mut retry = Retry::with(Duration::from_micros(1), Duration::from_micros(2), 1);
        let mut tries = 0;
        let mut heard = 0;
        let outcome: Result<u32, &str> = until_done(
            &mut retry,
            || {
                tries += 1;
                let now = tries;
                async move { if now < 50 { Err(Failure::Transient("refused")) } else { Ok(now) } }
            },
            |_, _| heard += 1,
        )
        .await;
        assert_eq!((outcome, heard, retry.failures()), (Ok(50), 49, 0));
        let outcome: Result<(), &str> = until_done(&mut retry, || async { Err(Failure::Permanent("forged")) }, |_, _| ()).await;
        assert_eq!(outcome, Err("forged"));
    }
}

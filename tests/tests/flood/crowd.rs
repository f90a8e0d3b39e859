//! How many flood, from where, and doing something many times at once.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;

/// Multiplies every count of a flood.
const VARIABLE: &str = "PATCHWAVE_TESTS_FLOOD";
/// Nothing that a flood waits for takes longer, at any size that a person would try.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// So many, or a multiple where a larger flood is wished.
pub fn many(count: u32) -> u32 {
    let times = std::env::var(VARIABLE).ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    count.saturating_mul(times)
}

/// One of the addresses that a crowd comes from: limits by address must not be all that protects.
pub fn from(number: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 2, 1 + (number % 8) as u8)
}

/// Does something for each number, some at once; gives what came of each that could be done.
pub async fn each<T>(count: u32, at_once: usize, act: impl AsyncFn(u32) -> Result<T>) -> Vec<Result<T>> {
    futures::stream::iter(0..count).map(|number| act(number)).buffer_unordered(at_once).collect().await
}

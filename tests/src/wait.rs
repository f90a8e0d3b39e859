//! Waiting for something to become true, with a deadline. Tests never sleep for a fixed time instead.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at: often enough that a test loses nothing, seldom enough that ten hosts' probes (each a
/// process) do not eat the machine.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks `look` until it gives a value, at most `limit` long. An error ends the waiting.
///
/// # Errors
/// When the time is over, naming `what` was awaited; or with `look`'s own error.
#[allow(clippy::disallowed_methods)] // The one place that polls; the interval's constant argues it.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", limit.as_secs_f32());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn waiting_ends_with_the_value_the_error_or_the_deadline() {
        let mut looks = 0;
        let found = wait_for("three looks", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        assert!(wait_for("an error", Duration::from_secs(5), || -> Result<Option<()>> { bail!("broken") }).is_err());
        let late = wait_for("rain", Duration::ZERO, || Ok(None::<()>)).unwrap_err();
        assert_eq!(late.to_string(), "waited 0 s in vain for rain");
    }
}

//! The signals that end the demo.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, `kill`, and a terminal that was closed, each with its number.
pub(super) struct Signals {
    watched: Vec<(u8, Signal)>,
}

impl Signals {
    /// Watches them from now on. A hang-up that the caller ignores (`nohup`) stays ignored.
    pub(super) fn watch() -> anyhow::Result<Self> {
        let mut kinds = vec![(2, SignalKind::interrupt()), (15, SignalKind::terminate())];
        if !ignores_hangup(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()) {
            kinds.push((1, SignalKind::hangup()));
        }
        let watch = |(number, kind)| Ok((number, signal(kind).context("watching for signals")?));
        Ok(Self { watched: kinds.into_iter().map(watch).collect::<anyhow::Result<_>>()? })
    }

    /// The number of the next one.
    pub(super) async fn next(&mut self) -> u8 {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.watched {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The lowest bit of `SigIgn` in proc_pid_status(5) is SIGHUP's.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_the_caller_ignores_is_noticed() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}

//! How fast one host may talk. An honest one says a few things a minute, and some dozens at once when it comes back; one that sends without
//! pause is read more slowly, until it costs the others nothing. Nothing is lost by that: only its own stream waits.
//!
//! Terms: a *share* is the work that one heartbeat costs, about 25 µs of CPU; other messages cost a number of shares. A host's allowance
//! fills up with time (a token bucket), and what goes beyond it is waited for before more is read. It is kept by host and not by stream:
//! who opens a new stream for each message is no better off.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use patchwave_common::domain::{FromAgent, HostId};

/// What may be said at once, in shares: the whole inventory and all candidates of a large host with 4,000 packages, and the reports of a
/// directive; 25 ms of CPU.
const BURST: i64 = 1000;
/// What may be said a second in the long run. An honest host is at one in thirty seconds; a thousand that never pause take half a core.
const PER_SECOND: u32 = 20;
/// What is still owed after the largest message. It costs more, but who is once as large as the wire allows need not wait for minutes.
const MOST_OWED: i64 = 60 * PER_SECOND as i64;
/// An inventory or candidates, beside the packages: a digest and a part of a sync.
const CONTENT: usize = 10;
/// Packages that are read, hashed and stored for one share (2 µs each).
const PACKAGES: usize = 12;
/// Facts take a part of a sync too.
const FACTS: usize = 5;
/// A hello is stored, answered with all that the host should know, and told to every rollout.
const HELLO: usize = 20;
/// A renewed certificate is signed and kept until it expires. An honest host asks for one in ten days; five at once, and one in ten
/// seconds, is all that a host gets.
pub const RENEWAL: i64 = 200;
/// The allowance is counted in thousandths, so that every millisecond adds to it.
const THOUSANDTHS: i64 = 1000;

/// Allowances are looked through for full ones when there are this many, and then at twice what is left: a full one need not be kept.
const LOOK_AT: usize = 1024;

/// The allowances of all hosts that spoke lately.
#[derive(Debug, Default)]
pub struct Paces(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    hosts: HashMap<HostId, Pace>,
    look_at: usize,
}

/// A host is to be read more slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// For how long nothing more is to be read.
    pub span: Duration,
    /// This is the first since its allowance was full.
    pub first: bool,
}

impl Paces {
    /// Takes so many shares of a host's allowance at `now_ms` (boot time). A pause is never longer than `longest`: an agent that hears
    /// nothing for some heartbeats gives up, and one that is merely large must not.
    pub fn take(&self, host: &HostId, shares: i64, now_ms: u64, longest: Duration) -> Option<Pause> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = kept.hosts.get_mut(host) {
            return pace.take(shares, now_ms, longest);
        }
        if kept.hosts.len() >= kept.look_at.max(LOOK_AT) {
            kept.hosts.retain(|_, pace| !pace.is_full(now_ms));
            kept.look_at = kept.hosts.len() * 2;
        }
        kept.hosts.entry(host.clone()).or_insert(Pace::new(now_ms)).take(shares, now_ms, longest)
    }
}

/// One host's allowance.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Thousandths of shares that may still be said at once; below zero, those that are owed.
    left: i64,
    /// When that was so, in boot time.
    at_ms: u64,
    /// It had to wait before.
    slowed: bool,
}

impl Pace {
    fn new(now_ms: u64) -> Self {
        Self { left: BURST * THOUSANDTHS, at_ms: now_ms, slowed: false }
    }

    /// Thousandths of shares that may be said by now.
    fn grown(&self, now_ms: u64) -> i64 {
        let grown = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(PER_SECOND));
        self.left.saturating_add(i64::try_from(grown).unwrap_or(i64::MAX)).min(BURST * THOUSANDTHS)
    }

    fn is_full(&self, now_ms: u64) -> bool {
        self.grown(now_ms) == BURST * THOUSANDTHS
    }

    fn take(&mut self, shares: i64, now_ms: u64, longest: Duration) -> Option<Pause> {
        self.slowed &= !self.is_full(now_ms);
        self.left = self.grown(now_ms).saturating_sub(shares.saturating_mul(THOUSANDTHS)).max(-MOST_OWED * THOUSANDTHS);
        self.at_ms = now_ms;
        if self.left >= 0 {
            return None;
        }
        let span = Duration::from_millis(self.left.unsigned_abs().div_ceil(u64::from(PER_SECOND))).min(longest);
        Some(Pause { span, first: !std::mem::replace(&mut self.slowed, true) })
    }
}

/// What a message costs, in shares.
#[must_use]
pub fn cost(message: &FromAgent) -> i64 {
    let shares = match message {
        FromAgent::Inventory(delta) => CONTENT + (delta.changed.len() + delta.removed.len()) / PACKAGES,
        FromAgent::Candidates(set) => CONTENT + set.candidates.len() / PACKAGES,
        FromAgent::Facts(_) => FACTS,
        FromAgent::Hello(_) => HELLO,
        FromAgent::Heartbeat { .. } | FromAgent::Stage { .. } | FromAgent::Progress { .. } => 1,
    };
    i64::try_from(shares).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::{Architecture, Digest, InventoryDelta, Manager, PackageId, PackageName};

    use super::*;

    const BEAT: i64 = 1;
    const LONGEST: Duration = Duration::from_secs(30);

    fn pause(millis: u64, first: bool) -> Option<Pause> {
        Some(Pause { span: Duration::from_millis(millis), first })
    }

    fn inventory(packages: usize) -> i64 {
        let id = PackageId { name: PackageName::parse("shop").unwrap(), architecture: Architecture::parse("amd64").unwrap() };
        let (digest, removed) = (Digest::of(b"shop"), vec![id; packages]);
        cost(&FromAgent::Inventory(InventoryDelta { base: None, digest, manager: Manager::Dpkg, changed: Vec::new(), removed }))
    }

    #[test]
    fn a_burst_passes_at_once_and_what_follows_at_the_rate() {
        let mut pace = Pace::new(0);
        assert!((0..BURST).all(|_| pace.take(BEAT, 0, LONGEST).is_none()));
        assert_eq!(pace.take(BEAT, 0, LONGEST), pause(50, true));
        // It waited as it was told: one more may be said after as long, and again. Only the first pause is news.
        assert_eq!(pace.take(BEAT, 50, LONGEST), pause(50, false));
        assert_eq!(pace.take(BEAT, 100, LONGEST), pause(50, false));
    }

    #[test]
    fn a_time_of_silence_brings_the_burst_back_and_no_more_and_the_next_pause_is_news_again() {
        let mut pace = Pace::new(0);
        for _ in 0..=BURST {
            pace.take(BEAT, 0, LONGEST);
        }
        let later = 3_600_000;
        assert!((0..BURST).all(|_| pace.take(BEAT, later, LONGEST).is_none()));
        assert_eq!(pace.take(BEAT, later, LONGEST), pause(50, true));
    }

    #[test]
    fn an_honest_agent_never_waits_not_even_when_it_says_all_at_once() {
        let mut pace = Pace::new(0);
        for shares in [HELLO as i64, inventory(4_000), inventory(4_000)] {
            assert_eq!(pace.take(shares, 0, LONGEST), None);
        }
        assert!((0..3_600).all(|second| pace.take(BEAT, second * 1_000, LONGEST).is_none()));
    }

    #[test]
    fn the_largest_messages_are_read_a_heartbeat_apart_and_are_forgiven_within_a_minute() {
        let mut pace = Pace::new(0);
        for number in 0..100 {
            assert_eq!(pace.take(inventory(200_000), number * 30_000, LONGEST), pause(30_000, number == 0));
        }
        let then = 99 * 30_000;
        assert_eq!(pace.take(BEAT, then + 60_000, LONGEST), pause(50, false));
        assert_eq!(pace.take(BEAT, then + 60_100, LONGEST), None);
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_away() {
        let mut pace = Pace::new(5_000);
        assert_eq!(pace.take(BEAT, 0, LONGEST), None);
    }

    #[test]
    fn hosts_do_not_share_an_allowance_and_full_ones_are_forgotten() {
        let paces = Paces::default();
        let host = |number: usize| HostId::parse(format!("h-{number}")).unwrap();
        assert!(paces.take(&host(0), BURST + 1000, 0, LONGEST).is_some());
        for number in 1..10_000 {
            assert_eq!(paces.take(&host(number), BEAT, number as u64 * 10, LONGEST), None);
        }
        assert!(paces.0.lock().unwrap().hosts.len() <= LOOK_AT);
        // Who owes is remembered, also while many others come.
        let paces = Paces::default();
        assert!(paces.take(&host(0), BURST + 1000, 0, LONGEST).is_some());
        for number in 1..10_000 {
            paces.take(&host(number), BEAT, 0, LONGEST);
        }
        assert!(paces.take(&host(0), BEAT, 0, LONGEST).is_some());
    }
}

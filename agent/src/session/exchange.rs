//! Brings one content to the controller's disk: when to prepare it, when to send it, when to rest. Pure; contents are digests here.
//!
//! At most one preparation or one unanswered message at a time; changes meanwhile are folded into the next one. A message that nobody
//! answers is sent again after [`ANSWER_WAIT_MS`]; a controller that asks for everything again and again gets it at most every
//! [`FULL_PAUSE_MS`].

use patchwave_common::domain::Digest;

/// How long an answer may take before the content is sent again: the controller answers after a sync to disk, under load within seconds.
pub const ANSWER_WAIT_MS: u64 = 60_000;
/// Pause between two full contents: a full inventory is 60 KB to 8 MB, and a controller that cannot keep it must not be flooded with it.
pub const FULL_PAUSE_MS: u64 = 10_000;

/// What the shell is to make ready: the content as it is now, as a difference from `base` or whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepare {
    /// The acknowledged content to start from; `None` for everything.
    pub base: Option<Digest>,
}

/// What to do with a prepared content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// Send it.
    Send,
    /// The controller has it, or nobody listens: drop it.
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Preparing,
    Unanswered { digest: Digest, since_ms: u64 },
}

/// The exchange of one content.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The newest content known on this host.
    have: Option<Digest>,
    /// On the controller's disk, as far as known.
    acknowledged: Option<Digest>,
    stage: Stage,
    /// The content may differ from what was last prepared.
    dirty: bool,
    /// The controller asked for everything.
    want_full: bool,
    last_full_ms: Option<u64>,
}

impl Exchange {
    /// Starts with what was acknowledged in an earlier run.
    #[must_use]
    pub fn new(acknowledged: Option<Digest>) -> Self {
        Self { have: None, acknowledged, stage: Stage::Idle, dirty: true, want_full: false, last_full_ms: None }
    }

    /// What the controller has on disk, as far as known.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Digest> {
        self.acknowledged
    }

    /// The content may have changed; `digest` where it is known already.
    pub fn changed(&mut self, digest: Option<Digest>) {
        self.have = digest.or(self.have);
        self.dirty = true;
    }

    /// What to prepare now, with the link up.
    pub fn next(&mut self, now_ms: u64) -> Option<Prepare> {
        if !self.dirty || self.stage != Stage::Idle || self.full_at().is_some_and(|at| now_ms < at) {
            return None;
        }
        self.stage = Stage::Preparing;
        self.dirty = false;
        Some(Prepare { base: self.acknowledged.filter(|_| !self.want_full) })
    }

    /// A preparation ended with this content; `full` where it holds everything.
    pub fn prepared(&mut self, digest: Digest, full: bool, link_up: bool, now_ms: u64) -> Prepared {
        self.have = Some(digest);
        self.stage = Stage::Idle;
        if !link_up {
            self.dirty = true;
            return Prepared::Drop;
        }
        if self.want_full && !full {
            // Asked for while the difference was being made.
            self.dirty = true;
            return Prepared::Drop;
        }
        if self.acknowledged == Some(digest) && !self.want_full {
            return Prepared::Drop;
        }
        if full {
            self.last_full_ms = Some(now_ms);
            self.want_full = false;
        }
        self.stage = Stage::Unanswered { digest, since_ms: now_ms };
        Prepared::Send
    }

    /// A preparation failed; it is tried again at the next change or after a pause that the caller keeps.
    pub fn failed(&mut self) {
        if self.stage == Stage::Preparing {
            self.stage = Stage::Idle;
        }
    }

    /// The controller's answer: what it has on disk, or that it needs everything. Returns the digest that is newly acknowledged.
    pub fn answered(&mut self, digest: Option<Digest>, need_full: bool) -> Option<Digest> {
        let unanswered = match self.stage {
            Stage::Unanswered { digest, .. } => Some(digest),
            Stage::Idle | Stage::Preparing => None,
        };
        match digest {
            Some(digest) if !need_full && (unanswered == Some(digest) || self.have == Some(digest)) => {
                let news = self.acknowledged != Some(digest);
                self.acknowledged = Some(digest);
                if unanswered == Some(digest) {
                    self.stage = Stage::Idle;
                }
                news.then_some(digest)
            }
            // A late answer to something older; what is under way tells the controller the newer content.
            Some(digest) if !need_full && self.acknowledged == Some(digest) => None,
            // It has something that we cannot start from.
            _ => {
                self.acknowledged = None;
                self.want_full = true;
                self.dirty = true;
                if unanswered.is_some() {
                    self.stage = Stage::Idle;
                }
                None
            }
        }
    }

    /// The link is gone: what was unanswered is not known to have arrived.
    pub fn link_lost(&mut self) {
        if matches!(self.stage, Stage::Unanswered { .. }) {
            self.stage = Stage::Idle;
        }
        self.dirty = true;
        // Between two links there is a pause already, and it grows.
        self.last_full_ms = None;
    }

    /// Time passed: an answer that did not come makes the content due again.
    pub fn tick(&mut self, now_ms: u64) {
        if let Stage::Unanswered { digest, since_ms } = self.stage
            && now_ms >= since_ms.saturating_add(ANSWER_WAIT_MS)
        {
            self.stage = Stage::Idle;
            self.dirty = true;
            // It was asked for although an earlier answer acknowledged it: that answer does not count.
            self.want_full |= self.acknowledged == Some(digest);
        }
    }

    /// When to look again, if nothing happens before.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        match self.stage {
            Stage::Unanswered { since_ms, .. } => Some(since_ms.saturating_add(ANSWER_WAIT_MS)),
            Stage::Idle if self.dirty => self.full_at(),
            Stage::Idle | Stage::Preparing => None,
        }
    }

    fn full_at(&self) -> Option<u64> {
        self.last_full_ms.filter(|_| self.want_full || self.acknowledged.is_none()).map(|last| last.saturating_add(FULL_PAUSE_MS))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn a_content_that_is_acknowledged_is_not_sent_again_after_a_restart() {
        let mut exchange = Exchange::new(Some(digest("a")));
        assert_eq!(exchange.next(0), Some(Prepare { base: Some(digest("a")) }));
        assert_eq!(exchange.prepared(digest("a"), false, true, 0), Prepared::Drop);
        assert_eq!((exchange.next(1), exchange.wake_ms()), (None, None));
    }

    #[test]
    fn changes_during_a_preparation_or_an_unanswered_message_are_sent_after_it() {
        let mut exchange = Exchange::new(Some(digest("a")));
        exchange.next(0).unwrap();
        exchange.changed(Some(digest("b")));
        assert_eq!(exchange.next(0), None);
        assert_eq!(exchange.prepared(digest("b"), false, true, 0), Prepared::Send);
        exchange.changed(Some(digest("c")));
        assert_eq!(exchange.next(0), None);
        assert_eq!(exchange.answered(Some(digest("b")), false), Some(digest("b")));
        assert_eq!(exchange.next(0), Some(Prepare { base: Some(digest("b")) }));
    }

    #[test]
    fn a_controller_that_lost_the_base_gets_everything_but_not_in_a_flood() {
        let mut exchange = Exchange::new(Some(digest("a")));
        exchange.next(0).unwrap();
        assert_eq!(exchange.prepared(digest("b"), false, true, 0), Prepared::Send);
        exchange.answered(None, true);
        assert_eq!(exchange.next(1), Some(Prepare { base: None }));
        assert_eq!(exchange.prepared(digest("b"), true, true, 1), Prepared::Send);
        exchange.answered(None, true);
        assert_eq!(exchange.next(2), None);
        assert_eq!(exchange.wake_ms(), Some(1 + FULL_PAUSE_MS));
        assert_eq!(exchange.next(1 + FULL_PAUSE_MS), Some(Prepare { base: None }));
    }

    #[test]
    fn a_difference_made_before_everything_was_asked_for_is_not_sent() {
        let mut exchange = Exchange::new(Some(digest("a")));
        exchange.next(0).unwrap();
        exchange.answered(None, true);
        assert_eq!(exchange.prepared(digest("b"), false, true, 0), Prepared::Drop);
        assert_eq!(exchange.next(0), Some(Prepare { base: None }));
    }

    #[test]
    fn an_answer_that_does_not_come_makes_the_content_due_again() {
        let mut exchange = Exchange::new(None);
        exchange.next(0).unwrap();
        exchange.prepared(digest("a"), true, true, 0);
        exchange.tick(ANSWER_WAIT_MS - 1);
        assert_eq!(exchange.next(ANSWER_WAIT_MS - 1), None);
        exchange.tick(ANSWER_WAIT_MS);
        assert!(exchange.next(ANSWER_WAIT_MS).is_some());
    }

    #[test]
    fn what_the_controller_says_it_has_counts_although_nothing_was_sent() {
        let mut exchange = Exchange::new(None);
        exchange.changed(Some(digest("a")));
        assert_eq!(exchange.answered(Some(digest("a")), false), Some(digest("a")));
        exchange.next(0).unwrap();
        assert_eq!(exchange.prepared(digest("a"), false, true, 0), Prepared::Drop);
    }
}

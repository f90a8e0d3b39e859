//! How far a worker's agents are with the present order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::orders::{Kind, Outcome, now_us};

/// Shared by a worker's agents; they run on one thread, so nobody waits here.
#[derive(Debug, Default)]
pub struct Tally {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Streams that are open.
    open: u32,
    /// Agents that are done with the present order.
    done: u32,
    awaited: Option<Kind>,
    /// Numbers the awaited messages, so that an agent counts its first only.
    sequence: u64,
    outcome: Outcome,
}

impl Tally {
    /// A new order begins.
    pub fn begin(&self, awaited: Option<Kind>) {
        let mut state = self.lock();
        (state.done, state.awaited, state.outcome) = (0, awaited, Outcome::default());
        state.sequence += 1;
    }

    /// A stream is open.
    pub fn opened(&self) {
        self.lock().open += 1;
        self.news.notify_one();
    }

    /// A stream broke, or could not be opened.
    pub fn broke(&self, was_open: bool) {
        let mut state = self.lock();
        state.open -= u32::from(was_open);
        state.outcome.broken += 1;
    }

    /// An agent carried the order out with so many answered exchanges.
    pub fn done(&self, exchanges: u64) {
        let mut state = self.lock();
        state.done += 1;
        state.outcome.exchanges += exchanges;
        self.news.notify_one();
    }

    /// A message of a kind came; counted where it is awaited and this agent's first. `seen` is the agent's own memory of that.
    pub fn came(&self, kind: Kind, seen: &mut u64) {
        let mut state = self.lock();
        if state.awaited == Some(kind) && *seen != state.sequence {
            *seen = state.sequence;
            state.done += 1;
            state.outcome.at_us.push(now_us());
            self.news.notify_one();
        }
    }

    /// Streams that are open.
    pub fn open(&self) -> u32 {
        self.lock().open
    }

    /// Agents that are done.
    pub fn how_many_done(&self) -> u32 {
        self.lock().done
    }

    /// What came of the order.
    pub fn outcome(&self) -> Outcome {
        std::mem::take(&mut self.lock().outcome)
    }

    /// Waits for any news.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

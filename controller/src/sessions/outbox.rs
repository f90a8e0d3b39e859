//! What one agent is yet to be told: filled by whoever has something to say, emptied by the answer of its call.
//!
//! A controller holds thousands of streams on which nothing happens for half a minute, so an empty outbox holds no memory: a channel would
//! set aside a block of 32 messages in each. What others say before the agent is welcomed waits until it is.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use patchwave_common::domain::ToAgent;
use tokio::sync::Notify;
use tokio_stream::Stream;
use tonic::Status;

/// Messages that wait for one slow agent. Everything in it is state that is sent again after a reconnect, so an agent that does not read
/// is disconnected rather than waited for.
pub const QUEUE_MESSAGES: usize = 64;

/// The queue to one agent.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// A message was taken, or the reader left.
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<ToAgent>,
    /// Said by others before the welcome.
    early: Vec<ToAgent>,
    welcomed: bool,
    reader: Option<Waker>,
    /// Nothing more is taken in; what waits is still told, and then this.
    end: Option<Option<Box<Status>>>,
    /// Nobody reads any more.
    left: bool,
}

/// The outbox takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Outbox {
    /// Takes a message in without waiting.
    ///
    /// # Errors
    /// When it is full or closed.
    pub fn push(&self, message: ToAgent) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.is_closed() || state.queue.len() + state.early.len() >= QUEUE_MESSAGES {
            return Err(Refused);
        }
        if state.welcomed {
            state.add(message);
        } else {
            state.early.push(message);
        }
        Ok(())
    }

    /// Takes a message of the session itself in, waiting for a place.
    ///
    /// # Errors
    /// When it is closed.
    pub async fn say(&self, message: ToAgent) -> Result<(), Refused> {
        self.until(|state| if state.is_closed() { Some(Err(Refused)) } else { (state.queue.len() < QUEUE_MESSAGES).then_some(Ok(())) })
            .await?;
        // Only the session waits for a place; the others give up at once, so that at most one message goes beyond the bound.
        self.lock().add(message);
        Ok(())
    }

    /// The agent was welcomed: what others said before comes now.
    pub fn welcomed(&self) {
        let mut state = self.lock();
        state.welcomed = true;
        for message in std::mem::take(&mut state.early) {
            state.add(message);
        }
    }

    /// Takes nothing more in; the answer ends with this status, or well.
    pub fn end(&self, status: Option<Status>) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(status.map(Box::new));
            state.wake();
        }
    }

    /// Waits until nobody reads any more.
    pub async fn left(&self) {
        self.until(|state| state.left.then_some(())).await;
    }

    /// The messages, for the answer of the call. There is one reader.
    pub fn read(self: &Arc<Self>) -> Reader {
        Reader(Arc::clone(self))
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            moved.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_closed(&self) -> bool {
        self.left || self.end.is_some()
    }

    fn add(&mut self, message: ToAgent) {
        self.queue.push_back(message);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The messages of an outbox, and how they end.
#[derive(Debug)]
pub struct Reader(Arc<Outbox>);

impl Stream for Reader {
    type Item = Result<ToAgent, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        if let Some(message) = state.queue.pop_front() {
            if state.queue.is_empty() {
                state.queue = VecDeque::new();
            }
            drop(state);
            self.0.moved.notify_waiters();
            return Poll::Ready(Some(Ok(message)));
        }
        match &mut state.end {
            Some(end) => Poll::Ready(end.take().map(|status| Err(*status))),
            None => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.left = true;
        (state.queue, state.early, state.reader) = (VecDeque::new(), Vec::new(), None);
        drop(state);
        self.0.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::{FutureExt as _, poll};
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn told(reader: &mut Reader) -> ToAgent {
        reader.next().await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_others_say_before_the_welcome_comes_after_it() {
        let outbox = Arc::new(Outbox::default());
        let mut reader = outbox.read();
        outbox.push(ToAgent::Ping(1)).unwrap();
        outbox.say(ToAgent::Refresh).await.unwrap();
        outbox.welcomed();
        outbox.push(ToAgent::Ping(2)).unwrap();
        assert_eq!(
            (told(&mut reader).await, told(&mut reader).await, told(&mut reader).await),
            (ToAgent::Refresh, ToAgent::Ping(1), ToAgent::Ping(2))
        );
        assert!(reader.next().now_or_never().is_none());
        outbox.push(ToAgent::Ping(3)).unwrap();
        assert_eq!(told(&mut reader).await, ToAgent::Ping(3));
    }

    #[tokio::test]
    async fn a_full_outbox_refuses_others_and_keeps_the_session_waiting_for_a_place() {
        let outbox = Arc::new(Outbox::default());
        let mut reader = outbox.read();
        outbox.welcomed();
        for _ in 0..QUEUE_MESSAGES {
            outbox.push(ToAgent::Refresh).unwrap();
        }
        assert_eq!(outbox.push(ToAgent::Refresh), Err(Refused));
        let mut saying = Box::pin(outbox.say(ToAgent::Ping(1)));
        assert!(poll!(&mut saying).is_pending());
        told(&mut reader).await;
        assert_eq!(saying.await, Ok(()));
    }

    #[tokio::test]
    async fn what_waits_at_the_end_is_told_and_then_the_end() {
        let outbox = Arc::new(Outbox::default());
        let mut reader = outbox.read();
        outbox.welcomed();
        outbox.push(ToAgent::Refresh).unwrap();
        outbox.end(Some(Status::unavailable("why")));
        outbox.end(None);
        assert_eq!(outbox.push(ToAgent::Refresh), Err(Refused));
        assert_eq!(told(&mut reader).await, ToAgent::Refresh);
        assert_eq!(reader.next().await.unwrap().unwrap_err().message(), "why");
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_every_waiting() {
        let outbox = Arc::new(Outbox::default());
        let reader = outbox.read();
        outbox.welcomed();
        for _ in 0..QUEUE_MESSAGES {
            outbox.push(ToAgent::Refresh).unwrap();
        }
        let (mut saying, mut leaving) = (Box::pin(outbox.say(ToAgent::Refresh)), Box::pin(outbox.left()));
        assert!(poll!(&mut saying).is_pending() && poll!(&mut leaving).is_pending());
        drop(reader);
        assert_eq!(saying.await, Err(Refused));
        leaving.await;
    }
}

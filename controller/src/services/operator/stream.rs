//! Answers in rows: long lists never stand in memory twice, and a slow reader is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tonic::Status;

/// Rows on their way to one reader before the sender waits.
const QUEUE_ROWS: usize = 64;

/// A stream of rows.
pub enum Rows<T> {
    /// Rows that are all known.
    Ready(std::vec::IntoIter<T>),
    /// Rows that come as they are made.
    Live(mpsc::Receiver<Result<T, Status>>),
}

impl<T> Rows<T> {
    /// A stream of known rows.
    #[must_use]
    pub fn of(rows: Vec<T>) -> Self {
        Self::Ready(rows.into_iter())
    }

    /// A stream fed by a task, which ends when the reader is gone (its `send` fails).
    #[must_use]
    pub fn live() -> (mpsc::Sender<Result<T, Status>>, Self) {
        let (sender, receiver) = mpsc::channel(QUEUE_ROWS);
        (sender, Self::Live(receiver))
    }
}

impl<T: Unpin> futures::Stream for Rows<T> {
    type Item = Result<T, Status>;
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::Ready(rows) => Poll::Ready(rows.next().map(Ok)),
            Self::Live(receiver) => receiver.poll_recv(context),
        }
    }
}

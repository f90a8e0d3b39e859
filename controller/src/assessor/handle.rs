//! The assessor, for everybody else.

use std::sync::Arc;

use patchwave_common::domain::FeedName;
use tokio::sync::{mpsc, oneshot};

use super::Assessor;
use crate::feeds::Content;

/// Questions and news that wait. Whoever asks waits for a place.
const QUEUE: usize = 256;

/// What the task is told.
pub(super) enum Input {
    /// A feed has this content from now on.
    Feed { name: FeedName, content: Option<Arc<Content>>, done: oneshot::Sender<()> },
    /// A question, answered after the turn's looks.
    Ask(Box<dyn FnOnce(&mut Assessor) + Send>),
}

/// The task is gone: the controller is shutting down, or it failed and said why in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("findings are not kept now (hint: the controller's log says why; a restart brings them back)")]
pub struct Gone;

/// Tells and asks the assessor.
#[derive(Debug, Clone)]
pub struct AssessorHandle {
    inputs: mpsc::Sender<Input>,
}

impl AssessorHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Input>) {
        let (inputs, receiver) = mpsc::channel(QUEUE);
        (Self { inputs }, receiver)
    }

    /// A feed's content is in use from now on, or no longer. Returns when every question after it is answered with it; the hosts concerned
    /// are looked at after that.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_content(&self, name: FeedName, content: Option<Arc<Content>>) -> Result<(), Gone> {
        let (done, was_done) = oneshot::channel();
        self.inputs.send(Input::Feed { name, content, done }).await.map_err(|_| Gone)?;
        was_done.await.map_err(|_| Gone)
    }

    /// Asks a question inside the task.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&mut Assessor) -> T + Send + 'static) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Ask(Box::new(move |assessor| drop(answer.send(ask(assessor)))))).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

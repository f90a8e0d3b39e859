//! The conductor's loop: waits for something to do, gathers what came meanwhile into a batch, decides, saves, sends.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::{Notify, mpsc};

use super::batch::Batch;
use super::handle::Input;
use super::{BATCH_INPUTS, Conductor};

/// The conductor with its inputs, not running yet.
pub struct ConductorTask {
    conductor: Conductor,
    inputs: mpsc::Receiver<Input>,
    world: Arc<Notify>,
}

impl ConductorTask {
    pub(super) fn new(conductor: Conductor, inputs: mpsc::Receiver<Input>, world: Arc<Notify>) -> Self {
        Self { conductor, inputs, world }
    }

    /// Runs until every handle is gone.
    pub async fn run(mut self) {
        loop {
            let due_in = self.due_in();
            let first = tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => Some(input),
                    None => return,
                },
                () = self.world.notified() => {
                    self.conductor.look_all = true;
                    None
                }
                () = tokio::time::sleep(due_in) => {
                    self.conductor.look_all = true;
                    None
                }
            };
            self.turn_with(first).await;
        }
    }

    /// How long nothing needs to be done unless something is told.
    #[must_use]
    pub fn due_in(&self) -> Duration {
        self.conductor.until_next_look()
    }

    /// One turn with what was told and what is due, for a scheduler that has the time in its own hand.
    pub async fn turn(&mut self) {
        let told = self.world.notified().now_or_never().is_some();
        self.conductor.look_all |= told || self.due_in().is_zero();
        self.turn_with(None).await;
    }

    async fn turn_with(&mut self, first: Option<Input>) {
        let mut batch = Batch::default();
        if let Some(input) = first {
            self.conductor.take(input, &mut batch).await;
        }
        for _ in 1..BATCH_INPUTS {
            if batch.is_full() {
                break;
            }
            match self.inputs.try_recv() {
                Ok(input) => self.conductor.take(input, &mut batch).await,
                Err(_) => break,
            }
        }
        self.conductor.look_where_nobody_told();
        self.conductor.decide(&mut batch).await;
        self.conductor.flush(batch).await;
    }
}

//! The hands of a managed host: instructions go to patching, a refresh to the package manager.

use std::sync::Arc;

use patchwave_common::domain::Feature;
use tokio::sync::mpsc;

use crate::packages::{PackageError, PackageManager};
use crate::patching::{Command, Event as PatchingEvent, PatchingHandle};
use crate::session::hands::{Carried, Hands, Refresh};
use crate::session::protocol::{Event, Instruction};

/// What a managed agent has and a report-only one has not.
#[derive(Debug)]
pub struct ManagedHands {
    patching: PatchingHandle,
    manager: Arc<dyn PackageManager>,
}

impl ManagedHands {
    /// Hands that use these parts.
    #[must_use]
    pub fn new(patching: PatchingHandle, manager: Arc<dyn PackageManager>) -> Self {
        Self { patching, manager }
    }

    async fn tell(&self, command: Command) {
        if !self.patching.send(command).await {
            tracing::error!("patching has ended; nothing more is applied until the agent starts anew");
        }
    }
}

impl Hands for ManagedHands {
    fn features(&self) -> Vec<Feature> {
        Feature::ALL.into_iter().map(|name| Feature(name.to_owned())).collect()
    }

    async fn connected(&mut self) -> Carried {
        self.tell(Command::Connected).await;
        let status = self.patching.status().borrow().clone();
        Carried { directive: status.history, newest: status.newest_generation }
    }

    async fn clock_offset(&mut self, ahead_ms: i64) {
        self.tell(Command::ClockOffset { offset_ms: ahead_ms.saturating_neg() }).await;
    }

    async fn instruct(&mut self, instruction: Instruction) -> Vec<Event> {
        let command = match instruction {
            Instruction::Stage(request) => Command::Stage(*request),
            Instruction::Directive(directive) => Command::Directive(directive),
            Instruction::Lease { lease, asked_ms } => Command::Lease { lease, asked_ms },
            Instruction::Withdraw(generation) => Command::Withdraw(generation),
            Instruction::Conclude { generation, keep_originals } => Command::Conclude { generation, keep_originals },
            // Patching writes the host's own pins too.
            Instruction::Quarantine(keys) => Command::Quarantine(keys),
        };
        self.tell(command).await;
        // What comes of it is told by patching's own events.
        Vec::new()
    }

    fn refresh(&self) -> Option<Refresh> {
        let manager = Arc::clone(&self.manager);
        Some(Box::new(move || -> Result<(), PackageError> { manager.refresh() }))
    }
}

/// Passes patching's news on to the session; ends with either of them.
pub async fn forward(mut news: mpsc::Receiver<PatchingEvent>, session: mpsc::Sender<Event>) {
    while let Some(event) = news.recv().await {
        let event = match event {
            PatchingEvent::Progress { generation, progress, .. } => Event::Progress { generation, progress },
            PatchingEvent::Staged { rollout, result, .. } => Event::Staged { rollout, result },
        };
        if session.send(event).await.is_err() {
            return;
        }
    }
}

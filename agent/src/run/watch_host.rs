//! Notices what changes on the host and tells the session.

use std::path::PathBuf;
use std::time::Duration;

use patchwave_common::domain::HostFacts;
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::hold;
use crate::session::contents::ReadOnly;
use crate::session::protocol::Event;

/// How often the hold file and the package database are looked at: a few `stat` calls.
const LOOK: Duration = Duration::from_secs(2);

/// The watch over one host.
pub struct HostWatch {
    packages: ReadOnly,
    state_dir: PathBuf,
    events: mpsc::Sender<Event>,
}

impl HostWatch {
    /// A watch that has not begun.
    pub fn new(packages: ReadOnly, settings: &Settings, events: mpsc::Sender<Event>) -> Self {
        Self { packages, state_dir: settings.state_dir.clone(), events }
    }

    /// The facts as they are now.
    pub async fn facts(&self) -> HostFacts {
        let (packages, state_dir) = (self.packages.clone(), self.state_dir.clone());
        tokio::task::spawn_blocking(move || read_facts(&packages, &state_dir)).await.unwrap_or_default()
    }

    /// Watches until nobody listens any more.
    pub async fn run(self) {
        let mut seen = self.packages.fingerprint().ok();
        let mut facts = self.facts().await;
        loop {
            tokio::time::sleep(LOOK).await;
            let mut events = Vec::new();
            let now = self.packages.fingerprint().ok();
            if now != seen {
                seen = now;
                events.extend([Event::InventoryChanged(None), Event::CandidatesChanged]);
            }
            let read = self.facts().await;
            if read != facts {
                facts = read.clone();
                events.push(Event::Facts(Box::new(read)));
            }
            for event in events {
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The facts of the machine as they are now; blocks.
#[must_use]
pub fn read_facts(packages: &ReadOnly, state_dir: &std::path::Path) -> HostFacts {
    HostFacts {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        hold: hold::read(state_dir).map(|hold| hold.reason),
        other_hands: packages.other_hands(),
        reboot: packages.reboot_required(),
        ..HostFacts::default()
    }
}

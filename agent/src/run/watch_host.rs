//! Notices what changes on the host and tells the session.

use std::path::PathBuf;
use std::time::Duration;

use patchwave_common::domain::HostFacts;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config::Settings;
use crate::hold;
use crate::session::contents::ReadOnly;
use crate::session::protocol::Event;

/// How often the hold file and the package database are looked at: a few `stat` calls.
const LOOK: Duration = Duration::from_secs(2);
/// How often facts are read that nothing announces; some of them start a process.
const FACTS: Duration = Duration::from_secs(300);

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
        let mut hold = hold::read(&self.state_dir);
        let mut facts_at = Instant::now() + FACTS;
        loop {
            tokio::time::sleep(LOOK).await;
            let mut events = Vec::new();
            let (fingerprint, held) = (self.packages.fingerprint().ok(), hold::read(&self.state_dir));
            let changed = fingerprint != seen;
            if changed {
                events.extend([Event::InventoryChanged(None), Event::CandidatesChanged]);
            }
            if changed || held != hold || Instant::now() >= facts_at {
                (seen, hold, facts_at) = (fingerprint, held, Instant::now() + FACTS);
                events.push(Event::Facts(Box::new(self.facts().await)));
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

//! Notices what changes on the host and tells the session.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::HostFacts;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config::Settings;
use crate::hold;
use crate::inventory::{Watch, machine_facts};
use crate::session::contents::ReadOnly;
use crate::session::protocol::Event;

/// How often the hold file is looked at: one `stat` call.
const LOOK: Duration = Duration::from_secs(2);
/// How often facts are read that nothing announces; some of them start a process.
const FACTS: Duration = Duration::from_secs(300);

/// The watch over one host.
pub struct HostWatch {
    packages: ReadOnly,
    settings: Arc<Settings>,
    events: mpsc::Sender<Event>,
}

impl HostWatch {
    /// A watch that has not begun.
    pub fn new(packages: ReadOnly, settings: &Settings, events: mpsc::Sender<Event>) -> Self {
        Self { packages, settings: Arc::new(settings.clone()), events }
    }

    /// The facts as they are now.
    pub async fn facts(&self) -> HostFacts {
        let (packages, settings) = (self.packages.clone(), self.settings.clone());
        tokio::task::spawn_blocking(move || read_facts(&packages, &settings)).await.unwrap_or_default()
    }

    /// Watches until nobody listens any more.
    pub async fn run(self) {
        let mut watch = Watch::new(self.packages.watched_directories());
        let mut hold = hold::read(&self.settings.state_dir);
        let mut facts_at = Instant::now() + FACTS;
        loop {
            let packages_changed = tokio::select! {
                () = watch.changed() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let mut events = Vec::new();
            let held = hold::read(&self.settings.state_dir);
            if packages_changed {
                events.extend([Event::InventoryChanged(None), Event::CandidatesChanged]);
            }
            if packages_changed || held != hold || Instant::now() >= facts_at {
                (hold, facts_at) = (held, Instant::now() + FACTS);
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
pub fn read_facts(packages: &ReadOnly, settings: &Settings) -> HostFacts {
    let machine = machine_facts(settings.packages.root.as_deref());
    HostFacts {
        hostname: settings.name.clone().unwrap_or_else(|| machine.hostname.clone()),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        hold: hold::read(&settings.state_dir).map(|hold| hold.reason),
        other_hands: packages.other_hands(),
        reboot: packages.reboot_required(),
        ..machine
    }
}

//! What happens next, proposed from the state alone.
//!
//! Proposals come in a fixed order of kinds, and only the first kind that has any is proposed at a time, so that each is made from a state
//! that knows of all before it. Verdicts about harm come before anything that goes on.

mod ending;
mod gate;
mod release;
mod timers;
mod verdicts;
mod wake;

use patchwave_common::domain::{Generation, Timestamp};

pub(super) use gate::Gate;

use super::event::{Event, MAX_HOSTS_PER_EVENT, Ordered};
use super::plan::HostIndex;
use super::state::{Life, Rollout};
use super::view::Liveness;

impl Rollout {
    /// The events that are due. They are proposals of one kind that fit together: record them (or as many as could be), then ask again,
    /// until there are none. Orders carry no generation yet ([`Event::fill_generations`]).
    #[must_use]
    pub fn decide(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        if matches!(self.life, Life::New | Life::Planned) || self.is_settled() && self.suspects_missing().is_empty() {
            return Vec::new();
        }
        let at = at.max(self.last_at);
        let kinds: [&dyn Fn() -> Vec<Event>; 15] = [
            &|| self.due_halt(view),
            &|| self.due_retired(view),
            &|| self.due_returned(view),
            &|| self.due_silent(at, view),
            &|| self.due_stop(),
            &|| self.due_withdrawn(at),
            &|| self.due_take_back(at, view),
            &|| self.due_quarantine(),
            &|| self.due_concluded(at, view),
            &|| self.due_offline(at, view),
            &|| self.due_not_staged(at, view),
            &|| self.due_pause(at, view),
            &|| self.due_gate(at, view),
            &|| self.due_work(at, view),
            &|| self.due_end(at),
        ];
        kinds.iter().map(|due| due()).find(|events| !events.is_empty()).unwrap_or_default()
    }
}

/// Lists of hosts as events of bounded size.
fn in_events(hosts: &[HostIndex], event: impl Fn(Vec<HostIndex>) -> Event) -> Vec<Event> {
    hosts.chunks(MAX_HOSTS_PER_EVENT).map(|chunk| event(chunk.to_vec())).collect()
}

/// Orders without generations as events of bounded size.
fn orders_in_events(hosts: &[HostIndex], event: impl Fn(Vec<Ordered>) -> Event) -> Vec<Event> {
    let order = |&host: &HostIndex| Ordered { host, generation: Generation::default() };
    hosts.chunks(MAX_HOSTS_PER_EVENT).map(|chunk| event(chunk.iter().map(order).collect())).collect()
}

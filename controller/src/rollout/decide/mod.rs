//! What happens next, proposed from the state alone.

use patchwave_common::domain::Timestamp;

use super::event::Event;
use super::state::Rollout;
use super::view::Liveness;

impl Rollout {
    /// The events that are due. They are proposals of one kind that fit together: record them (or as many as could be), then ask again,
    /// until there are none. Orders carry no generation yet ([`Event::fill_generations`]).
    #[must_use]
    pub fn decide(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        let _ = (at, view);
        Vec::new()
    }

    /// The earliest instant after `at` at which [`Rollout::decide`] could have something to say although nothing else happens; `None`
    /// where time alone changes nothing.
    #[must_use]
    pub fn wake_at(&self, at: Timestamp, view: &dyn Liveness) -> Option<Timestamp> {
        let _ = (at, view);
        None
    }
}

//! What the shell knows of the world at this moment. It enters decisions only; what is decided from it is recorded as an event.

use std::cell::RefCell;

use patchwave_common::domain::{HostId, QuarantineKey, RolloutId, Timestamp};

use super::plan::HostIndex;

/// The world as [`Rollout::decide`](super::Rollout::decide) may look at it.
pub trait Liveness {
    /// One host, and its number in the plan.
    fn host(&self, number: HostIndex, host: &HostId) -> HostNow;
    /// Whether the fleet is halted.
    fn halt(&self) -> Halt;
    /// Whether a version may not be installed.
    fn is_quarantined(&self, key: &QuarantineKey) -> bool;
}

/// What one look at a rollout saw. Decisions ask for every host again and again, and finding one in a large fleet costs more than all that
/// is decided about it: each host is asked for once, and all decisions of a look are made from one picture.
#[derive(Debug, Default)]
pub struct Look {
    hosts: RefCell<Vec<Option<HostNow>>>,
}

impl Look {
    /// The world, remembered as it was when this look first asked.
    pub fn at<'a, W: Liveness>(&'a self, world: &'a W) -> impl Liveness + 'a {
        Remembered { look: self, world }
    }
}

struct Remembered<'a, W> {
    look: &'a Look,
    world: &'a W,
}

impl<W: Liveness> Liveness for Remembered<'_, W> {
    fn host(&self, number: HostIndex, host: &HostId) -> HostNow {
        let mut hosts = self.look.hosts.borrow_mut();
        if hosts.len() <= number.usize() {
            hosts.resize(number.usize() + 1, None);
        }
        match hosts.get_mut(number.usize()) {
            Some(cell) => cell.get_or_insert_with(|| self.world.host(number, host)).clone(),
            None => self.world.host(number, host),
        }
    }

    fn halt(&self) -> Halt {
        self.world.halt()
    }

    fn is_quarantined(&self, key: &QuarantineKey) -> bool {
        self.world.is_quarantined(key)
    }
}

/// The fleet's halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Halt {
    /// Every rollout is stopped.
    pub on: bool,
    /// The fleet's revision that says so.
    pub revision: u64,
}

/// One host at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNow {
    /// Whether it can be reached.
    pub presence: Presence,
    /// Whether it may take part.
    pub standing: Standing,
    /// The *other* rollout that has claimed it.
    pub claimed_by: Option<RolloutId>,
}

/// Whether a host can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has a stream.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// It has none.
    Offline {
        /// Since when; never before the controller itself has been there to be reached, so that the controller's own outage is nobody's silence.
        since: Timestamp,
    },
    /// The controller started so recently that hosts had no chance to come back. No verdict is given (unknown is not offline).
    Unknown,
}

/// Whether a host may take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may.
    Eligible,
    /// An operator retired it, or another host stands for it.
    Retired,
    /// Two running copies use its key (rule 25).
    Cloned,
    /// Not seen for so long that it is left out of denominators (rule 32).
    Stale,
    /// Its clock is more than five minutes off (rule 28).
    ClockOff,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::*;

    /// A world that counts how often it is asked, and answers something new each time.
    #[derive(Default)]
    struct Asked(Cell<i64>);

    impl Liveness for Asked {
        fn host(&self, _: HostIndex, _: &HostId) -> HostNow {
            self.0.set(self.0.get() + 1);
            HostNow { presence: Presence::Connected { since: Timestamp(self.0.get()) }, standing: Standing::Eligible, claimed_by: None }
        }

        fn halt(&self) -> Halt {
            Halt { on: true, revision: 7 }
        }

        fn is_quarantined(&self, _: &QuarantineKey) -> bool {
            true
        }
    }

    #[test]
    fn a_look_asks_for_each_host_once_and_the_next_look_asks_again() {
        let world = Asked::default();
        let id = HostId::parse("managed").unwrap();
        let (first, second) = (Look::default(), Look::default());
        let seen = first.at(&world).host(HostIndex(3), &id);
        assert_eq!(first.at(&world).host(HostIndex(3), &id), seen);
        assert_ne!(first.at(&world).host(HostIndex(0), &id), seen);
        assert_ne!(second.at(&world).host(HostIndex(3), &id), seen);
        assert_eq!((world.0.get(), first.at(&world).halt().revision), (3, 7));
    }
}

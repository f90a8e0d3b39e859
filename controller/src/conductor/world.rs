//! The world as the engine may look at it.

use std::collections::{BTreeSet, HashMap};

use patchwave_common::domain::{Generation, HostId, QuarantineKey, RolloutId, Timestamp};

use super::Conductor;
use crate::fleet::{Fleet, FleetHost, Presence as Here, STALE_AFTER, clock_is_off};
use crate::records::HostState;
use crate::rollout::{Halt, HostIndex, HostNow, Liveness, Presence, Standing};

/// A view for one rollout.
pub(crate) struct World<'a> {
    rollout: &'a RolloutId,
    fleet: &'a Fleet,
    claims: &'a HashMap<HostId, (RolloutId, Generation)>,
    quarantine: &'a BTreeSet<QuarantineKey>,
    halt: Halt,
    now: Timestamp,
}

impl Conductor {
    /// The world as this rollout may look at it.
    pub(crate) fn world<'a>(&'a self, rollout: &'a RolloutId, now: Timestamp) -> World<'a> {
        World { rollout, fleet: &self.fleet, claims: &self.claims, quarantine: &self.quarantine, halt: self.halt, now }
    }
}

impl Liveness for World<'_> {
    fn host(&self, _: HostIndex, id: &HostId) -> HostNow {
        let claimed_by = self.claims.get(id).map(|(holder, _)| holder).filter(|holder| *holder != self.rollout).cloned();
        let Some(host) = self.fleet.get(id) else {
            return HostNow { presence: Presence::Offline { since: self.now }, standing: Standing::Retired, claimed_by };
        };
        let here = self.fleet.presence(&host, self.now);
        let presence = match here {
            Here::Online { since } => Presence::Connected { since },
            Here::Offline { since } => Presence::Offline { since },
            Here::Unknown => Presence::Unknown,
        };
        HostNow { presence, standing: standing(&host, here, self.now), claimed_by }
    }

    fn halt(&self) -> Halt {
        self.halt
    }

    fn is_quarantined(&self, key: &QuarantineKey) -> bool {
        self.quarantine.contains(key)
    }
}

/// Whether a host may take part.
pub(super) fn standing(host: &FleetHost, here: Here, now: Timestamp) -> Standing {
    match &host.record.state {
        HostState::Retired { .. } | HostState::Replaced { .. } => Standing::Retired,
        HostState::Cloned { .. } => Standing::Cloned,
        HostState::Active => match here {
            Here::Offline { since } if now.since(since) > STALE_AFTER => Standing::Stale,
            _ if clock_is_off(host.record.clock_offset_ms) => Standing::ClockOff,
            _ => Standing::Eligible,
        },
    }
}

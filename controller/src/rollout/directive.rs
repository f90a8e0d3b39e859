//! What a host is ordered to do, recomputed from the fold: nothing that is sent is kept anywhere else.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use patchwave_common::domain::{Directive, DirectiveProgress, Generation, HostId, StageRequest, StageResult};

use super::event::Event;
use super::planner::ReverseTarget;
use super::rejected::Rejected;
use super::state::Rollout;

impl Rollout {
    /// The directive that a host has now. A host that says hello with another one, or none, is sent this.
    #[must_use]
    pub fn directive_for(&self, host: &HostId) -> Option<Directive> {
        let _ = host;
        None
    }

    /// The directive that a host carried out and that is over: it keeps what it has.
    #[must_use]
    pub fn conclude_for(&self, host: &HostId) -> Option<Generation> {
        let _ = host;
        None
    }

    /// What a host is asked to download now.
    #[must_use]
    pub fn stage_for(&self, host: &HostId) -> Option<StageRequest> {
        let _ = host;
        None
    }

    /// Whether a host that is ready may begin now, or be told again that it may (rule 2). The lease is given only after `applying` is
    /// on disk.
    #[must_use]
    pub fn may_begin(&self, host: &HostId, generation: Generation) -> bool {
        let _ = (host, generation);
        false
    }

    /// The event that a host's report is, if it is one: [`Rejected::NoNews`] where it tells nothing new, [`Rejected::Stale`] where it is
    /// about a void directive (which the host should then be told to drop).
    pub fn observe(&self, host: &HostId, generation: Generation, progress: &DirectiveProgress) -> Result<Event, Rejected> {
        let _ = (host, generation, progress);
        Err(Rejected::NoNews)
    }

    /// The event that a host's staging report is, if it is one.
    pub fn observe_stage(&self, host: &HostId, result: &StageResult) -> Result<Event, Rejected> {
        let _ = (host, result);
        Err(Rejected::NoNews)
    }

    /// The hosts on which something stands that a reverse rollout could take back. Hand the rollout over ([`Event::HandedOver`]) before
    /// starting that one, so that it gives back its claims.
    #[must_use]
    pub fn reversible(&self) -> BTreeMap<HostId, ReverseTarget> {
        BTreeMap::new()
    }

    /// The hosts that a successor should take: superseded, could not stage, missed it, or refused for a reason that may be gone (rule 17).
    #[must_use]
    pub fn replannable(&self) -> BTreeSet<HostId> {
        BTreeSet::new()
    }
}

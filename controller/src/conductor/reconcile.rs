//! Tells hosts where they stand. Always from the fold: what was sent before does not matter, and what got lost is sent again.

use std::sync::PoisonError;

use patchwave_common::domain::{Generation, HostId, Lease, RolloutId, ToAgent};

use super::Conductor;

impl Conductor {
    /// Sends a host its directive, or that the one it has is over or void, and what it should download. What the open stream was sent
    /// already is not sent again: the host would answer it.
    pub(super) fn reconcile(&mut self, host: &HostId) {
        let Some(session) = self.sessions.get(host) else { return };
        let claim = self.claims.get(host).cloned();
        let directive = claim.as_ref().and_then(|(id, _)| self.rollouts.get(id)).and_then(|rollout| rollout.directive_for(host));
        match directive {
            Some(directive) if self.sent.get(host) == Some(&directive.generation) => {}
            Some(directive) => {
                self.sent.insert(host.clone(), directive.generation);
                self.metrics.directive_sent(host);
                session.send(ToAgent::Directive(Box::new(directive)));
            }
            None => {
                if let Some(sent) = self.sent.remove(host) {
                    session.send(self.concluded_by(host, sent).unwrap_or(ToAgent::Withdraw(sent)));
                }
            }
        }
        for rollout in self.rollouts.values() {
            if let Some(request) = rollout.stage_for(host) {
                session.send(ToAgent::Stage(Box::new(request)));
            }
        }
    }

    /// Gives a lease, if the host may (still) begin: `applying` is on disk now (rule 2).
    pub(super) fn grant(&mut self, id: &RolloutId, host: &HostId, generation: Generation) {
        if self.halt.on {
            return;
        }
        let Some(rollout) = self.rollouts.get(id) else { return };
        if rollout.may_begin(host, generation) {
            let valid_ms = u64::try_from(self.settings.lease.as_millis()).unwrap_or(u64::MAX);
            self.sessions.send(host, ToAgent::Lease(Lease { generation, valid_ms, answers: 0 }));
        }
    }

    /// Tells everybody the quarantine as it is now, if it is another than was told before.
    pub(super) fn publish_quarantine(&mut self) {
        let mut told = self.shared.quarantine.write().unwrap_or_else(PoisonError::into_inner);
        if *told == self.quarantine {
            return;
        }
        told.clone_from(&self.quarantine);
        drop(told);
        self.sessions.broadcast(&ToAgent::Quarantine(self.quarantine.iter().cloned().collect()));
    }

    /// Lets the rest of the controller see who orders these hosts now.
    pub(super) fn publish_claims_of<'a>(&self, hosts: impl Iterator<Item = &'a HostId>) {
        let mut claims = self.shared.claims.write().unwrap_or_else(PoisonError::into_inner);
        for host in hosts {
            match self.claims.get(host) {
                Some((rollout, _)) => claims.insert(host.clone(), rollout.clone()),
                None => claims.remove(host),
            };
        }
    }

    /// Lets the rest of the controller see who orders whom.
    pub(super) fn publish_claims(&self) {
        let claims = self.claims.iter().map(|(host, (rollout, _))| (host.clone(), rollout.clone())).collect();
        *self.shared.claims.write().unwrap_or_else(PoisonError::into_inner) = claims;
    }
}

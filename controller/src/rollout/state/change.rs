//! The only ways in which the state of a host changes; they keep the tallies and note what the shell must do.

use patchwave_common::domain::{NotStagedReason, Timestamp};

use super::{CHARGED, Cause, HostStates, NOT_STAGED_KNOWN, Phase, Rollout, SILENT, Staging};
use crate::rollout::plan::HostIndex;
use crate::rollout::step::Transition;

impl Rollout {
    /// Moves a host to a phase.
    pub(in crate::rollout) fn set_phase(&mut self, host: HostIndex, phase: Phase, cause: Cause, at: Timestamp, changes: &mut Transition) {
        let before = self.hosts.phase(host);
        let (Some(wave), Some(site)) = (self.plan.wave_of(host), self.plan.site_of(host)) else {
            return;
        };
        if before != phase {
            self.tallies.moved(wave, site, before, phase);
        }
        if before.is_claimed() && !phase.is_claimed() {
            changes.unclaimed.push(host);
        }
        if !phase.is_unresolved() {
            self.hosts.lower(host, SILENT);
        }
        self.hosts.write_phase(host, phase);
        self.hosts.set_cause(host, cause);
        self.hosts.set_since(host, at);
        changes.hosts.push(host);
    }

    /// Moves a host's download to a state.
    pub(in crate::rollout) fn set_staging(&mut self, host: HostIndex, staging: Staging, at: Timestamp, changes: &mut Transition) {
        self.write_staging(host, staging, None, at);
        changes.hosts.push(host);
    }

    /// Notes that a host could not stage.
    pub(in crate::rollout) fn set_not_staged(
        &mut self,
        host: HostIndex,
        reason: NotStagedReason,
        detail: &str,
        at: Timestamp,
        changes: &mut Transition,
    ) {
        self.write_staging(host, Staging::NotStaged, Some(reason), at);
        self.hosts.set_detail(host, detail);
        changes.hosts.push(host);
    }

    fn write_staging(&mut self, host: HostIndex, staging: Staging, reason: Option<NotStagedReason>, at: Timestamp) {
        let counts = |hosts: &HostStates| hosts.staging(host) == Staging::NotStaged && !hosts.has(host, NOT_STAGED_KNOWN);
        let before = counts(&self.hosts);
        self.hosts.write_staging(host, staging);
        self.hosts.set_not_staged(host, reason);
        self.hosts.set_staging_since(host, at);
        match (before, counts(&self.hosts)) {
            (false, true) => self.tallies.not_staged += 1,
            (true, false) => self.tallies.not_staged = self.tallies.not_staged.saturating_sub(1),
            _ => {}
        }
    }

    /// An operator resumes: what could not stage is known from now on, and is asked again where asking again can help.
    pub(in crate::rollout) fn accept_not_staged(&mut self, at: Timestamp, changes: &mut Transition) {
        for host in self.plan.indexes() {
            if self.hosts.staging(host) != Staging::NotStaged {
                continue;
            }
            let final_reason = matches!(
                self.hosts.not_staged(host),
                Some(NotStagedReason::Gone | NotStagedReason::HashMismatch | NotStagedReason::Quarantined)
            );
            self.hosts.raise(host, NOT_STAGED_KNOWN);
            if !final_reason {
                self.set_staging(host, Staging::NotAsked, at, changes);
            }
        }
        self.tallies.not_staged = 0;
    }

    /// Charges a host's failure to its wave, once and for ever (rule 3).
    pub(in crate::rollout) fn charge(&mut self, host: HostIndex) {
        if self.hosts.has(host, CHARGED) {
            return;
        }
        self.hosts.raise(host, CHARGED);
        if let Some(state) = self.plan.wave_of(host).and_then(|wave| self.waves.get_mut(wave.usize())) {
            state.charged += 1;
        }
    }
}

//! When a host's clocks run out. Each instant is computed here once, and read both by what is decided at it and by what wakes for it.

use std::time::Duration;

use patchwave_common::domain::{HarmReason, Timestamp};

use crate::rollout::event::{AbsenceCause, SilenceCause};
use crate::rollout::plan::HostIndex;
use crate::rollout::state::{Cause, Life, Phase, Rollout, SILENT, Staging, TAKE_BACK};
use crate::rollout::view::{HostNow, Presence, Standing};

/// A refused host is ordered again after this: long enough for a lock or a lost lease to be over, short beside any soak.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(60);

impl Rollout {
    /// What the shell knows of a host; unknown presence for a number that the plan does not have.
    pub(in crate::rollout) fn now(&self, host: HostIndex, view: &dyn crate::rollout::view::Liveness) -> HostNow {
        self.plan
            .host(host)
            .map_or(HostNow { presence: Presence::Unknown, standing: Standing::Eligible, claimed_by: None }, |id| view.host(host, id))
    }

    /// When the silence of a host that has begun becomes harm (rule 1). Healthy hosts are watched through their soak.
    pub(super) fn silent_at(&self, host: HostIndex, now: &HostNow) -> Option<(Timestamp, SilenceCause)> {
        let phase = self.hosts.phase(host);
        let (heard, policy) = (self.hosts.since(host), self.plan.policy());
        if self.hosts.has(host, SILENT) {
            return None;
        }
        match (phase, now.presence) {
            (Phase::Healthy, Presence::Offline { since }) if self.soaked_at(host).is_none_or(|soaked| since >= soaked) => None,
            (Phase::Applying | Phase::Verifying | Phase::Healthy | Phase::TakingBack, Presence::Offline { since }) => {
                Some((heard.max(since).plus(policy.health.silence), SilenceCause::Offline))
            }
            (Phase::Harmed, Presence::Offline { since }) if self.is_recovering(host) => {
                Some((heard.max(since).plus(policy.health.silence), SilenceCause::Offline))
            }
            (Phase::Applying | Phase::Verifying | Phase::TakingBack, Presence::Connected { since }) => {
                Some((heard.max(since).plus(self.no_progress_limit()), SilenceCause::NoProgress))
            }
            (Phase::Harmed, Presence::Connected { since }) if self.is_recovering(host) => {
                Some((heard.max(since).plus(self.no_progress_limit()), SilenceCause::NoProgress))
            }
            _ => None,
        }
    }

    /// A host that answers but tells nothing about a transaction for this long is lost all the same: the policy's bounds on every step
    /// that it could be in, together.
    fn no_progress_limit(&self) -> Duration {
        let policy = self.plan.policy();
        [policy.transaction.lock_wait, policy.transaction.time_limit, policy.health.patience, policy.health.settle, policy.health.silence]
            .into_iter()
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Whether a harmed host is expected to come back to what it had, by itself or by an order.
    pub(in crate::rollout) fn is_recovering(&self, host: HostIndex) -> bool {
        match self.hosts.phase(host) {
            Phase::TakingBack => true,
            Phase::Harmed if self.is_reverse() => false,
            Phase::Harmed => self.hosts.has(host, TAKE_BACK) || self.plan.policy().automatic_rollback || self.takes_back_all(),
            _ => false,
        }
    }

    /// A limit was reached: every harmed host is taken back, also where the policy leaves single ones to people.
    pub(super) fn takes_back_all(&self) -> bool {
        use crate::rollout::event::Outcome;
        matches!(self.life, Life::Stopping { .. } | Life::Ended { outcome: Outcome::Stopped, .. })
    }

    /// When a harmed host is ordered back. A host that takes itself back is left to it, unless it falls silent.
    pub(super) fn take_back_at(&self, host: HostIndex) -> Option<Timestamp> {
        if self.hosts.phase(host) != Phase::Harmed || self.hosts.has(host, TAKE_BACK) || !self.is_recovering(host) {
            return None;
        }
        let tries = self.hosts.take_backs.get(&host).map_or(0, |order| order.tries);
        if tries > 0 {
            return Some(self.hosts.since(host).plus(RETRY_AFTER));
        }
        let by_itself = self.plan.policy().automatic_rollback
            && !self.hosts.has(host, SILENT)
            && !matches!(self.hosts.cause(host), Cause::Harmed(HarmReason::Silent | HarmReason::Reported));
        (!by_itself).then(|| self.hosts.since(host))
    }

    /// When a host that has not begun is left to catch-up.
    pub(super) fn absent_at(&self, host: HostIndex, now: &HostNow) -> Option<(Timestamp, AbsenceCause)> {
        let waits = match self.hosts.phase(host) {
            Phase::Pending => self.hosts.staging(host) != Staging::NotStaged,
            phase => phase.is_withdrawable(),
        };
        let started = self.plan.wave_of(host).and_then(|wave| self.wave_state(wave)).and_then(|wave| wave.started)?;
        if !waits {
            return None;
        }
        let (since, cause) = match (now.presence, now.standing) {
            (Presence::Offline { since }, _) => (since.max(started), AbsenceCause::Offline),
            (Presence::Connected { .. }, Standing::Cloned) => (started.max(self.hosts.since(host)), AbsenceCause::Cloned),
            (Presence::Connected { .. }, Standing::ClockOff) => (started.max(self.hosts.since(host)), AbsenceCause::ClockOff),
            _ => return None,
        };
        Some((since.plus(self.plan.policy().offline.grace), cause))
    }

    /// When a connected host that was asked to download and says nothing counts as not staged.
    pub(super) fn staging_fails_at(&self, host: HostIndex, now: &HostNow) -> Option<Timestamp> {
        let transaction = &self.plan.policy().transaction;
        match now.presence {
            Presence::Connected { since } if self.hosts.phase(host) == Phase::Pending && self.hosts.staging(host) == Staging::Asked => {
                Some(self.hosts.staging_since(host).max(since).plus(transaction.lock_wait.saturating_add(transaction.time_limit)))
            }
            _ => None,
        }
    }

    /// When a host may be ordered (again).
    pub(in crate::rollout) fn order_at(&self, host: HostIndex) -> Timestamp {
        let since = self.hosts.since(host);
        if self.hosts.tries(host) > 0 && matches!(self.hosts.cause(host), Cause::Refused(_)) { since.plus(RETRY_AFTER) } else { since }
    }

    /// When a host that is away is left to catch-up, as far as the view tells.
    pub(in crate::rollout) fn absent_at_for(&self, host: HostIndex, view: &dyn crate::rollout::view::Liveness) -> Option<Timestamp> {
        self.absent_at(host, &self.now(host, view)).map(|(due, _)| due)
    }
}

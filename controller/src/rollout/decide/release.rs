//! Which hosts are asked to download and which are ordered next, within all bounds.

use std::collections::BTreeMap;

use patchwave_common::domain::Timestamp;

use super::{in_events, orders_in_events};
use crate::rollout::event::{Event, MAX_HOSTS_PER_EVENT, WaitingReason};
use crate::rollout::plan::{HostIndex, WaveIndex};
use crate::rollout::progress::Waiting;
use crate::rollout::state::{Phase, Rollout, Staging};
use crate::rollout::view::{Liveness, Presence, Standing};
use crate::rollout::words::hosts_are;

/// What can be ordered now, and what holds back the first host that cannot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::rollout) struct ReleasePlan {
    pub hosts: Vec<HostIndex>,
    pub waiting: Option<Waiting>,
}

/// The bounds with the hosts of this release counted in.
struct Room<'a> {
    rollout: &'a Rollout,
    unavailable: u32,
    by_wave: BTreeMap<WaveIndex, u32>,
    by_site: BTreeMap<u32, u32>,
    catch_up: u32,
}

impl Room<'_> {
    /// Why there is no room for one more host, or room is taken.
    fn take(&mut self, host: HostIndex) -> Result<(), (WaitingReason, String)> {
        let policy = self.rollout.plan.policy();
        let (Some(wave), Some(site)) = (self.rollout.plan.wave_of(host), self.rollout.plan.site_of(host)) else {
            return Err((WaitingReason::Ineligible, "the plan does not know it".to_owned()));
        };
        let in_wave = *self.by_wave.entry(wave).or_insert_with(|| self.rollout.tallies.in_flight(wave));
        let at_site = *self.by_site.entry(site).or_insert_with(|| self.rollout.tallies.in_flight_at(site));
        let limit = self.rollout.unavailable_limit();
        if self.unavailable >= limit {
            return Err((WaitingReason::Unavailable, format!("{} unproved and the policy allows {limit}", hosts_are(self.unavailable))));
        }
        let wave_limit = self.rollout.plan.rule(wave).map_or(0, |rule| rule.max_in_flight);
        if in_wave >= wave_limit || at_site >= policy.limits.max_in_flight_per_site {
            return Err((WaitingReason::InFlightLimit, "as many hosts are in flight as the policy allows".to_owned()));
        }
        let late = self.rollout.is_catch_up(host);
        if late && self.catch_up == 0 {
            return Err((WaitingReason::Retry, "returned hosts are ordered at a bounded rate".to_owned()));
        }
        self.catch_up -= u32::from(late);
        self.unavailable += 1;
        self.by_wave.insert(wave, in_wave + 1);
        self.by_site.insert(site, at_site + 1);
        Ok(())
    }
}

impl Rollout {
    /// Downloads and orders that are due.
    pub(super) fn due_work(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        if !self.is_releasing() {
            return Vec::new();
        }
        let release = self.release_plan(at, view);
        if !release.hosts.is_empty() {
            return orders_in_events(&release.hosts, |hosts| Event::Released { hosts });
        }
        let ask = self.stage_plan(at, view);
        in_events(&ask, |hosts| Event::StageRequested { hosts })
    }

    /// Hosts to be asked to download: all waves from the start, in their order, at the policy's rate (rule 17).
    fn stage_plan(&self, at: Timestamp, view: &dyn Liveness) -> Vec<HostIndex> {
        if self.is_reverse() {
            return Vec::new();
        }
        let room = self.staging_window.left(at, self.plan.policy().limits.staging_per_minute);
        let waves = self.plan.waves().filter(|&wave| self.tallies.in_wave(wave, Phase::Pending) > 0);
        waves
            .flat_map(|wave| self.plan.members(wave).iter().copied())
            .filter(|&host| self.hosts.phase(host) == Phase::Pending && self.hosts.staging(host) == Staging::NotAsked)
            .filter(|&host| {
                let now = self.now(host, view);
                matches!(now.presence, Presence::Connected { .. }) && matches!(now.standing, Standing::Eligible | Standing::Stale)
            })
            .take(room as usize)
            .collect()
    }

    /// Hosts to be ordered: those of the wave that is on, then those of passed waves that came late.
    pub(in crate::rollout) fn release_plan(&self, at: Timestamp, view: &dyn Liveness) -> ReleasePlan {
        let mut plan = ReleasePlan::default();
        let mut room = Room {
            rollout: self,
            unavailable: self.tallies.unavailable(),
            by_wave: BTreeMap::new(),
            by_site: BTreeMap::new(),
            catch_up: self.catch_up_window.left(at, self.plan.policy().offline.catch_up_per_minute),
        };
        let started = |wave: &WaveIndex| self.wave_state(*wave).is_some_and(|state| state.started.is_some());
        // The wave that is on is the last that was started; the earlier ones hold only hosts that came late.
        for wave in self.plan.waves().filter(started).filter(|&wave| self.tallies.in_wave(wave, Phase::Pending) > 0).rev() {
            for &host in self.plan.members(wave) {
                if self.hosts.phase(host) != Phase::Pending || plan.hosts.len() >= MAX_HOSTS_PER_EVENT {
                    continue;
                }
                match self.may_order(host, at, view).and_then(|()| room.take(host)) {
                    Ok(()) => plan.hosts.push(host),
                    Err((reason, text)) if reason != WaitingReason::Staging && plan.waiting.is_none() => {
                        plan.waiting = Some(Waiting { reason, text, until: self.waits_until(host, reason) });
                    }
                    Err(_) => {}
                }
            }
        }
        plan
    }

    fn waits_until(&self, host: HostIndex, reason: WaitingReason) -> Option<Timestamp> {
        (reason == WaitingReason::Retry).then(|| self.order_at(host).max(self.catch_up_window.end()))
    }

    /// Whether a host could be ordered if there were room.
    pub(in crate::rollout) fn may_order(&self, host: HostIndex, at: Timestamp, view: &dyn Liveness) -> Result<(), (WaitingReason, String)> {
        if !self.is_reverse() && self.hosts.staging(host) != Staging::Staged {
            return Err((WaitingReason::Staging, "it has not downloaded what it needs".to_owned()));
        }
        let now = self.now(host, view);
        match now.presence {
            Presence::Connected { .. } => {}
            Presence::Offline { .. } => return Err((WaitingReason::Grace, "it is offline".to_owned())),
            Presence::Unknown => {
                return Err((
                    WaitingReason::PresenceUnknown,
                    "the controller has just started and waits for hosts to come back".to_owned(),
                ));
            }
        }
        match now.standing {
            Standing::Eligible | Standing::Stale => {}
            Standing::ClockOff => return Err((WaitingReason::Ineligible, "its clock is off".to_owned())),
            Standing::Cloned => return Err((WaitingReason::Ineligible, "two running copies use its key".to_owned())),
            Standing::Retired => return Err((WaitingReason::Ineligible, "it was retired".to_owned())),
        }
        if let Some(other) = now.claimed_by {
            return Err((WaitingReason::Claimed, format!("rollout {other} has ordered it")));
        }
        if self.order_at(host) > at {
            return Err((WaitingReason::Retry, "it refused for a reason that may pass and is asked again".to_owned()));
        }
        if self.is_catch_up(host) && self.catch_up_until().is_none_or(|until| until <= at) {
            return Err((WaitingReason::Offline, "it came back after the policy's deadline".to_owned()));
        }
        Ok(())
    }
}

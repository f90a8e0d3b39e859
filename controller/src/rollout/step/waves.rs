//! Waves, gates, stopping and the end.

use patchwave_common::domain::{QuarantineKey, Timestamp};

use crate::records::Actor;
use crate::rollout::event::{Event, Outcome, PassReason, PauseReason};
use crate::rollout::plan::{Emptied, WaveIndex};
use crate::rollout::rejected::Rejected;
use crate::rollout::state::{CHARGED, Life, Pause, Phase, Rollout, Staging};

/// Most suspects of one event; a plan's transactions have tens of packages.
const MAX_KEYS: usize = 10_000;

/// What a wave's hosts say about its gate, as far as the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::rollout) struct Evidence {
    pub hosts: u32,
    /// Not ordered, and could still be.
    pub open: u32,
    pub in_flight: u32,
    /// Proved, never charged, and healthy for as long as the wave wants.
    pub soaked: u32,
    /// Proved, but not for long enough.
    pub soaking: u32,
    /// When the last of them will be.
    pub soaked_at: Option<Timestamp>,
    pub charged: u32,
    pub offline: u32,
    pub not_staged: u32,
    pub refused: u32,
    pub up_to_date: u32,
    pub retired: u32,
}

impl Rollout {
    /// Gathers a wave's evidence.
    pub(in crate::rollout) fn evidence(&self, wave: WaveIndex, at: Timestamp) -> Evidence {
        let members = self.plan.members(wave);
        let mut evidence = Evidence { hosts: u32::try_from(members.len()).unwrap_or(u32::MAX), ..Evidence::default() };
        for &host in members {
            let charged = self.hosts.has(host, CHARGED);
            evidence.charged += u32::from(charged);
            match self.hosts.phase(host) {
                Phase::Pending if self.hosts.staging(host) == Staging::NotStaged => evidence.not_staged += 1,
                Phase::Pending => evidence.open += 1,
                Phase::Released | Phase::Accepted | Phase::Applying | Phase::Verifying => evidence.in_flight += 1,
                Phase::Healthy if self.soaked_at(host).is_some_and(|soaked| soaked > at) => {
                    evidence.soaking += 1;
                    evidence.soaked_at = evidence.soaked_at.max(self.soaked_at(host));
                }
                Phase::Healthy | Phase::Concluded => evidence.soaked += u32::from(!charged),
                Phase::Offline => evidence.offline += 1,
                Phase::Refused => evidence.refused += 1,
                Phase::UpToDate => evidence.up_to_date += 1,
                Phase::Retired => evidence.retired += 1,
                Phase::Harmed | Phase::TakingBack | Phase::TakenBack | Phase::NeedsAttention => {}
            }
        }
        evidence
    }

    /// What a gate could pass on, as far as the log tells.
    pub(in crate::rollout) fn pass_reason(&self, wave: WaveIndex, evidence: &Evidence) -> Option<PassReason> {
        let (rule, state, planned) = (self.plan.rule(wave)?, self.wave_state(wave)?, self.plan.planned_wave(wave)?);
        if evidence.in_flight > 0 || evidence.soaking > 0 {
            return None;
        }
        if state.overridden {
            return Some(PassReason::Overridden);
        }
        let nothing_to_do = match planned.emptied {
            Some(Emptied::UpToDate | Emptied::TakenEarlier) => true,
            Some(_) => false,
            None => evidence.up_to_date > 0 && evidence.up_to_date + evidence.retired == evidence.hosts,
        };
        if nothing_to_do && evidence.charged == 0 {
            return Some(PassReason::NothingToDo);
        }
        let offline_budget = self.plan.policy().offline.budget.of(evidence.hosts);
        (evidence.open == 0 && evidence.offline <= offline_budget && evidence.soaked >= rule.minimum).then_some(PassReason::Proved)
    }

    fn check_current(&self, wave: WaveIndex, started: bool) -> Result<(), Rejected> {
        if self.life != Life::Running || self.pause.is_some() || self.halt.is_some() {
            return Err(self.wrong_state("a step between waves", "only a running rollout goes on"));
        }
        if self.current_wave() != Some(wave) || self.wave_state(wave).is_none_or(|state| state.started.is_some() != started) {
            return Err(Rejected::Forbidden("waves go one after the other"));
        }
        Ok(())
    }

    pub(super) fn check_wave_started(&self, wave: WaveIndex, at: Timestamp) -> Result<(), Rejected> {
        self.check_current(wave, false)?;
        if self.plan.planned_wave(wave).is_none_or(|planned| at < planned.earliest_start) {
            return Err(Rejected::Forbidden("the wave's earliest start has not come"));
        }
        Ok(())
    }

    pub(super) fn check_wave_passed(&self, wave: WaveIndex, because: PassReason, at: Timestamp) -> Result<(), Rejected> {
        self.check_current(wave, true)?;
        if self.limit_reached().is_some() {
            return Err(Rejected::Forbidden("a failure limit was reached"));
        }
        if self.pass_reason(wave, &self.evidence(wave, at)) == Some(because) {
            Ok(())
        } else {
            Err(Rejected::Forbidden("the wave's gate does not pass on that"))
        }
    }

    pub(super) fn check_timed_out(&self, wave: WaveIndex, at: Timestamp) -> Result<(), Rejected> {
        self.check_current(wave, true)?;
        if self.time_limit_at(wave).is_none_or(|limit| at < limit) {
            return Err(Rejected::Forbidden("the wave's time limit has not passed"));
        }
        Ok(())
    }

    /// When a started wave's time is up.
    pub(in crate::rollout) fn time_limit_at(&self, wave: WaveIndex) -> Option<Timestamp> {
        let (state, rule) = (self.wave_state(wave)?, self.plan.rule(wave)?);
        state.started.map(|_| state.limit_from.plus(rule.time_limit))
    }

    pub(super) fn check_stopped(&self) -> Result<(), Rejected> {
        match (&self.life, self.limit_reached()) {
            (Life::Running, Some(_)) => Ok(()),
            (Life::Running, None) => Err(Rejected::Forbidden("no failure limit was reached")),
            _ => Err(self.wrong_state("stopping", "only a started rollout can be stopped")),
        }
    }

    pub(super) fn check_quarantined(&self, keys: &[QuarantineKey]) -> Result<(), Rejected> {
        let stopped = matches!(self.life, Life::Stopping { .. } | Life::Ended { outcome: Outcome::Stopped, .. });
        if !stopped {
            return Err(self.wrong_state("quarantine", "only a stopped rollout has suspects"));
        }
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(Rejected::Malformed("a list of versions is empty or too long"));
        }
        if keys.iter().all(|key| self.quarantined.contains(key)) { Err(Rejected::NoNews) } else { Ok(()) }
    }

    pub(super) fn check_completed(&self, outcome: Outcome) -> Result<(), Rejected> {
        let fits = match &self.life {
            Life::Running => outcome == Outcome::Completed && self.current_wave().is_none() && self.tallies.of(Phase::Healthy) == 0,
            Life::Stopping { .. } => outcome == Outcome::Stopped,
            Life::Aborting { .. } => outcome == Outcome::Aborted,
            _ => false,
        };
        if !fits {
            return Err(self.wrong_state("ending", "it has not come to that end"));
        }
        if self.tallies.all_in_flight() > 0 { Err(Rejected::Forbidden("hosts are still in flight")) } else { Ok(()) }
    }

    pub(super) fn apply_waves(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::WaveStarted { wave } => {
                if let Some(state) = self.waves.get_mut(wave.usize()) {
                    state.started = Some(at);
                    state.limit_from = at;
                }
            }
            Event::WavePassed { wave, because } => {
                if let Some(state) = self.waves.get_mut(wave.usize()) {
                    state.passed = Some((at, *because));
                }
            }
            Event::WaveTimedOut { wave, waiting } => {
                let name = self.plan.rule(*wave).map_or("", |rule| rule.name.as_str());
                let detail = format!("wave \"{name}\" did not pass within its time limit; it waited for: {waiting}");
                self.pause = Some(Pause { by: Actor::Controller, reason: PauseReason::TimeLimit, detail });
            }
            Event::Stopped { reason } => {
                self.pause = None;
                self.halt = None;
                self.life = Life::Stopping { reason: *reason };
            }
            Event::Quarantined { keys } => self.quarantined.extend(keys.iter().cloned()),
            Event::Completed { outcome } => {
                let text = self.ending_text();
                self.life = Life::Ended { outcome: *outcome, at, text };
            }
            _ => {}
        }
    }
}

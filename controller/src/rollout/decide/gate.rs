//! The gate between waves: advance, keep watching, or wait for an operator. Too little evidence never passes silently (rule 6).

use patchwave_common::domain::Timestamp;

use crate::records::Actor;
use crate::rollout::event::{Event, PassReason, PauseReason, WaitingReason};
use crate::rollout::plan::WaveIndex;
use crate::rollout::progress::Waiting;
use crate::rollout::state::{Phase, Rollout, Staging};
use crate::rollout::step::Evidence;
use crate::rollout::view::{Liveness, Presence};
use crate::rollout::words::{hosts, hosts_are};

/// A gate's verdict now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rollout) enum Gate {
    /// It passes.
    Pass(PassReason),
    /// Something is still to come.
    Watch(Waiting),
    /// Nothing more can come and it does not pass.
    Stuck(PauseReason, String),
}

impl Rollout {
    /// The verdict of the gate of the wave that is on.
    pub(in crate::rollout) fn gate(&self, wave: WaveIndex, at: Timestamp, view: &dyn Liveness) -> Gate {
        let evidence = self.evidence(wave, at);
        let (Some(rule), Some(planned)) = (self.plan.rule(wave), self.plan.planned_wave(wave)) else {
            return Gate::Stuck(PauseReason::EmptyWave, "the plan has no such wave".to_owned());
        };
        if let Some(because) = self.pass_reason(wave, &evidence) {
            return match self.unseen_in_soak(wave, view) {
                0 => Gate::Pass(because),
                hosts => watch(WaitingReason::SilentInSoak, format!("{hosts} healthy hosts went offline before their soak ended"), None),
            };
        }
        let budget = self.plan.policy().offline.budget.of(evidence.hosts);
        if evidence.open > 0 || evidence.in_flight > 0 {
            Gate::Watch(self.work_waiting(wave, &evidence, at, view))
        } else if evidence.soaking > 0 {
            let until = evidence.soaked_at.map_or_else(|| "for a while".to_owned(), |until| format!("until {until}"));
            watch(WaitingReason::Soaking, format!("{} must stay healthy {until}", hosts(evidence.soaking)), evidence.soaked_at)
        } else if evidence.offline > budget {
            let text = format!("{} away and the policy's budget is {budget}", hosts_are(evidence.offline));
            watch(WaitingReason::Offline, text, self.time_limit_at(wave))
        } else if evidence.offline > 0 {
            let text = format!("{}; {} away and could return", too_few(&evidence, rule.minimum), hosts_are(evidence.offline));
            watch(WaitingReason::TooLittleEvidence, text, self.time_limit_at(wave))
        } else if evidence.hosts == evidence.retired {
            let why = planned.emptied.map_or("all of its hosts were retired", |emptied| match emptied {
                crate::rollout::plan::Emptied::NoHost => "it selects no host",
                _ => "every host that it selects was left out of the plan",
            });
            Gate::Stuck(PauseReason::EmptyWave, format!("wave \"{}\" has no host and so decides nothing: {why}", rule.name))
        } else {
            let text = format!("wave \"{}\": {}, and no more can come", rule.name, too_few(&evidence, rule.minimum));
            Gate::Stuck(PauseReason::TooLittleEvidence, text)
        }
    }

    /// Proved hosts that went offline before they had stayed healthy for long enough, or of which nothing is known yet.
    fn unseen_in_soak(&self, wave: WaveIndex, view: &dyn Liveness) -> usize {
        let unseen = |&&host: &&crate::rollout::plan::HostIndex| {
            self.soaked_at(host).is_some_and(|soaked| match self.now(host, view).presence {
                Presence::Connected { .. } => false,
                Presence::Offline { since } => since < soaked,
                Presence::Unknown => true,
            })
        };
        self.plan.members(wave).iter().filter(unseen).count()
    }

    /// What hosts that are not done wait for.
    fn work_waiting(&self, wave: WaveIndex, evidence: &Evidence, at: Timestamp, view: &dyn Liveness) -> Waiting {
        if evidence.open > 0 {
            let release = self.release_plan(at, view);
            if let Some(waiting) = release.waiting {
                return waiting;
            }
            if !release.hosts.is_empty() {
                return Waiting {
                    reason: WaitingReason::Due,
                    text: format!("{} ordered now", hosts_are(release.hosts.len())),
                    until: None,
                };
            }
        }
        let downloading = self.plan.members(wave).iter().filter(|&&host| {
            self.hosts.phase(host) == Phase::Pending && matches!(self.hosts.staging(host), Staging::Asked | Staging::NotAsked)
        });
        match (evidence.in_flight, downloading.count()) {
            (0, count) => Waiting { reason: WaitingReason::Staging, text: format!("{} downloading", hosts_are(count)), until: None },
            (count, _) => {
                Waiting { reason: WaitingReason::InFlight, text: format!("{} applying or verifying", hosts_are(count)), until: None }
            }
        }
    }

    /// Pauses that the engine asks for by itself, beside those of the gate.
    pub(super) fn due_pause(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        if !self.is_releasing() {
            return Vec::new();
        }
        if self.tallies.not_staged > 0 && self.tallies.not_staged >= self.not_staged_limit() {
            let count = self.tallies.not_staged;
            return vec![pause(PauseReason::NotStaged, format!("{count} hosts could not stage; look at why, then resume"))];
        }
        match self.quarantined_targets(view).first() {
            Some(name) if !self.is_reverse() && self.has_unordered(at) => {
                vec![pause(PauseReason::Quarantined, format!("{name} is in quarantine; lift it and resume, or abort"))]
            }
            _ => Vec::new(),
        }
    }

    fn has_unordered(&self, at: Timestamp) -> bool {
        let left = self.tallies.of(Phase::Pending) > 0 || self.tallies.of(Phase::Offline) > 0;
        self.current_wave().is_some() && left || self.awaits_returns(at)
    }

    /// Versions of the plan that may not be installed now.
    fn quarantined_targets(&self, view: &dyn Liveness) -> Vec<String> {
        let sets = self.plan.target_sets().iter();
        sets.flat_map(|set| {
            super::ending::quarantine_keys(set)
                .zip(&set.targets)
                .filter(|(key, _)| view.is_quarantined(key))
                .map(|(_, target)| format!("{} {}", target.id, target.to))
        })
        .collect()
    }

    pub(super) fn due_gate(&self, at: Timestamp, view: &dyn Liveness) -> Vec<Event> {
        let Some(wave) = self.current_wave().filter(|_| self.is_releasing()) else {
            return Vec::new();
        };
        if self.wave_state(wave).is_none_or(|state| state.started.is_none()) {
            let due = self.plan.planned_wave(wave).is_some_and(|planned| planned.earliest_start <= at);
            return if due { vec![Event::WaveStarted { wave }] } else { Vec::new() };
        }
        let timed_out = self.time_limit_at(wave).is_some_and(|limit| limit <= at);
        match self.gate(wave, at, view) {
            Gate::Pass(because) => vec![Event::WavePassed { wave, because }],
            Gate::Watch(waiting) if timed_out => vec![Event::WaveTimedOut { wave, waiting: waiting.reason }],
            Gate::Watch(_) => Vec::new(),
            Gate::Stuck(reason, detail) => vec![pause(reason, detail)],
        }
    }
}

fn pause(reason: PauseReason, detail: String) -> Event {
    Event::Paused { by: Actor::Controller, reason, detail }
}

fn watch(reason: WaitingReason, text: String, until: Option<Timestamp>) -> Gate {
    Gate::Watch(Waiting { reason, text, until })
}

fn too_few(evidence: &Evidence, minimum: u32) -> String {
    let mut text = format!("{} proved healthy and the gate wants {minimum}", hosts_are(evidence.soaked));
    for (count, what) in [(evidence.charged, "failed"), (evidence.refused, "refused"), (evidence.not_staged, "could not stage")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

//! A rollout in numbers, per wave and as a whole, for people and for metrics.

use patchwave_common::domain::policy::WaveKind;
use patchwave_common::domain::{OperatorName, QuarantineKey, Timestamp};

use super::decide::Gate;
use super::event::{PauseReason, StopReason, WaitingReason};
use super::named::named;
use super::plan::WaveIndex;
use super::state::{CHANGED, CHARGED, Life, ORDERED, Phase, Rollout, RolloutState, Staging, WaveState};
use super::view::Liveness;
use super::words::{hosts, hosts_are};
use crate::records::Actor;

/// A sentence names so many hosts; the others are in the list of hosts.
const MAX_NAMED_HOSTS: usize = 3;

named!(
    /// Where a wave stands.
    WaveStage, "wave stage" {
        /// An earlier wave has not passed.
        Waiting = "waiting",
        /// Hosts are being ordered.
        Running = "running",
        /// All that can be ordered is done; proved hosts are watched.
        Soaking = "soaking",
        /// Its gate passed.
        Passed = "passed",
        /// The rollout ended before its gate passed.
        Stopped = "stopped",
    }
);

/// What a wave or a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The kind of reason.
    pub reason: WaitingReason,
    /// In plain words.
    pub text: String,
    /// Until when, where known.
    pub until: Option<Timestamp>,
}

/// One wave in numbers. Each host of the wave counts in exactly one of the fields from `pending` to `retired`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveProgress {
    /// Which.
    pub wave: WaveIndex,
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub kind: WaveKind,
    /// Where it stands.
    pub stage: WaveStage,
    /// Hosts in it.
    pub hosts: u32,
    /// Not asked to stage yet.
    pub pending: u32,
    /// Downloading.
    pub staging: u32,
    /// Downloaded, not ordered yet.
    pub staged: u32,
    /// Ordered, or applying.
    pub applying: u32,
    /// Applied, checks run.
    pub verifying: u32,
    /// Proved healthy (or concluded). In a reverse rollout: taken back as ordered.
    pub healthy: u32,
    /// Harmed, being taken back, or in need of a person.
    pub failed: u32,
    /// Taken back to exactly what they had.
    pub taken_back: u32,
    /// Away; they get it when they return.
    pub offline: u32,
    /// Could not stage.
    pub not_staged: u32,
    /// Not updated: they refused, before anything was changed.
    pub refused: u32,
    /// At their target already.
    pub up_to_date: u32,
    /// Retired meanwhile.
    pub retired: u32,
    /// Failures charged to the wave; never decreases.
    pub charged: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its gate passed.
    pub passed_at: Option<Timestamp>,
    /// What it waits for.
    pub waiting: Option<Waiting>,
}

/// A rollout as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutSummary {
    /// Its state.
    pub state: RolloutState,
    /// Why it is in that state, or what it waits for, in plain words.
    pub reason: String,
    /// Who planned it.
    pub created_by: Option<Actor>,
    /// When.
    pub created_at: Option<Timestamp>,
    /// When it was let go.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: Vec<OperatorName>,
    /// Approvals that it needs.
    pub approvals_needed: u32,
    /// Hosts of the plan.
    pub hosts: u32,
    /// Hosts on which the change stands and was proved.
    pub updated: u32,
    /// Hosts on which something was applied (or, in a reverse rollout, taken back), those taken back again included.
    pub changed: u32,
    /// Hosts that were never ordered to do anything.
    pub untouched: u32,
    /// Hosts that were harmed and are not restored.
    pub harmed: u32,
    /// Hosts taken back.
    pub taken_back: u32,
    /// Hosts that need a person.
    pub needs_attention: u32,
    /// Failures charged; never decreases.
    pub charged: u32,
    /// So many stop it.
    pub failure_limit: u32,
    /// Suspects.
    pub quarantined: Vec<QuarantineKey>,
}

impl Rollout {
    /// Every wave in numbers.
    #[must_use]
    pub fn progress(&self, at: Timestamp, view: &dyn Liveness) -> Vec<WaveProgress> {
        self.plan.waves().filter_map(|wave| self.wave_progress(wave, at, view)).collect()
    }

    fn wave_progress(&self, wave: WaveIndex, at: Timestamp, view: &dyn Liveness) -> Option<WaveProgress> {
        let (rule, state) = (self.plan.rule(wave)?, self.wave_state(wave)?);
        let is_current = self.current_wave() == Some(wave);
        let waiting = if is_current { self.waiting_for(at, view) } else { None };
        let stage = match state {
            WaveState { passed: Some(_), .. } => WaveStage::Passed,
            _ if self.state().is_over() => WaveStage::Stopped,
            WaveState { started: None, .. } => WaveStage::Waiting,
            _ if waiting.as_ref().is_some_and(|waiting| waiting.reason == WaitingReason::Soaking) => WaveStage::Soaking,
            _ => WaveStage::Running,
        };
        let mut progress = WaveProgress {
            wave,
            name: rule.name.clone(),
            kind: rule.kind,
            stage,
            hosts: u32::try_from(self.plan.members(wave).len()).unwrap_or(u32::MAX),
            pending: 0,
            staging: 0,
            staged: 0,
            applying: 0,
            verifying: 0,
            healthy: 0,
            failed: 0,
            taken_back: 0,
            offline: 0,
            not_staged: 0,
            refused: 0,
            up_to_date: 0,
            retired: 0,
            charged: state.charged,
            started_at: state.started,
            passed_at: state.passed.map(|(at, _)| at),
            waiting,
        };
        for &host in self.plan.members(wave) {
            *progress.field(self.hosts.phase(host), self.hosts.staging(host)) += 1;
        }
        Some(progress)
    }

    /// What the rollout waits for now; `None` where it is not started, or over.
    #[must_use]
    pub fn waiting_for(&self, at: Timestamp, view: &dyn Liveness) -> Option<Waiting> {
        if !self.is_releasing() {
            return None;
        }
        let Some(wave) = self.current_wave() else {
            let text = format!("every wave passed; hosts that were away get it until {}", self.catch_up_until()?);
            return Some(Waiting { reason: WaitingReason::Offline, text, until: self.catch_up_until() });
        };
        if self.wave_state(wave).is_none_or(|state| state.started.is_none()) {
            let start = self.plan.planned_wave(wave).map(|planned| planned.earliest_start);
            return Some(Waiting { reason: WaitingReason::EarliestStart, text: "the wave has not begun".to_owned(), until: start });
        }
        Some(match self.gate(wave, at, view) {
            Gate::Watch(waiting) => waiting,
            Gate::Pass(_) => Waiting { reason: WaitingReason::Due, text: "the gate passes now".to_owned(), until: None },
            Gate::Stuck(_, text) => Waiting { reason: WaitingReason::TooLittleEvidence, text, until: None },
        })
    }

    /// The rollout as a whole, as far as the log tells.
    #[must_use]
    pub fn summary(&self) -> RolloutSummary {
        let tallies = &self.tallies;
        let flagged = |flag: u8| u32::try_from(self.plan.indexes().filter(|&host| self.hosts.has(host, flag)).count()).unwrap_or(u32::MAX);
        let silent_unchanged = self.hosts_in(|phase| phase == Phase::Harmed).filter(|&host| !self.hosts.has(host, CHANGED)).count();
        RolloutSummary {
            state: self.state(),
            reason: self.reason(),
            created_by: self.created.as_ref().map(|(by, _)| by.clone()),
            created_at: self.created.as_ref().map(|(_, at)| *at),
            started_at: self.started_at,
            ended_at: if let Life::Ended { at, .. } = &self.life { Some(*at) } else { None },
            approved_by: self.approved_by.iter().cloned().collect(),
            approvals_needed: self.plan.policy().approvals,
            hosts: self.plan.host_count(),
            updated: tallies.of(Phase::Healthy) + tallies.of(Phase::Concluded),
            changed: flagged(CHANGED).saturating_add(u32::try_from(silent_unchanged).unwrap_or(u32::MAX)),
            untouched: self.plan.host_count() - flagged(ORDERED),
            harmed: tallies.unresolved(),
            taken_back: tallies.of(Phase::TakenBack),
            needs_attention: tallies.of(Phase::NeedsAttention),
            charged: self.charged(),
            failure_limit: self.plan.policy().limits.failures,
            quarantined: self.quarantined.iter().cloned().collect(),
        }
    }

    /// Why the rollout is in its state, in plain words, as far as the log tells; empty where the state says it all.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.life {
            Life::New => String::new(),
            Life::Planned => match self.approvals_missing() {
                0 => String::new(),
                missing => format!("{missing} approvals by others than the planner are missing"),
            },
            Life::Running if self.halt.is_some() => "the fleet is halted".to_owned(),
            Life::Running => self.pause.as_ref().map_or_else(String::new, |pause| match pause.reason {
                PauseReason::Operator => format!("paused by {}: {}", pause.by.name(), pause.detail),
                _ => pause.detail.clone(),
            }),
            Life::Stopping { .. } | Life::Aborting { .. } => self.ending_text(),
            Life::Ended { text, .. } => match self.tallies.unresolved() {
                0 => text.clone(),
                left if text.is_empty() => format!("{} neither updated nor restored", hosts_are(left)),
                left => format!("{text}; {} neither updated nor restored", hosts_are(left)),
            },
        }
    }

    /// What a rollout whose waves have all passed still waits for, in plain words; `None` in any other state.
    #[must_use]
    pub fn catch_up_text(&self) -> Option<String> {
        if self.state() != RolloutState::CatchingUp {
            return None;
        }
        let busy = self.tallies.all_in_flight() + self.tallies.of(Phase::Healthy);
        let away: Vec<&str> =
            self.hosts_in(|phase| phase == Phase::Offline).filter_map(|host| self.plan.host(host)).map(|id| id.as_str()).collect();
        let mut parts = Vec::new();
        if busy > 0 {
            parts.push(format!("{busy} hosts that apply, verify or are watched"));
        }
        if !away.is_empty() {
            let more = if away.len() > MAX_NAMED_HOSTS { ", …" } else { "" };
            let named = away.iter().take(MAX_NAMED_HOSTS).copied().collect::<Vec<_>>().join(", ");
            let until = self.catch_up_until().map_or_else(String::new, |until| format!(", until {until}"));
            parts.push(format!("{} hosts that are away and get it when they return{until}: {named}{more}", away.len()));
        }
        let rest = || "hosts whose wave has passed without them".to_owned();
        Some(if parts.is_empty() { rest() } else { parts.join("; ") })
    }

    /// What ends the rollout, in plain words.
    pub(super) fn ending_text(&self) -> String {
        match &self.life {
            Life::Stopping { reason: StopReason::RolloutLimit } => {
                let limit = self.plan.policy().limits.failures;
                format!("{} hosts were harmed and the rollout's limit is {limit}: {}", self.charged(), self.harm_text())
            }
            Life::Stopping { reason: StopReason::WaveLimit(wave) } => {
                let (name, limit) = self.plan.rule(*wave).map_or(("", 0), |rule| (rule.name.as_str(), rule.failure_limit));
                let charged = self.wave_state(*wave).map_or(0, |state| state.charged);
                let verb = if charged == 1 { "was" } else { "were" };
                format!("{} of wave \"{name}\" {verb} harmed and its limit is {limit}: {}", hosts(charged), self.harm_text())
            }
            Life::Aborting { by, reason } if reason.is_empty() => format!("aborted by {}", by.name()),
            Life::Aborting { by, reason } => format!("aborted by {}: {reason}", by.name()),
            _ => String::new(),
        }
    }

    /// The first harmed hosts and what was seen on them.
    fn harm_text(&self) -> String {
        let charged = self.plan.indexes().filter(|&host| self.hosts.has(host, CHARGED));
        let words = charged.take(MAX_NAMED_HOSTS).map(|host| {
            let id = self.plan.host(host).map_or("", |id| id.as_str());
            let (cause, detail) = (self.hosts.cause(host).as_str(), self.hosts.detail(host));
            match (cause.is_empty(), detail.is_empty()) {
                (true, true) => id.to_owned(),
                (false, true) => format!("{id}: {cause}"),
                (true, false) => format!("{id}: {detail}"),
                (false, false) => format!("{id}: {cause} ({detail})"),
            }
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl WaveProgress {
    fn field(&mut self, phase: Phase, staging: Staging) -> &mut u32 {
        match (phase, staging) {
            (Phase::Pending, Staging::NotAsked) => &mut self.pending,
            (Phase::Pending, Staging::Asked) => &mut self.staging,
            (Phase::Pending, Staging::Staged) => &mut self.staged,
            (Phase::Pending, Staging::NotStaged) => &mut self.not_staged,
            (Phase::Released | Phase::Accepted | Phase::Applying, _) => &mut self.applying,
            (Phase::Verifying, _) => &mut self.verifying,
            (Phase::Healthy | Phase::Concluded, _) => &mut self.healthy,
            (Phase::Harmed | Phase::TakingBack | Phase::NeedsAttention, _) => &mut self.failed,
            (Phase::TakenBack, _) => &mut self.taken_back,
            (Phase::Offline, _) => &mut self.offline,
            (Phase::Refused, _) => &mut self.refused,
            (Phase::UpToDate, _) => &mut self.up_to_date,
            (Phase::Retired, _) => &mut self.retired,
        }
    }
}

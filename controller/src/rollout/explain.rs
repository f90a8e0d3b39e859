//! For one host: what happens, when, or why not.

use patchwave_common::domain::{HostId, Timestamp};

use super::event::{AbsenceCause, WaitingReason};
use super::plan::{Excluded, HostIndex, WaveIndex};
use super::state::{CHARGED, Cause, Life, Phase, Rollout, SILENT, Staging, TAKE_BACK};
use super::view::Liveness;

/// The answer for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The host.
    pub host: HostId,
    /// Where it stands, e.g. `pending`, `applying`, `excluded`.
    pub state: String,
    /// Stable code of the reason, e.g. `held`, `earlier-wave`, `soaking`.
    pub code: &'static str,
    /// In plain words: what happens, when, or why not.
    pub text: String,
    /// Its wave.
    pub wave: Option<WaveIndex>,
    /// The earliest moment at which something can happen, where known.
    pub when: Option<Timestamp>,
}

/// Code and state of a host that could not download what it needs.
const NOT_STAGED: &str = "not-staged";

/// Code, words and moment.
type Told = (&'static str, String, Option<Timestamp>);

impl Rollout {
    /// Explains one host. A host that the plan does not know is explained as such.
    #[must_use]
    pub fn explain(&self, host: &HostId, at: Timestamp, view: &dyn Liveness) -> Explanation {
        if let Some(index) = self.plan.index_of(host) {
            let (code, text, when) = self.tell(index, at, view);
            // It was never its turn, and will not be before another rollout: people look for it among those that could not download.
            let state = if code == NOT_STAGED { NOT_STAGED } else { self.hosts.phase(index).as_str() }.to_owned();
            return Explanation { host: host.clone(), state, code, text, wave: self.plan.wave_of(index), when };
        }
        let (state, code, text) = match self.plan.exclusion_of(host) {
            Some(Excluded { reason, detail, .. }) if detail.is_empty() => {
                ("excluded", reason.as_str(), format!("left out of the plan: {}", reason.words()))
            }
            Some(Excluded { reason, detail, .. }) => {
                ("excluded", reason.as_str(), format!("left out of the plan: {} ({detail})", reason.words()))
            }
            None => ("unknown", "not-in-fleet", "the plan does not know this host: it enrolled after the plan was made".to_owned()),
        };
        Explanation { host: host.clone(), state: state.to_owned(), code, text, wave: None, when: None }
    }

    fn tell(&self, host: HostIndex, at: Timestamp, view: &dyn Liveness) -> Told {
        let since = self.hosts.since(host);
        let detail = self.hosts.detail(host);
        let with = |text: &str| if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") };
        match self.hosts.phase(host) {
            Phase::Pending => self.tell_pending(host, at, view),
            Phase::Released => ("ordered", format!("ordered at {since}; the host has not confirmed it yet"), None),
            Phase::Accepted => {
                ("accepted", "the host has the order and prepares: it simulates, checks and writes its receipt".to_owned(), None)
            }
            Phase::Applying => ("applying", format!("it has leave to change packages since {since}"), None),
            Phase::Verifying => ("verifying", format!("packages are changed; health checks run since {since}"), None),
            Phase::Healthy => self.tell_healthy(host, at),
            Phase::Concluded if self.is_reverse() => ("done", format!("taken back as ordered; done since {since}"), None),
            Phase::Concluded => ("done", format!("it has the versions of the plan and stayed healthy; done since {since}"), None),
            Phase::Harmed => self.tell_harmed(host),
            Phase::TakingBack => ("taking-back", with("it is returning to exactly what it had"), None),
            Phase::TakenBack => ("taken-back", self.tell_taken_back(host), None),
            Phase::NeedsAttention => {
                ("needs-attention", with("it could reach neither the target nor what it had; a person must look at it"), None)
            }
            Phase::Offline => self.tell_offline(host),
            Phase::Refused => {
                (self.hosts.cause(host).as_str(), with(&format!("not updated; it refused ({})", self.hosts.cause(host).as_str())), None)
            }
            Phase::UpToDate => ("up-to-date", "it has the versions of the plan already".to_owned(), None),
            Phase::Retired => ("retired", "it was retired from the fleet".to_owned(), None),
        }
    }

    fn tell_pending(&self, host: HostIndex, at: Timestamp, view: &dyn Liveness) -> Told {
        if let Some(reason) = self.hosts.not_staged(host) {
            let detail = self.hosts.detail(host);
            return (
                NOT_STAGED,
                format!("it could not download what it needs ({reason}): {detail}; `patchwave rollout replan` takes it along"),
                None,
            );
        }
        match &self.life {
            Life::New | Life::Planned => return ("not-started", "the rollout has not been started".to_owned(), None),
            Life::Running => {}
            _ => return ("rollout-over", format!("the rollout ended before it was the host's turn: {}", self.reason()), None),
        }
        if !self.is_releasing() {
            return ("rollout-paused", format!("nothing begins now: {}", self.reason()), None);
        }
        let wave = self.plan.wave_of(host);
        let current = self.current_wave();
        if let (Some(wave), Some(current)) = (wave, current)
            && wave > current
        {
            let name = self.plan.rule(current).map_or("", |rule| rule.name.as_str());
            let download = if self.hosts.staging(host) == Staging::Staged { "downloaded already" } else { "downloading meanwhile" };
            let start = self.plan.planned_wave(wave).map(|planned| planned.earliest_start).filter(|start| *start > at);
            return ("earlier-wave", format!("its wave comes after wave \"{name}\", whose gate has not passed; {download}"), start);
        }
        match self.may_order(host, at, view) {
            Err((WaitingReason::Grace, text)) => {
                let grace = self.absent_at_for(host, view);
                (
                    "offline",
                    format!("{text}; after the policy's grace the wave goes on without it, and it gets the patch when it returns"),
                    grace,
                )
            }
            Err((reason, text)) => (reason.as_str(), text, (reason == WaitingReason::Retry).then(|| self.order_at(host))),
            Ok(()) => match self.release_plan(at, view) {
                release if release.hosts.contains(&host) => ("due", "it is ordered now".to_owned(), Some(at)),
                release => {
                    let text = release.waiting.map_or_else(|| "its turn comes".to_owned(), |waiting| waiting.text);
                    ("turn", format!("it is ready and waits for its turn: {text}"), None)
                }
            },
        }
    }

    fn tell_healthy(&self, host: HostIndex, at: Timestamp) -> Told {
        match self.soaked_at(host) {
            Some(soaked) if soaked > at => {
                ("soaking", format!("proved healthy at {}; watched until {soaked}", self.hosts.since(host)), Some(soaked))
            }
            _ => ("healthy", "proved healthy and stayed so; concluded when its wave's gate passes".to_owned(), None),
        }
    }

    fn tell_taken_back(&self, host: HostIndex) -> String {
        let back = format!("exactly as before since {}, verified", self.hosts.since(host));
        match self.hosts.detail(host) {
            "" => back,
            harm => format!("{back}; taken back because: {harm}"),
        }
    }

    fn tell_harmed(&self, host: HostIndex) -> Told {
        let seen = match (self.hosts.cause(host), self.hosts.detail(host)) {
            (Cause::Harmed(reason), "") => reason.to_string(),
            (Cause::Harmed(reason), detail) => format!("{reason}: {detail}"),
            (_, detail) => detail.to_owned(),
        };
        let next = if self.hosts.has(host, TAKE_BACK) && self.hosts.has(host, SILENT) {
            "it is taken back when it returns"
        } else if self.hosts.has(host, TAKE_BACK) {
            "it was ordered to return to what it had"
        } else if self.is_recovering(host) {
            "it is taken back"
        } else {
            "the policy leaves taking back to people: `patchwave rollout rollback`"
        };
        let charged = if self.hosts.has(host, CHARGED) { " (counts as a failure for good)" } else { "" };
        ("harmed", format!("harm was seen{charged}: {seen}; {next}"), None)
    }

    fn tell_offline(&self, host: HostIndex) -> Told {
        let Cause::Absent(cause) = self.hosts.cause(host) else {
            return ("offline", "it is away".to_owned(), None);
        };
        let why = match cause {
            AbsenceCause::Offline => "it was offline when its wave came",
            AbsenceCause::Cloned => "two running copies use its key",
            AbsenceCause::ClockOff => "its clock is more than five minutes off",
        };
        match (self.state().is_over(), self.catch_up_until()) {
            (false, Some(until)) => (cause.as_str(), format!("{why}; it gets the patch when that is over, until {until}"), None),
            _ => (cause.as_str(), format!("{why}, and the rollout has ended; `patchwave rollout replan` takes it along"), None),
        }
    }
}

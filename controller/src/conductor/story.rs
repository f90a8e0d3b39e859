//! What happened, in lines for people, and the summary that lists show. Derived from events; decides nothing.

use std::collections::BTreeMap;

use patchwave_common::domain::{HostId, RolloutId, Timestamp};

use crate::fleet::Fleet;
use crate::records::{FleetEvent, RolloutHead};
use crate::rollout::{Event, HostIndex, Ordered, Progress, Recorded, Rollout, WaveIndex};

/// Most hosts named in one line.
const NAMED_HOSTS: usize = 5;

/// The lines that one event gives; most give none.
pub(super) fn lines(id: &RolloutId, rollout: &Rollout, recorded: &Recorded, fleet: &Fleet) -> Vec<FleetEvent> {
    let teller = Teller { rollout, fleet };
    let told = match &recorded.event {
        Event::Created { by, .. } => Some(("rollout-planned", None, format!("rollout {id} planned by {}", by.name()))),
        Event::Approved { by } => Some(("rollout-approved", None, format!("rollout {id} approved by {by}"))),
        Event::Started { by } => Some(("rollout-started", None, format!("rollout {id} started by {}", by.name()))),
        Event::Paused { reason, detail, .. } => Some(("rollout-paused", None, format!("rollout {id} paused ({reason}): {detail}"))),
        Event::Resumed { by } => Some(("rollout-resumed", None, format!("rollout {id} resumed by {}", by.name()))),
        Event::Aborted { by, reason } => Some(("rollout-aborted", None, format!("rollout {id} aborted by {}: {reason}", by.name()))),
        Event::GateOverridden { by, wave, reason } => {
            Some(("gate-overridden", None, format!("gate of wave {} overridden by {}: {reason}", teller.wave(*wave), by.name())))
        }
        Event::WaveStarted { wave } => Some(("wave-started", None, format!("wave {} started", teller.wave(*wave)))),
        Event::WavePassed { wave, because } => Some(("wave-passed", None, format!("wave {} passed ({because})", teller.wave(*wave)))),
        Event::WaveTimedOut { wave, waiting } => {
            Some(("wave-timed-out", None, format!("wave {} did not pass within its time limit; it waits: {waiting}", teller.wave(*wave))))
        }
        Event::Stopped { .. } => Some(("rollout-stopped", None, format!("rollout {id} stopped: its failure limit was reached"))),
        Event::Completed { outcome } => Some(("rollout-ended", None, format!("rollout {id} ended: {outcome}"))),
        Event::HostSilent { hosts, .. } => Some(("host-silent", None, format!("silent after applying: {}", teller.names(hosts)))),
        Event::HostOffline { hosts, cause } => {
            Some(("host-away", None, format!("not reached before applying ({cause}): {}", teller.names(hosts))))
        }
        Event::TakeBackOrdered { hosts } => Some(("take-back-ordered", None, format!("ordered to take back: {}", teller.ordered(hosts)))),
        Event::HostProgress { host, progress, .. } => teller.progress(*host, progress),
        Event::OperatorReportedHarm { host, by, reason } => {
            Some(("harm-reported", Some(*host), format!("{by} reports harm on {}: {reason}", teller.name(*host))))
        }
        Event::HostNotStaged { host, reason, detail } => {
            Some(("not-staged", Some(*host), format!("{} could not stage ({reason}): {detail}", teller.name(*host))))
        }
        Event::Quarantined { keys } => {
            let keys: Vec<String> = keys.iter().take(NAMED_HOSTS).map(|key| format!("{} {}", key.source, key.version)).collect();
            Some(("quarantined", None, format!("in quarantine: {}", keys.join(", "))))
        }
        _ => None,
    };
    let line = told.map(|(kind, host, text)| FleetEvent {
        at: recorded.at,
        kind: kind.to_owned(),
        host: host.and_then(|index| rollout.plan().host(index).cloned()),
        rollout: Some(id.clone()),
        text,
    });
    line.into_iter().collect()
}

struct Teller<'a> {
    rollout: &'a Rollout,
    fleet: &'a Fleet,
}

impl Teller<'_> {
    fn wave(&self, wave: WaveIndex) -> String {
        self.rollout.plan().rule(wave).map_or_else(|| wave.0.to_string(), |rule| rule.name.clone())
    }

    fn name(&self, host: HostIndex) -> String {
        self.rollout.plan().host(host).map_or_else(|| "?".to_owned(), |id| host_name(self.fleet, id))
    }

    fn names(&self, hosts: &[HostIndex]) -> String {
        let mut names: Vec<String> = hosts.iter().take(NAMED_HOSTS).map(|&host| self.name(host)).collect();
        if hosts.len() > NAMED_HOSTS {
            names.push(format!("and {} more", hosts.len() - NAMED_HOSTS));
        }
        names.join(", ")
    }

    fn ordered(&self, hosts: &[Ordered]) -> String {
        self.names(&hosts.iter().map(|ordered| ordered.host).collect::<Vec<_>>())
    }

    fn progress(&self, host: HostIndex, progress: &Progress) -> Option<(&'static str, Option<HostIndex>, String)> {
        let name = self.name(host);
        let (kind, text) = match progress {
            Progress::Healthy => ("host-healthy", format!("{name} is updated and healthy")),
            Progress::Harmed { reason, detail } => ("host-harmed", format!("{name} is harmed ({reason}): {detail}")),
            Progress::TakenBack => ("host-taken-back", format!("{name} is exactly as before")),
            Progress::NeedsAttention { detail } => ("host-needs-attention", format!("{name} needs a person: {detail}")),
            Progress::Refused { reason, detail } => ("host-refused", format!("{name} was not updated ({reason}): {detail}")),
            _ => return None,
        };
        Some((kind, Some(host), text))
    }
}

/// A host as people know it.
pub(super) fn host_name(fleet: &Fleet, id: &HostId) -> String {
    match fleet.get(id) {
        Some(host) if !host.record.facts.hostname.is_empty() => host.record.facts.hostname.clone(),
        _ => id.to_string(),
    }
}

/// The same text with hosts called as people know them: the engine knows no names, since they change.
pub(super) fn with_names(fleet: &Fleet, text: &str) -> String {
    let is_of_an_id = |each: char| each.is_ascii_alphanumeric() || each == '-';
    let mut named = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("h-") {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|each| !is_of_an_id(each)).unwrap_or(from.len()));
        named.push_str(before);
        let begins_here = !before.ends_with(is_of_an_id);
        match HostId::parse(word).ok().filter(|_| begins_here) {
            Some(id) => named.push_str(&host_name(fleet, &id)),
            None => named.push_str(word),
        }
        rest = after;
    }
    named + rest
}

/// Why versions are in quarantine.
pub(super) fn quarantine_reason(id: &RolloutId, rollout: &Rollout) -> String {
    let summary = rollout.summary();
    format!("rollout {id} was stopped: {} of {} hosts were harmed by it", summary.charged, summary.hosts)
}

/// The summary that lists show.
pub(super) fn head(id: &RolloutId, rollout: &Rollout, now: Timestamp) -> RolloutHead {
    let (summary, header) = (rollout.summary(), rollout.plan().header());
    let counts = [
        ("hosts", summary.hosts),
        ("updated", summary.updated),
        ("changed", summary.changed),
        ("untouched", summary.untouched),
        ("harmed", summary.harmed),
        ("taken-back", summary.taken_back),
        ("needs-attention", summary.needs_attention),
    ];
    RolloutHead {
        id: id.clone(),
        policy: header.policy.name.clone(),
        policy_revision: header.policy_revision,
        created_at: header.planned_at,
        created_by: header.planned_by.clone(),
        updated_at: now,
        state: summary.state.to_string(),
        reason: summary.reason,
        plan_root: rollout.root(),
        kind: header.kind.as_str().to_owned(),
        counts: counts.into_iter().map(|(name, count)| (name.to_owned(), u64::from(count))).collect::<BTreeMap<_, _>>(),
        log_revision: rollout.revision(),
    }
}

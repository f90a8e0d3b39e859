//! Rollouts as operators see them.

use std::collections::BTreeMap;

use patchwave_common::domain::HostId;
use patchwave_proto::operator::v1 as wire;

use super::call::show_time;
use crate::conductor::{Conductor, Planned};
use crate::rollout::lint::Lint;
use crate::rollout::plan::Excluded;
use crate::rollout::{Rollout, WaveIndex};

/// Hosts named as examples of a group.
const EXAMPLES: usize = 5;

pub(super) fn lint(lint: &Lint) -> wire::Lint {
    wire::Lint { severity: lint.severity.to_string(), code: lint.code.to_string(), message: lint.message.clone(), hint: lint.hint.clone() }
}

pub(super) fn rollout_view(rollout: &Rollout, conductor: &Conductor) -> wire::Rollout {
    let (summary, header) = (rollout.summary(), rollout.plan().header());
    let waiting = if summary.reason.is_empty() && !crate::conductor::is_ended(summary.state) {
        waiting_for(rollout, conductor)
    } else {
        conductor.with_names(&summary.reason)
    };
    wire::Rollout {
        id: header.rollout.to_string(),
        policy: header.policy.name.to_string(),
        kind: header.kind.as_str().to_owned(),
        state: summary.state.to_string(),
        reason: waiting,
        plan_root: rollout.root().to_string(),
        created_at: show_time(Some(header.planned_at)),
        created_by: header.planned_by.name(),
        started_at: show_time(summary.started_at),
        ended_at: show_time(summary.ended_at),
        hosts: summary.hosts,
        updated: summary.updated,
        harmed: summary.charged,
        taken_back: summary.taken_back,
        needs_attention: summary.needs_attention,
        untouched: summary.untouched,
        changed: summary.changed,
        approvals_needed: summary.approvals_needed,
        approved_by: summary.approved_by.iter().map(ToString::to_string).collect(),
    }
}

fn waiting_for(rollout: &Rollout, conductor: &Conductor) -> String {
    let wave = conductor.progress_of_rollout(rollout).into_iter().find_map(|wave| wave.waiting).map(|waiting| waiting.text);
    wave.or_else(|| rollout.catch_up_text()).unwrap_or_default()
}

pub(super) fn detail(rollout: &Rollout, conductor: &Conductor) -> wire::RolloutDetail {
    let (summary, now) = (rollout.summary(), conductor.now());
    let until = summary.ended_at.unwrap_or(now);
    let waves = conductor.progress_of_rollout(rollout).into_iter().map(|wave| wire::WaveProgress {
        name: wave.name,
        kind: wave_kind(wave.kind),
        state: wave.stage.to_string(),
        hosts: wave.hosts,
        pending: wave.pending,
        staging: wave.staging,
        staged: wave.staged,
        applying: wave.applying,
        verifying: wave.verifying,
        healthy: wave.healthy + wave.up_to_date,
        failed: wave.failed,
        taken_back: wave.taken_back,
        offline: wave.offline,
        not_staged: wave.not_staged,
        refused: wave.refused + wave.retired,
        elapsed_ms: wave.started_at.map_or(0, |start| millis(wave.passed_at.unwrap_or(until).since(start))),
        waiting_for: wave.waiting.map_or_else(String::new, |waiting| waiting.text),
    });
    let hosts = rollout.plan().indexes().filter_map(|index| {
        let id = rollout.plan().host(index)?;
        let explained = conductor.explain(rollout, id);
        Some(wire::RolloutHost {
            host: id.to_string(),
            name: conductor.host_name(id),
            wave: wave_name(rollout, rollout.plan().wave_of(index)),
            state: explained.state,
            reason: explained.code.to_owned(),
            detail: explained.text,
            changed_at: show_time(rollout.changed_at(index)),
        })
    });
    wire::RolloutDetail {
        rollout: Some(rollout_view(rollout, conductor)),
        waves: waves.collect(),
        hosts: hosts.collect(),
        excluded: excluded(rollout.plan().excluded(), conductor),
        failures_charged: summary.charged,
        failure_limit: summary.failure_limit,
        elapsed_ms: summary.started_at.map_or(0, |start| millis(until.since(start))),
        waiting_for: waiting_for(rollout, conductor),
        quarantined: summary
            .quarantined
            .iter()
            .map(|key| {
                super::safety::view(&crate::records::QuarantineRecord {
                    key: key.clone(),
                    reason: String::new(),
                    rollout: Some(rollout.plan().header().rollout.clone()),
                    since: until,
                    lifted: None,
                })
            })
            .collect(),
    }
}

pub(super) fn planned(rollout: &Rollout, planned: &Planned, conductor: &Conductor) -> wire::RolloutPlan {
    let plan = rollout.plan();
    let waves = plan.waves().filter_map(|wave| {
        let rule = plan.rule(wave)?;
        let members = plan.members(wave);
        Some(wire::PlannedWave {
            name: rule.name.clone(),
            kind: wave_kind(rule.kind),
            hosts: count(members.len()),
            soak_ms: millis(rule.soak),
            minimum: rule.minimum,
            failure_limit: rule.failure_limit,
            max_in_flight: rule.max_in_flight,
            first_hosts: members.iter().take(EXAMPLES).filter_map(|&index| plan.host(index)).map(|id| conductor.host_name(id)).collect(),
        })
    });
    let updates = planned.report.updates.iter().map(|update| wire::PlannedUpdate {
        name: update.id.name.to_string(),
        architecture: update.id.architecture.to_string(),
        from_version: update.from.to_string(),
        to_version: update.to.to_string(),
        origin: update.origin.clone(),
        hosts: update.hosts,
    });
    wire::RolloutPlan {
        rollout: Some(rollout_view(rollout, conductor)),
        waves: waves.collect(),
        updates: updates.collect(),
        excluded: excluded(plan.excluded(), conductor),
        lints: planned.lints.iter().map(lint).collect(),
    }
}

/// One host's place in a rollout; its history is read from the log afterwards.
pub(super) fn explanation(rollout: &Rollout, host: &HostId, conductor: &Conductor) -> wire::Explanation {
    let plan = rollout.plan();
    let explained = conductor.explain(rollout, host);
    let targets = plan.index_of(host).and_then(|index| plan.targets_of(index));
    let updates = targets.iter().flat_map(|set| &set.targets).map(|target| wire::PlannedUpdate {
        name: target.id.name.to_string(),
        architecture: target.id.architecture.to_string(),
        from_version: target.from.to_string(),
        to_version: target.to.to_string(),
        origin: target.origin.clone(),
        hosts: 1,
    });
    wire::Explanation {
        rollout: plan.header().rollout.to_string(),
        host: host.to_string(),
        name: conductor.host_name(host),
        state: explained.state,
        code: explained.code.to_owned(),
        text: explained.text,
        wave: wave_name(rollout, explained.wave),
        earliest_start_at: show_time(explained.when),
        updates: updates.collect(),
        history: Vec::new(),
    }
}

fn excluded(excluded: &[Excluded], conductor: &Conductor) -> Vec<wire::ExcludedGroup> {
    let mut groups: BTreeMap<(&str, &str), Vec<&HostId>> = BTreeMap::new();
    for entry in excluded {
        groups.entry((entry.reason.as_str(), &entry.detail)).or_default().push(&entry.host);
    }
    let group = |((reason, detail), hosts): ((&str, &str), Vec<&HostId>)| wire::ExcludedGroup {
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        hosts: count(hosts.len()),
        first_hosts: hosts.iter().take(EXAMPLES).map(|id| conductor.host_name(id)).collect(),
    };
    groups.into_iter().map(group).collect()
}

fn wave_name(rollout: &Rollout, wave: Option<WaveIndex>) -> String {
    wave.and_then(|wave| rollout.plan().rule(wave)).map_or_else(String::new, |rule| rule.name.clone())
}

fn wave_kind(kind: patchwave_common::domain::policy::WaveKind) -> String {
    use patchwave_common::domain::policy::WaveKind;
    match kind {
        WaveKind::Test => "test",
        WaveKind::Canary => "canary",
        WaveKind::Production => "production",
    }
    .to_owned()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

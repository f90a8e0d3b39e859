//! What a planner tells beside the plan, for people: what would happen, and what would not.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::policy::WaveKind;
use patchwave_common::domain::{PackageId, PackageName, PackageVersion};

use super::waves::Chosen;
use crate::rollout::plan::{Emptied, ExclusionReason, Plan, WaveIndex};

/// A plan in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanReport {
    /// The waves, in order.
    pub waves: Vec<WaveReport>,
    /// What changes, ordered by package and version.
    pub updates: Vec<PlannedUpdate>,
    /// Updates that were left out on hosts that are in the plan for another update.
    pub omitted: Vec<OmittedUpdate>,
    /// Hosts left out, by reason.
    pub excluded: BTreeMap<ExclusionReason, u32>,
}

/// A wave of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveReport {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub kind: WaveKind,
    /// Hosts in it.
    pub hosts: u32,
    /// Distinct kinds of host (operating system release and set of targets) in it.
    pub kinds: u32,
    /// Where it has no host: why.
    pub emptied: Option<Emptied>,
}

/// One change and on how many hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlannedUpdate {
    /// The package.
    pub id: PackageId,
    /// From.
    pub from: PackageVersion,
    /// To.
    pub to: PackageVersion,
    /// Origin in its short form.
    pub origin: String,
    /// Hosts.
    pub hosts: u32,
}

/// An update that was left out on hosts of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OmittedUpdate {
    /// The package.
    pub name: PackageName,
    /// Why.
    pub reason: ExclusionReason,
    /// On so many hosts.
    pub hosts: u32,
}

impl PlanReport {
    /// A plan in numbers.
    pub(super) fn new(plan: &Plan, chosen: &[Chosen<'_>], omitted: BTreeMap<(PackageName, ExclusionReason), u32>) -> Self {
        let wave_report = |wave: WaveIndex| {
            let kinds: BTreeSet<_> = chosen.iter().filter(|chosen| chosen.wave == Some(wave)).map(Chosen::kind).collect();
            let (rule, planned) = (plan.rule(wave)?, plan.planned_wave(wave)?);
            Some(WaveReport {
                name: rule.name.clone(),
                kind: rule.kind,
                hosts: u32::try_from(plan.members(wave).len()).unwrap_or(u32::MAX),
                kinds: u32::try_from(kinds.len()).unwrap_or(u32::MAX),
                emptied: planned.emptied,
            })
        };
        let mut excluded = BTreeMap::new();
        for host in plan.excluded() {
            *excluded.entry(host.reason).or_insert(0) += 1;
        }
        Self {
            waves: plan.waves().filter_map(wave_report).collect(),
            updates: updates(plan),
            omitted: omitted.into_iter().map(|((name, reason), hosts)| OmittedUpdate { name, reason, hosts }).collect(),
            excluded,
        }
    }
}

/// What a plan changes, and on how many hosts.
#[must_use]
pub fn updates(plan: &Plan) -> Vec<PlannedUpdate> {
    let mut hosts_by_set: BTreeMap<u32, u32> = BTreeMap::new();
    for set in plan.indexes().filter_map(|host| plan.target_index_of(host)) {
        *hosts_by_set.entry(set).or_insert(0) += 1;
    }
    let mut updates: BTreeMap<_, u32> = BTreeMap::new();
    for (set, hosts) in hosts_by_set {
        for target in plan.target_sets().get(set as usize).map_or(&[][..], |set| &set.targets) {
            *updates.entry((target.id.clone(), target.from.clone(), target.to.clone(), target.origin.clone())).or_insert(0) += hosts;
        }
    }
    updates.into_iter().map(|((id, from, to, origin), hosts)| PlannedUpdate { id, from, to, origin, hosts }).collect()
}

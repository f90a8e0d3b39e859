//! Which chosen host goes in which wave.
//!
//! Terms: a *kind* of host is its operating system release and its set of targets: what one host of a kind shows holds for the others.
//! Choice within a wave follows a salted hash of (rollout, host), so that no host is always the first to suffer, and a plan made twice is
//! the same plan.

use std::collections::BTreeMap;

use patchwave_common::domain::policy::{Policy, WaveKind, WaveRule};
use patchwave_common::domain::{DigestBuilder, HostId, RolloutId, Timestamp};

use super::PlanningHost;
use crate::rollout::plan::{Emptied, Excluded, ExclusionReason, PlannedWave, WaveIndex};
use crate::rollout::state::at_least_one;

/// A chosen host on its way into a wave.
pub(super) struct Chosen<'a> {
    pub host: &'a PlanningHost<'a>,
    /// Index of its target set.
    pub targets: u32,
    pub rank: u32,
    pub wave: Option<WaveIndex>,
}

/// What one host of a kind shows holds for the others.
pub(super) type Kind<'a> = (&'a str, &'a str, u32);

impl<'a> Chosen<'a> {
    pub(super) fn kind(&self) -> Kind<'a> {
        (self.host.facts.os.as_str(), self.host.facts.release.as_str(), self.targets)
    }
}

/// A host's place in every choice of a rollout: the first four bytes of the hash of (rollout, host).
pub(super) fn rank(rollout: &RolloutId, host: &HostId) -> u32 {
    let mut builder = DigestBuilder::default();
    builder.field(rollout.as_str().as_bytes()).field(host.as_str().as_bytes());
    builder.finish().0.iter().take(4).fold(0, |rank, &byte| (rank << 8) | u32::from(byte))
}

/// Fills the waves in order; each takes from what the earlier ones left.
pub(super) fn fill(
    policy: &Policy,
    chosen: &mut [Chosen<'_>],
    fleet: &[PlanningHost<'_>],
    excluded: &[Excluded],
    at: Timestamp,
) -> Vec<PlannedWave> {
    let reasons: BTreeMap<&HostId, ExclusionReason> = excluded.iter().map(|excluded| (&excluded.host, excluded.reason)).collect();
    let mut waves = Vec::new();
    for (index, rule) in (0_u16..).zip(&policy.waves) {
        let members = members(rule, chosen);
        for &member in &members {
            if let Some(chosen) = chosen.get_mut(member) {
                chosen.wave = Some(WaveIndex(index));
            }
        }
        let emptied = members.is_empty().then(|| emptied(rule, chosen, fleet, &reasons));
        waves.push(PlannedWave { earliest_start: at, emptied });
    }
    waves
}

/// Indexes of the hosts that a wave takes.
fn members(rule: &WaveRule, chosen: &[Chosen<'_>]) -> Vec<usize> {
    let mut free: Vec<(usize, &Chosen<'_>)> =
        chosen.iter().enumerate().filter(|(_, chosen)| chosen.wave.is_none() && chosen.host.is_selected_by(&rule.hosts)).collect();
    if rule.kind == WaveKind::Canary {
        // A canary that is not there tells nothing, and one of the test ring tells nothing about production.
        free.retain(|(_, chosen)| !chosen.host.rarely_there);
        if free.iter().any(|(_, chosen)| chosen.host.is_production()) {
            free.retain(|(_, chosen)| chosen.host.is_production());
        }
    }
    free.sort_by_key(|(index, chosen)| (chosen.rank, *index));
    let size = at_least_one(rule.size, u32::try_from(free.len()).unwrap_or(u32::MAX)) as usize;
    let order = if rule.kind == WaveKind::Canary { one_of_each_kind_first(&free) } else { free.iter().map(|(index, _)| *index).collect() };
    order.into_iter().take(size).collect()
}

/// Hosts so ordered that each kind comes once, the largest kind first, before any comes twice.
fn one_of_each_kind_first(free: &[(usize, &Chosen<'_>)]) -> Vec<usize> {
    let mut kinds: BTreeMap<Kind<'_>, Vec<usize>> = BTreeMap::new();
    for (index, chosen) in free {
        kinds.entry(chosen.kind()).or_default().push(*index);
    }
    let mut by_size: Vec<Vec<usize>> = kinds.into_values().collect();
    by_size.sort_by_key(|hosts| std::cmp::Reverse(hosts.len()));
    let rounds = by_size.first().map_or(0, Vec::len);
    (0..rounds).flat_map(|round| by_size.iter().filter_map(move |hosts| hosts.get(round).copied())).collect()
}

/// Why a wave took nobody.
fn emptied(rule: &WaveRule, chosen: &[Chosen<'_>], fleet: &[PlanningHost<'_>], reasons: &BTreeMap<&HostId, ExclusionReason>) -> Emptied {
    use ExclusionReason::{AlreadyAtVersion, NotAskedFor, NotSelected, NothingToTakeBack, ReportOnly, Retired};
    let selected = |host: &PlanningHost<'_>| host.is_selected_by(&rule.hosts);
    if chosen.iter().any(|chosen| chosen.wave.is_none() && selected(chosen.host)) {
        return Emptied::Excluded;
    }
    if chosen.iter().any(|chosen| selected(chosen.host)) {
        return Emptied::TakenEarlier;
    }
    let told: Vec<ExclusionReason> = fleet
        .iter()
        .filter(|host| selected(host))
        .filter_map(|host| reasons.get(host.id).copied())
        .filter(|reason| !matches!(reason, Retired | ReportOnly | NotSelected | NotAskedFor))
        .collect();
    match told.as_slice() {
        [] => Emptied::NoHost,
        reasons if reasons.iter().all(|reason| matches!(reason, AlreadyAtVersion | NothingToTakeBack)) => Emptied::UpToDate,
        _ => Emptied::Excluded,
    }
}

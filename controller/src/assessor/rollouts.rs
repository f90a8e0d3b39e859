//! What rollouts will bring to which host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use patchwave_common::domain::{HostId, PackageId, PackageName, PackageVersion, RolloutId};

use super::Assessor;
use crate::advisory::matching::PackageKey;
use crate::advisory::record::Space;
use crate::conductor::{Conductor, is_ended};
use crate::fleet::FleetHost;
use crate::rollout::RolloutState;

/// One package that a rollout will bring to a host. Hosts of a plan share their list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scheduled {
    rollout: RolloutId,
    targets: Arc<[(PackageId, PackageName, PackageVersion)]>,
}

/// By host: what rollouts that began and have not ended will bring.
type Schedule = HashMap<HostId, Vec<Scheduled>>;

impl Assessor {
    /// Takes notice of rollouts that began or ended, and of nothing else that they do.
    pub(super) fn see_rollouts(&mut self) {
        let known = self.live_rollouts.clone();
        let answer = self.conductor.ask(move |conductor| {
            let live = live(conductor);
            (live != known).then(|| (schedule(conductor, &live), live))
        });
        let Ok(Some((schedule, live))) = tokio::runtime::Handle::current().block_on(answer) else { return };
        let hosts: BTreeSet<&HostId> = self.scheduled.keys().chain(schedule.keys()).collect();
        let concerned = hosts.into_iter().filter(|host| self.scheduled.get(*host) != schedule.get(*host)).cloned();
        self.waiting.extend(concerned.collect::<Vec<_>>());
        self.scheduled = schedule;
        self.live_rollouts = live;
    }

    /// What rollouts will bring to a host, by source package.
    pub(super) fn scheduled_for(&self, space: &Space, host: &FleetHost) -> BTreeMap<Arc<str>, (Arc<str>, String)> {
        let mut scheduled = BTreeMap::new();
        for Scheduled { rollout, targets } in self.scheduled.get(&host.record.id).into_iter().flatten() {
            for (id, source, version) in targets.iter() {
                let mut candidates = host.candidates.iter().flat_map(|set| &set.candidates);
                // A version that the host cannot get any more keeps its own name: it is told as the plan has it.
                let (name, version) = match candidates.find(|candidate| candidate.id == *id && candidate.to == *version) {
                    Some(candidate) => {
                        let key = PackageKey::of_candidate(space, candidate);
                        (key.name, key.version)
                    }
                    None => (source.as_str().into(), version.as_str().into()),
                };
                scheduled.insert(name, (version, rollout.to_string()));
            }
        }
        scheduled
    }
}

fn live(conductor: &Conductor) -> BTreeSet<RolloutId> {
    let began = |state: RolloutState| !matches!(state, RolloutState::Planned | RolloutState::AwaitingApproval);
    conductor.rollouts().filter(|(_, rollout)| began(rollout.state()) && !is_ended(rollout.state())).map(|(id, _)| id.clone()).collect()
}

fn schedule(conductor: &Conductor, live: &BTreeSet<RolloutId>) -> Schedule {
    let mut schedule = Schedule::new();
    for (id, rollout) in conductor.rollouts().filter(|(id, _)| live.contains(*id)) {
        let plan = rollout.plan();
        let sets: Vec<Arc<[_]>> = plan
            .target_sets()
            .iter()
            .map(|set| set.targets.iter().map(|target| (target.id.clone(), target.source.clone(), target.to.clone())).collect())
            .collect();
        for index in plan.indexes() {
            let targets = plan.target_index_of(index).and_then(|at| sets.get(at as usize));
            if let (Some(host), Some(targets)) = (plan.host(index), targets) {
                let entry = Scheduled { rollout: id.clone(), targets: targets.clone() };
                schedule.entry(host.clone()).or_default().push(entry);
            }
        }
    }
    schedule
}

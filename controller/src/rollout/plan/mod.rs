//! The plan: immutable, and complete enough to carry out without asking anything again.
//!
//! Terms: hosts of a plan are numbered densely by [`HostIndex`], in the order of their ids; target sets that hosts share are kept once. A
//! plan is stored in hashed segments; the hash of the record that lists them, the *root*, names the plan (see `rollout_log`).

mod excluded;
mod header;

use std::sync::Arc;

use patchwave_common::domain::policy::{Policy, WaveRule};
use patchwave_common::domain::{Digest, Generation, HostId, TargetSet};

pub use excluded::{Excluded, ExclusionReason};
pub use header::{Emptied, PlanHeader, PlanKind, PlannedWave};

/// Most hosts of one stored segment.
pub const SEGMENT_HOSTS: usize = 4_096;

/// A host's place in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostIndex(pub u32);

/// A wave's place in its plan, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaveIndex(pub u16);

impl HostIndex {
    /// As an index into arrays by host.
    #[must_use]
    pub fn usize(self) -> usize {
        self.0 as usize
    }
}

impl WaveIndex {
    /// As an index into arrays by wave.
    #[must_use]
    pub fn usize(self) -> usize {
        usize::from(self.0)
    }
}

/// One host of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHost {
    /// The host.
    pub id: HostId,
    /// Its wave.
    pub wave: WaveIndex,
    /// Its place among the hosts of its wave: lower goes first. Salted, so that no host is always the first.
    pub rank: u32,
    /// Index of its target set.
    pub targets: u32,
    /// Index of its site.
    pub site: u32,
    /// In a reverse plan: generation of the directive whose receipt it returns to.
    pub of: Option<Generation>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    header: PlanHeader,
    target_sets: Vec<TargetSet>,
    ids: Vec<HostId>,
    wave: Vec<WaveIndex>,
    rank: Vec<u32>,
    targets: Vec<u32>,
    site: Vec<u32>,
    of: Vec<Generation>,
    excluded: Vec<Excluded>,
    members: Vec<Vec<HostIndex>>,
}

/// A plan with the root hash that names it. Made by `rollout_log` only, which hashes the stored bytes.
#[derive(Debug, Clone)]
pub struct SealedPlan {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Its root.
    pub root: Digest,
}

/// Why parts do not make a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a plan: {0}")]
pub struct PlanFault(pub String);

impl Plan {
    /// Puts a plan together and proves that its parts fit.
    pub fn new(
        header: PlanHeader,
        target_sets: Vec<TargetSet>,
        mut hosts: Vec<PlannedHost>,
        mut excluded: Vec<Excluded>,
    ) -> Result<Self, PlanFault> {
        hosts.sort_by(|left, right| left.id.cmp(&right.id));
        excluded.sort();
        check_parts(&header, &target_sets, &hosts)?;
        let mut members = vec![Vec::new(); header.waves.len()];
        for (index, host) in (0_u32..).zip(&hosts) {
            if let Some(wave) = members.get_mut(host.wave.usize()) {
                wave.push(HostIndex(index));
            }
        }
        for wave in &mut members {
            wave.sort_by_key(|&index| (hosts.get(index.usize()).map(|host| host.rank), index));
        }
        let reverse = matches!(header.kind, PlanKind::Reverse { .. });
        Ok(Self {
            wave: hosts.iter().map(|host| host.wave).collect(),
            rank: hosts.iter().map(|host| host.rank).collect(),
            targets: hosts.iter().map(|host| host.targets).collect(),
            site: hosts.iter().map(|host| host.site).collect(),
            of: if reverse { hosts.iter().filter_map(|host| host.of).collect() } else { Vec::new() },
            ids: hosts.into_iter().map(|host| host.id).collect(),
            header,
            target_sets,
            excluded,
            members,
        })
    }

    /// What holds for the whole plan.
    #[must_use]
    pub fn header(&self) -> &PlanHeader {
        &self.header
    }

    /// The policy as it stood when planned.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.header.policy
    }

    /// How many hosts the plan has.
    #[must_use]
    pub fn host_count(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }

    /// All hosts, in order.
    pub fn indexes(&self) -> impl Iterator<Item = HostIndex> + use<> {
        (0..self.host_count()).map(HostIndex)
    }

    /// All waves, in order.
    pub fn waves(&self) -> impl DoubleEndedIterator<Item = WaveIndex> + use<> {
        (0..u16::try_from(self.header.waves.len()).unwrap_or(u16::MAX)).map(WaveIndex)
    }

    /// A host's place.
    #[must_use]
    pub fn index_of(&self, host: &HostId) -> Option<HostIndex> {
        self.ids.binary_search(host).ok().and_then(|index| u32::try_from(index).ok()).map(HostIndex)
    }

    /// The host at a place.
    #[must_use]
    pub fn host(&self, host: HostIndex) -> Option<&HostId> {
        self.ids.get(host.usize())
    }

    /// A host's wave.
    #[must_use]
    pub fn wave_of(&self, host: HostIndex) -> Option<WaveIndex> {
        self.wave.get(host.usize()).copied()
    }

    /// What changes on a host.
    #[must_use]
    pub fn targets_of(&self, host: HostIndex) -> Option<&TargetSet> {
        self.targets.get(host.usize()).and_then(|&set| self.target_sets.get(set as usize))
    }

    /// Index of a host's target set.
    #[must_use]
    pub fn target_index_of(&self, host: HostIndex) -> Option<u32> {
        self.targets.get(host.usize()).copied()
    }

    /// Index of a host's site in [`PlanHeader::sites`].
    #[must_use]
    pub fn site_of(&self, host: HostIndex) -> Option<u32> {
        self.site.get(host.usize()).copied()
    }

    /// In a reverse plan: the directive whose receipt the host returns to.
    #[must_use]
    pub fn reverse_of(&self, host: HostIndex) -> Option<Generation> {
        self.of.get(host.usize()).copied()
    }

    /// The rule of a wave.
    #[must_use]
    pub fn rule(&self, wave: WaveIndex) -> Option<&WaveRule> {
        self.header.policy.waves.get(wave.usize())
    }

    /// What the planner fixed for a wave.
    #[must_use]
    pub fn planned_wave(&self, wave: WaveIndex) -> Option<&PlannedWave> {
        self.header.waves.get(wave.usize())
    }

    /// The hosts of a wave, in the order of their release.
    #[must_use]
    pub fn members(&self, wave: WaveIndex) -> &[HostIndex] {
        self.members.get(wave.usize()).map_or(&[], Vec::as_slice)
    }

    /// The distinct target sets.
    #[must_use]
    pub fn target_sets(&self) -> &[TargetSet] {
        &self.target_sets
    }

    /// Hosts left out, by id.
    #[must_use]
    pub fn excluded(&self) -> &[Excluded] {
        &self.excluded
    }

    /// Why a host was left out.
    #[must_use]
    pub fn exclusion_of(&self, host: &HostId) -> Option<&Excluded> {
        self.excluded.binary_search_by(|excluded| excluded.host.cmp(host)).ok().and_then(|index| self.excluded.get(index))
    }

    /// The hosts with all their fields, in order.
    pub fn hosts(&self) -> impl Iterator<Item = PlannedHost> + '_ {
        self.indexes().filter_map(|index| {
            Some(PlannedHost {
                id: self.host(index)?.clone(),
                wave: self.wave_of(index)?,
                rank: self.rank.get(index.usize()).copied()?,
                targets: self.target_index_of(index)?,
                site: self.site_of(index)?,
                of: self.reverse_of(index),
            })
        })
    }
}

fn check_parts(header: &PlanHeader, target_sets: &[TargetSet], hosts: &[PlannedHost]) -> Result<(), PlanFault> {
    let fault = |text: String| Err(PlanFault(text));
    if header.waves.len() != header.policy.waves.len() {
        return fault(format!("{} waves are planned and the policy has {}", header.waves.len(), header.policy.waves.len()));
    }
    if u32::try_from(hosts.len()).is_err() || u16::try_from(header.waves.len()).is_err() {
        return fault("more hosts or waves than can be numbered".to_owned());
    }
    if let Some(pair) = hosts.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return fault(format!("host {} is there twice", pair[0].id));
    }
    let reverse = matches!(header.kind, PlanKind::Reverse { .. });
    for host in hosts {
        let fits = host.wave.usize() < header.waves.len()
            && (host.targets as usize) < target_sets.len()
            && (host.site as usize) < header.sites.len()
            && host.of.is_some() == reverse;
        if !fits {
            return fault(format!("host {} names a wave, target set, site or receipt that the plan does not have", host.id));
        }
    }
    Ok(())
}

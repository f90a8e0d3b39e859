//! Counts that decisions need at every event, kept up to date so that nobody has to count a million hosts again.

use super::Phase;
use crate::rollout::plan::{Plan, WaveIndex};

const PHASES: usize = Phase::ALL.len();

/// The counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rollout) struct Tallies {
    by_wave: Vec<[u32; PHASES]>,
    total: [u32; PHASES],
    in_flight_by_site: Vec<u32>,
    /// Hosts that could not stage and of which no operator knew when resuming.
    pub not_staged: u32,
}

impl Tallies {
    pub(in crate::rollout) fn new(plan: &Plan) -> Self {
        let mut tallies = Self {
            by_wave: vec![[0; PHASES]; plan.header().waves.len()],
            total: [0; PHASES],
            in_flight_by_site: vec![0; plan.header().sites.len()],
            not_staged: 0,
        };
        for wave in plan.waves() {
            let members = u32::try_from(plan.members(wave).len()).unwrap_or(u32::MAX);
            if let Some(counts) = tallies.by_wave.get_mut(wave.usize()) {
                counts[Phase::Pending as usize] = members;
            }
            tallies.total[Phase::Pending as usize] += members;
        }
        tallies
    }

    /// One host moves from a phase to another.
    pub(in crate::rollout) fn moved(&mut self, wave: WaveIndex, site: u32, from: Phase, to: Phase) {
        for counts in self.by_wave.get_mut(wave.usize()).into_iter().chain(std::iter::once(&mut self.total)) {
            counts[from as usize] = counts[from as usize].saturating_sub(1);
            counts[to as usize] += 1;
        }
        if let Some(count) = self.in_flight_by_site.get_mut(site as usize) {
            match (from.is_in_flight(), to.is_in_flight()) {
                (false, true) => *count += 1,
                (true, false) => *count = count.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Hosts of a wave in a phase.
    pub(in crate::rollout) fn in_wave(&self, wave: WaveIndex, phase: Phase) -> u32 {
        self.by_wave.get(wave.usize()).map_or(0, |counts| counts[phase as usize])
    }

    /// Hosts of a wave in flight.
    pub(in crate::rollout) fn in_flight(&self, wave: WaveIndex) -> u32 {
        self.by_wave.get(wave.usize()).map_or(0, |counts| sum(counts, Phase::is_in_flight))
    }

    /// Hosts of a site in flight.
    pub(in crate::rollout) fn in_flight_at(&self, site: u32) -> u32 {
        self.in_flight_by_site.get(site as usize).copied().unwrap_or(0)
    }

    /// All hosts in a phase.
    pub(in crate::rollout) fn of(&self, phase: Phase) -> u32 {
        self.total[phase as usize]
    }

    /// All hosts in flight.
    pub(in crate::rollout) fn all_in_flight(&self) -> u32 {
        sum(&self.total, Phase::is_in_flight)
    }

    /// All hosts that count against the disruption budget.
    pub(in crate::rollout) fn unavailable(&self) -> u32 {
        sum(&self.total, Phase::is_unavailable)
    }

    /// All hosts neither updated nor restored.
    pub(in crate::rollout) fn unresolved(&self) -> u32 {
        sum(&self.total, Phase::is_unresolved)
    }

    /// All hosts whose claim the rollout holds.
    pub(in crate::rollout) fn claimed(&self) -> u32 {
        sum(&self.total, Phase::is_claimed)
    }
}

fn sum(counts: &[u32; PHASES], which: impl Fn(Phase) -> bool) -> u32 {
    Phase::ALL.iter().filter(|phase| which(**phase)).map(|phase| counts[*phase as usize]).sum()
}

//! The planner: fleet and policy in, plan and report out. It decides once, before anything happens, what each host gets and when.
//!
//! Terms: a host is *chosen* when at least one update is left for it; the updates that are not carried out on a chosen host are *omitted*.

mod choose;
mod fleet;
mod offers;
mod report;
mod request;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{Generation, HostId, PackageName, PackageVersion, TargetSet, Timestamp, clean_text};

use choose::{Choice, Chooser, Left};
use offers::Offers;
use waves::Chosen;

pub use fleet::{ActiveRollout, FleetView, PlanningHost};
pub use report::{OmittedUpdate, PlanReport, PlannedUpdate, WaveReport, updates};
pub use request::{PlanRequest, RequestKind, ReverseTarget, UpdateRequest};

use super::plan::{Excluded, ExclusionReason, Plan, PlanFault, PlanHeader, PlanKind, PlannedHost, PlannedWave};

/// Details name a package, a setting or a rollout; a holder's reason is cut.
const MAX_DETAIL_CHARS: usize = 300;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No host has the package.
    #[error("no host has the package {name}{}", near_hint(near))]
    NoSuchPackage {
        /// What was asked for, with `src:` where it is a source.
        name: String,
        /// Names that are close to it.
        near: Vec<String>,
    },
    /// No host could get that version, and none has it.
    #[error("no host is offered {name} in version {version}{}", offered_hint(offered))]
    NoSuchVersion {
        /// The package.
        name: PackageName,
        /// The version asked for.
        version: PackageVersion,
        /// The versions that hosts are offered.
        offered: Vec<PackageVersion>,
    },
    /// A defect of the planner.
    #[error(transparent)]
    Fault(#[from] PlanFault),
}

fn near_hint(near: &[String]) -> String {
    if near.is_empty() {
        " (hint: `patchwave package list` shows what the fleet has)".to_owned()
    } else {
        format!(" (hint: did you mean {}?)", near.join(", "))
    }
}

fn offered_hint(offered: &[PackageVersion]) -> String {
    let shown: Vec<&str> = offered.iter().take(5).map(PackageVersion::as_str).collect();
    if shown.is_empty() {
        " (hint: no other version is offered either; `patchwave update list` shows what is)".to_owned()
    } else {
        format!(" (hint: offered are {})", shown.join(", "))
    }
}

/// Makes a plan.
///
/// # Errors
/// When what was asked for exists nowhere in the fleet. A plan without hosts is no error: its report says why each was left out.
pub fn plan(fleet: &FleetView<'_>, request: &PlanRequest, policy: &Policy, at: Timestamp) -> Result<(Plan, PlanReport), PlanError> {
    if matches!(request.kind, RequestKind::Apply) {
        offers::check_requests(fleet, &request.updates)?;
    }
    let chooser = Chooser { request, policy, quarantine: fleet.quarantine, offers: Offers::new(fleet, &request.updates) };
    let mut draft = Draft::default();
    let mut by_id: Vec<&PlanningHost<'_>> = fleet.hosts.iter().collect();
    by_id.sort_by_key(|host| host.id);
    for host in by_id {
        draft.add(host, request, chooser.choose(host));
    }
    let planned_waves = waves::fill(policy, &mut draft.chosen, fleet.hosts, &draft.excluded, at);
    let sites = sites(policy, &draft.chosen);
    let (target_sets, hosts) = draft.place(|host| sites.get(site_of(policy, host)).copied().unwrap_or(0));
    let header = header(request, policy, planned_waves, &sites, at);
    let plan = Plan::new(header, target_sets, hosts, draft.excluded)?;
    let report = PlanReport::new(&plan, &draft.chosen, draft.omitted);
    Ok((plan, report))
}

/// A plan in the making.
#[derive(Default)]
struct Draft<'a> {
    sets: Interned,
    chosen: Vec<Chosen<'a>>,
    receipts: BTreeMap<&'a HostId, Generation>,
    excluded: Vec<Excluded>,
    omitted: BTreeMap<(PackageName, ExclusionReason), u32>,
}

impl<'a> Draft<'a> {
    fn add(&mut self, host: &'a PlanningHost<'a>, request: &PlanRequest, choice: Result<Choice, Left>) {
        match choice {
            Ok(choice) => {
                let rank = waves::rank(&request.rollout, host.id);
                self.chosen.push(Chosen { host, targets: self.sets.intern(choice.targets), rank, wave: None });
                self.receipts.extend(choice.of.map(|of| (host.id, of)));
                for left in choice.omitted {
                    *self.omitted.entry(left).or_insert(0) += 1;
                }
            }
            Err((reason, detail)) => {
                self.excluded.push(Excluded { host: host.id.clone(), reason, detail: clean_text(&detail, MAX_DETAIL_CHARS) });
            }
        }
    }

    /// The target sets that are used, and the hosts that a wave takes; the others are excluded.
    fn place(&mut self, site_of: impl Fn(&PlanningHost<'_>) -> u32) -> (Vec<TargetSet>, Vec<PlannedHost>) {
        let used: BTreeSet<u32> = self.chosen.iter().filter(|chosen| chosen.wave.is_some()).map(|chosen| chosen.targets).collect();
        let renumbered: BTreeMap<u32, u32> = used.iter().copied().zip(0..).collect();
        let mut hosts = Vec::new();
        for chosen in &self.chosen {
            match (chosen.wave, renumbered.get(&chosen.targets)) {
                (Some(wave), Some(&targets)) => hosts.push(PlannedHost {
                    id: chosen.host.id.clone(),
                    wave,
                    rank: chosen.rank,
                    targets,
                    site: site_of(chosen.host),
                    of: self.receipts.get(chosen.host.id).copied(),
                }),
                _ => self.excluded.push(Excluded { host: chosen.host.id.clone(), reason: ExclusionReason::NoWave, detail: String::new() }),
            }
        }
        let sets = used.iter().filter_map(|&set| self.sets.sets.get(set as usize).cloned()).collect();
        (sets, hosts)
    }
}

/// Target sets, each kept once.
#[derive(Default)]
struct Interned {
    numbers: BTreeMap<TargetSet, u32>,
    sets: Vec<TargetSet>,
}

impl Interned {
    fn intern(&mut self, set: TargetSet) -> u32 {
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        if let Some(&known) = self.numbers.get(&set) {
            return known;
        }
        self.numbers.insert(set.clone(), next);
        self.sets.push(set);
        next
    }
}

fn site_of<'a>(policy: &Policy, host: &PlanningHost<'a>) -> &'a str {
    host.labels.get(&policy.limits.site_label).unwrap_or_default()
}

/// Sites by name, numbered; hosts without one are a site of their own, the first.
fn sites<'a>(policy: &Policy, chosen: &[Chosen<'a>]) -> BTreeMap<&'a str, u32> {
    let names: BTreeSet<&str> = std::iter::once("").chain(chosen.iter().map(|chosen| site_of(policy, chosen.host))).collect();
    names.into_iter().zip(0..).collect()
}

fn header(request: &PlanRequest, policy: &Policy, waves: Vec<PlannedWave>, sites: &BTreeMap<&str, u32>, at: Timestamp) -> PlanHeader {
    PlanHeader {
        rollout: request.rollout.clone(),
        kind: match &request.kind {
            RequestKind::Apply => PlanKind::Apply,
            RequestKind::Reverse { of, .. } => PlanKind::Reverse { of: of.clone() },
        },
        planned_at: at,
        planned_by: request.by.clone(),
        policy: policy.clone(),
        policy_revision: request.policy_revision,
        selector: request.selector.clone(),
        updates: request.updates.clone(),
        waves,
        sites: sites.keys().map(|&name| name.to_owned()).collect(),
    }
}

//! What a planner tells beside the plan, for people: what would happen, and what would not.

use std::collections::BTreeMap;

use patchwave_common::domain::policy::WaveKind;
use patchwave_common::domain::{PackageId, PackageName, PackageVersion};

use crate::rollout::plan::{Emptied, ExclusionReason};

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

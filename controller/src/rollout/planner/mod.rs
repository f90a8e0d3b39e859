//! The planner: fleet and policy in, plan and report out. It decides once, before anything happens, what each host gets and when.
//!
//! Terms: a host is *chosen* when at least one update is left for it; the updates that are not carried out on a chosen host are *omitted*.

mod fleet;
mod report;
mod request;

use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{PackageName, PackageVersion, Timestamp};

pub use fleet::{ActiveRollout, FleetView, PlanningHost};
pub use report::{OmittedUpdate, PlanReport, PlannedUpdate, WaveReport};
pub use request::{PlanRequest, RequestKind, ReverseTarget, UpdateRequest};

use super::plan::{Plan, PlanFault};

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
    let _ = (fleet, request, policy, at);
    Err(PlanFault("the planner is not there yet".to_owned()).into())
}

//! What holds for a whole plan: what was asked for, and the rules as they stood.

use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{RolloutId, Selector, Timestamp};

use crate::records::Actor;
use crate::rollout::named::named;
use crate::rollout::planner::UpdateRequest;

/// The head of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHeader {
    /// The rollout that carries it out; also the salt of every choice.
    pub rollout: RolloutId,
    /// Forward or back.
    pub kind: PlanKind,
    /// When planned.
    pub planned_at: Timestamp,
    /// Who planned it.
    pub planned_by: Actor,
    /// The policy as it stood then; a later change of the policy changes no plan.
    pub policy: Policy,
    /// That policy's revision.
    pub policy_revision: u64,
    /// The hosts asked for.
    pub selector: Selector,
    /// The updates asked for; empty for all that the policy allows.
    pub updates: Vec<UpdateRequest>,
    /// The waves, one for each of the policy's.
    pub waves: Vec<PlannedWave>,
    /// Names of sites; the first, the empty name, stands for hosts without one.
    pub sites: Vec<String>,
}

/// Forward or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanKind {
    /// Brings packages to newer versions.
    Apply,
    /// Takes back what another rollout applied, healthy hosts included.
    Reverse {
        /// That rollout.
        of: RolloutId,
    },
}

impl PlanKind {
    /// `apply` or `reverse`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Reverse { .. } => "reverse",
        }
    }
}

/// What the planner fixed for a wave beside its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWave {
    /// It never starts before this.
    pub earliest_start: Timestamp,
    /// Where it has no host: why.
    pub emptied: Option<Emptied>,
}

named!(
    /// Why a wave has no host. The first two are no lack of evidence, the others are (rule 6).
    Emptied, "reason of an empty wave" {
        /// Every host that it selects has the versions already.
        UpToDate = "up-to-date",
        /// Every host that it selects is in an earlier wave.
        TakenEarlier = "taken-earlier",
        /// It selects no host of the fleet.
        NoHost = "no-host",
        /// Every host that it selects was left out for another reason.
        Excluded = "excluded",
    }
);

//! The fleet as a planner sees it: borrowed from whoever holds it, so that planning a large fleet copies nothing.

use std::collections::BTreeSet;

use patchwave_common::domain::{CandidateSet, HostFacts, HostId, HostMode, Inventory, Labels, QuarantineKey, Ring, RolloutId, Selector};

use crate::rollout::view::Standing;

/// The fleet at one moment.
#[derive(Debug, Clone, Copy)]
pub struct FleetView<'a> {
    /// Every host, retired ones included, so that each can be told why it is not in the plan.
    pub hosts: &'a [PlanningHost<'a>],
    /// Versions that may not be installed.
    pub quarantine: &'a BTreeSet<QuarantineKey>,
    /// Rollouts that have not ended, for lint.
    pub active: &'a [ActiveRollout<'a>],
}

/// A rollout that has not ended.
#[derive(Debug, Clone, Copy)]
pub struct ActiveRollout<'a> {
    /// Its id.
    pub id: &'a RolloutId,
    /// The hosts of its plan.
    pub hosts: &'a BTreeSet<HostId>,
}

/// One host.
#[derive(Debug, Clone, Copy)]
pub struct PlanningHost<'a> {
    /// Its identity.
    pub id: &'a HostId,
    /// Its labels.
    pub labels: &'a Labels,
    /// What it says about its machine; `hold` and `other_hands` are read from here.
    pub facts: &'a HostFacts,
    /// What it agreed to at enrolment.
    pub mode: HostMode,
    /// Its state as selectors know it, e.g. `online`.
    pub state: &'a str,
    /// Whether it may take part.
    pub standing: Standing,
    /// What it could get; `None` before its first report.
    pub candidates: Option<&'a CandidateSet>,
    /// What it has; `None` before its first report.
    pub inventory: Option<&'a Inventory>,
    /// The rollout that has ordered it.
    pub claimed_by: Option<&'a RolloutId>,
    /// It is offline so often that it would be a bad canary (rule 29).
    pub rarely_there: bool,
}

impl<'a> PlanningHost<'a> {
    /// The value of a selector's key: a fact, or else a label.
    #[must_use]
    pub fn lookup(&self, key: &str) -> Option<&'a str> {
        let fact = |text: &'a str| (!text.is_empty()).then_some(text);
        match key {
            "id" => Some(self.id.as_str()),
            "name" => fact(&self.facts.hostname),
            "os" => fact(&self.facts.os),
            "release" => fact(&self.facts.release),
            "arch" => fact(&self.facts.architecture),
            "mode" => Some(self.mode.as_str()),
            "state" => fact(self.state),
            "ring" => Some(self.labels.ring().as_str()),
            label => self.labels.get(label),
        }
    }

    /// Whether a selector selects it.
    #[must_use]
    pub fn is_selected_by(&self, selector: &Selector) -> bool {
        selector.matches(|key| self.lookup(key))
    }

    /// Whether it stands for production rather than for the test ring.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.labels.ring() != Ring::Test
    }
}

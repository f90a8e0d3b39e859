//! Lint: what is doubtful about a plan, said before anything happens. An error means that the plan cannot do what it is for.

mod coverage;
mod waves;

use std::collections::BTreeMap;

use patchwave_common::domain::HostId;

use super::named::named;
use super::plan::{HostIndex, Plan, PlanKind};
use super::planner::{FleetView, PlanningHost};

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// How bad.
    pub severity: Severity,
    /// The kind.
    pub code: LintCode,
    /// In plain words.
    pub message: String,
    /// The way out.
    pub hint: String,
}

named!(
    /// How bad a finding is.
    Severity, "severity" {
        /// Worth knowing.
        Note = "note",
        /// The plan may do harm, or not what is expected.
        Warning = "warning",
        /// The plan cannot do what it is for.
        Error = "error",
    }
);
named!(
    /// The kind of a finding.
    LintCode, "lint code" {
        /// The plan has no host.
        EmptyPlan = "empty-plan",
        /// No wave of canaries.
        NoCanary = "no-canary",
        /// No wave for the test ring.
        NoTestWave = "no-test-wave",
        /// Canaries, but none of them a production host.
        CanariesNotProduction = "canaries-not-production",
        /// A kind of production host that no canary covers.
        CanariesMissKind = "canaries-miss-kind",
        /// A wave larger than what may be unavailable at once, so that it goes in steps.
        WaveOverBudget = "wave-over-budget",
        /// The budget allows no host at all.
        BudgetAllowsNone = "budget-allows-none",
        /// A package reaches production that no host of the test ring tries.
        TestRingLacksPackage = "test-ring-lacks-package",
        /// The test wave has no host.
        TestRingEmpty = "test-ring-empty",
        /// Another rollout that has not ended has the same hosts.
        OverlapsRollout = "overlaps-rollout",
        /// A wave without hosts, which decides nothing.
        EmptyWave = "empty-wave",
        /// A wave can never have as many proved hosts as its gate wants.
        MinimumOverWave = "minimum-over-wave",
        /// A wave's hosts are not watched after they proved healthy.
        NoSoak = "no-soak",
        /// A wave cannot be done within its time limit.
        TimeLimitTooShort = "time-limit-too-short",
        /// Hosts that no wave takes.
        HostsWithoutWave = "hosts-without-wave",
        /// The policy checks nothing beyond packages and units.
        NoHealthCheck = "no-health-check",
        /// Harmed hosts are not taken back by themselves.
        NoAutomaticRollback = "no-automatic-rollback",
        /// Most of the fleet in one wave, right after too few.
        SteepWave = "steep-wave",
    }
);

/// Looks at a plan and the fleet that it was made for. Ordered by severity, the worst first.
#[must_use]
pub fn lint(plan: &Plan, fleet: &FleetView<'_>) -> Vec<Lint> {
    let subject = Subject::new(plan, fleet);
    let mut lints = Vec::new();
    if plan.host_count() == 0 {
        lints.push(Lint {
            severity: Severity::Error,
            code: LintCode::EmptyPlan,
            message: "the plan has no host".to_owned(),
            hint: "the report says why each host was left out".to_owned(),
        });
        subject.check_overlap(&mut lints);
        return lints;
    }
    subject.check_waves(&mut lints);
    subject.check_whole(&mut lints);
    if plan.header().kind == PlanKind::Apply {
        subject.check_coverage(&mut lints);
    }
    lints.sort_by(|left, right| right.severity.cmp(&left.severity).then(left.code.cmp(&right.code)));
    lints
}

/// What is looked at.
struct Subject<'a> {
    plan: &'a Plan,
    fleet: &'a FleetView<'a>,
    by_id: BTreeMap<&'a HostId, &'a PlanningHost<'a>>,
}

impl<'a> Subject<'a> {
    fn new(plan: &'a Plan, fleet: &'a FleetView<'a>) -> Self {
        Self { plan, fleet, by_id: fleet.hosts.iter().map(|host| (host.id, host)).collect() }
    }

    fn host(&self, host: HostIndex) -> Option<&'a PlanningHost<'a>> {
        self.plan.host(host).and_then(|id| self.by_id.get(id).copied())
    }
}

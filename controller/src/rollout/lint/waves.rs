//! Lint of each wave and of the rollout's bounds.

use patchwave_common::domain::policy::{Amount, WaveKind, WaveRule};
use patchwave_common::domain::{HostId, show_duration};

use super::{Lint, LintCode, Severity, Subject};
use crate::rollout::plan::{Emptied, ExclusionReason, WaveIndex};
use crate::rollout::state::at_least_one;

/// A fleet smaller than this has no gentle steps to ask for.
const STEEP_FLEET_HOSTS: u32 = 20;

impl Subject<'_> {
    pub(super) fn check_waves(&self, lints: &mut Vec<Lint>) {
        let budget = at_least_one(self.plan.policy().limits.max_unavailable, self.plan.host_count());
        let mut earlier = 0;
        for wave in self.plan.waves() {
            let Some(rule) = self.plan.rule(wave) else {
                continue;
            };
            let hosts = u32::try_from(self.plan.members(wave).len()).unwrap_or(u32::MAX);
            if let Some(emptied) = self.plan.planned_wave(wave).and_then(|planned| planned.emptied) {
                lints.push(empty_wave(rule, emptied));
            } else {
                check_size(rule, hosts, budget, lints);
                self.check_steep(rule, hosts, earlier, lints);
            }
            check_times(rule, lints);
            earlier += hosts;
        }
    }

    fn check_steep(&self, rule: &WaveRule, hosts: u32, earlier: u32, lints: &mut Vec<Lint>) {
        let total = self.plan.host_count();
        if total >= STEEP_FLEET_HOSTS && hosts > total / 2 && earlier < total / STEEP_FLEET_HOSTS {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::SteepWave,
                message: format!("wave \"{}\" has {hosts} of {total} hosts after only {earlier} were tried", rule.name),
                hint: "put a wave of some tenths before it".to_owned(),
            });
        }
    }

    pub(super) fn check_whole(&self, lints: &mut Vec<Lint>) {
        let policy = self.plan.policy();
        let total = self.plan.host_count();
        let amount = policy.limits.max_unavailable;
        if at_least_one(amount, total) == 0 {
            lints.push(Lint {
                severity: Severity::Error,
                code: LintCode::BudgetAllowsNone,
                message: "limits.max_unavailable allows no host to be unavailable, so none can be ordered".to_owned(),
                hint: "set limits.max_unavailable to at least 1".to_owned(),
            });
        } else if amount.of(total) == 0 && matches!(amount, Amount::Percent(_)) {
            lints.push(Lint {
                severity: Severity::Note,
                code: LintCode::BudgetAllowsNone,
                message: format!("limits.max_unavailable is a share that rounds down to none of {total} hosts; one at a time is ordered"),
                hint: "write a count to be exact".to_owned(),
            });
        }
        let homeless = self.plan.excluded().iter().filter(|excluded| excluded.reason == ExclusionReason::NoWave).count();
        if homeless > 0 {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::HostsWithoutWave,
                message: format!("no wave takes {homeless} hosts that could get the update"),
                hint: "add a last wave without `hosts` and with size = \"all\"".to_owned(),
            });
        }
        if !policy.automatic_rollback {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::NoAutomaticRollback,
                message: "harmed hosts are taken back only when a limit is reached".to_owned(),
                hint: "set automatic_rollback = true".to_owned(),
            });
        }
        self.check_overlap(lints);
    }

    pub(super) fn check_overlap(&self, lints: &mut Vec<Lint>) {
        for other in self.fleet.active.iter().filter(|other| *other.id != self.plan.header().rollout) {
            let claimed = |host: &HostId| self.plan.exclusion_of(host).is_some_and(|left| left.reason == ExclusionReason::Claimed);
            let shared = other.hosts.iter().filter(|host| self.plan.index_of(host).is_some()).count();
            let left_out = other.hosts.iter().filter(|host| claimed(host)).count();
            if shared + left_out > 0 {
                lints.push(Lint {
                    severity: Severity::Warning,
                    code: LintCode::OverlapsRollout,
                    message: format!(
                        "rollout {} has {shared} of the same hosts, and {left_out} are left out because a rollout has ordered them; whoever \
                         orders a host first keeps it until it is done",
                        other.id
                    ),
                    hint: format!("wait for it, or `patchwave rollout abort {}`", other.id),
                });
            }
        }
    }

    /// The waves of a kind.
    pub(super) fn wave_of_kind(&self, kind: WaveKind) -> impl Iterator<Item = WaveIndex> {
        self.plan.waves().filter(move |&wave| self.plan.rule(wave).is_some_and(|rule| rule.kind == kind))
    }
}

fn empty_wave(rule: &WaveRule, emptied: Emptied) -> Lint {
    let (severity, why, hint) = match emptied {
        Emptied::UpToDate => (Severity::Note, "every host that it selects has the versions already", "nothing to do"),
        Emptied::TakenEarlier => (Severity::Note, "every host that it selects is in an earlier wave", "nothing to do"),
        Emptied::NoHost => (Severity::Error, "it selects no host", "label hosts for it (`patchwave host label`), or leave the wave out"),
        Emptied::Excluded => (Severity::Error, "every host that it selects was left out", "the report says why"),
    };
    let code = if rule.kind == WaveKind::Test && severity == Severity::Error { LintCode::TestRingEmpty } else { LintCode::EmptyWave };
    let message = match severity {
        Severity::Error => {
            format!("wave \"{}\" has no host ({why}); it decides nothing, and the rollout will wait for an operator there", rule.name)
        }
        _ => format!("wave \"{}\" has no host: {why}", rule.name),
    };
    Lint { severity, code, message, hint: hint.to_owned() }
}

fn check_size(rule: &WaveRule, hosts: u32, budget: u32, lints: &mut Vec<Lint>) {
    if rule.minimum > hosts {
        lints.push(Lint {
            severity: Severity::Error,
            code: LintCode::MinimumOverWave,
            message: format!(
                "wave \"{}\" has {hosts} hosts and its gate wants {} proved healthy, so it can never pass",
                rule.name, rule.minimum
            ),
            hint: "lower `minimum`, or take more hosts into the wave".to_owned(),
        });
    }
    if hosts > budget {
        let severity = if rule.max_in_flight > budget { Severity::Warning } else { Severity::Note };
        lints.push(Lint {
            severity,
            code: LintCode::WaveOverBudget,
            message: format!(
                "wave \"{}\" has {hosts} hosts and at most {budget} may be unavailable at once, so it goes in steps",
                rule.name
            ),
            hint: "that is careful, and takes longer; limits.max_unavailable sets the step".to_owned(),
        });
    }
}

fn check_times(rule: &WaveRule, lints: &mut Vec<Lint>) {
    if rule.soak.is_zero() {
        lints.push(Lint {
            severity: Severity::Warning,
            code: LintCode::NoSoak,
            message: format!("wave \"{}\" has no soak: harm that shows later than the health checks reaches the next wave", rule.name),
            hint: "set `soak` to at least some minutes".to_owned(),
        });
    }
    if rule.time_limit <= rule.soak {
        lints.push(Lint {
            severity: Severity::Error,
            code: LintCode::TimeLimitTooShort,
            message: format!(
                "wave \"{}\" must pass within {} and its soak alone takes {}",
                rule.name,
                show_duration(rule.time_limit),
                show_duration(rule.soak)
            ),
            hint: "raise `time_limit` well above `soak`".to_owned(),
        });
    }
}

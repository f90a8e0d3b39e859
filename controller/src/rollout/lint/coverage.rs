//! Lint of evidence: whether those who go first stand for those who follow.

use std::collections::BTreeSet;

use patchwave_common::domain::policy::WaveKind;
use patchwave_common::domain::{HostMode, PackageName, PackageVersion, Ring};

use super::{Lint, LintCode, Severity, Subject};
use crate::rollout::plan::HostIndex;

/// A sentence names so many packages or kinds.
const MAX_NAMED: usize = 3;

impl Subject<'_> {
    pub(super) fn check_coverage(&self, lints: &mut Vec<Lint>) {
        self.check_canaries(lints);
        self.check_test_ring(lints);
        if self.plan.policy().health.checks.is_empty() {
            lints.push(Lint {
                severity: Severity::Note,
                code: LintCode::NoHealthCheck,
                message: "the policy has no health check: only package versions and units are looked at".to_owned(),
                hint: "add a [[health.check]] for what the hosts are for".to_owned(),
            });
        }
    }

    fn check_canaries(&self, lints: &mut Vec<Lint>) {
        let canaries: Vec<HostIndex> = self.wave_of_kind(WaveKind::Canary).flat_map(|wave| self.plan.members(wave)).copied().collect();
        let production: Vec<HostIndex> = self
            .wave_of_kind(WaveKind::Production)
            .flat_map(|wave| self.plan.members(wave))
            .copied()
            .filter(|&host| self.host(host).is_none_or(crate::rollout::planner::PlanningHost::is_production))
            .collect();
        if production.is_empty() {
            return;
        }
        if self.wave_of_kind(WaveKind::Canary).next().is_none() {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::NoCanary,
                message: "no wave of canaries: production gets it without a few hosts having tried it first".to_owned(),
                hint: "add a [[wave]] with kind = \"canary\" and a small size".to_owned(),
            });
        } else if canaries.iter().all(|&host| self.host(host).is_some_and(|host| !host.is_production())) && !canaries.is_empty() {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::CanariesNotProduction,
                message: "every canary is of the test ring, so none stands for production".to_owned(),
                hint: "let the canaries' `hosts` select production hosts".to_owned(),
            });
        } else if !canaries.is_empty() {
            self.check_kinds(&canaries, &production, lints);
        }
    }

    fn check_kinds(&self, canaries: &[HostIndex], production: &[HostIndex], lints: &mut Vec<Lint>) {
        let kind = |&host: &HostIndex| {
            let facts = self.host(host)?.facts;
            Some((facts.os.as_str(), facts.release.as_str(), self.plan.target_index_of(host)?))
        };
        let tried: BTreeSet<_> = canaries.iter().filter_map(kind).collect();
        let missed: BTreeSet<_> = production.iter().filter_map(kind).filter(|kind| !tried.contains(kind)).collect();
        if missed.is_empty() {
            return;
        }
        let named = missed.iter().take(MAX_NAMED).map(|(os, release, set)| {
            let targets = self.plan.target_sets().get(*set as usize).map_or(0, |set| set.targets.len());
            format!("{os} {release} with {targets} updates")
        });
        lints.push(Lint {
            severity: Severity::Warning,
            code: LintCode::CanariesMissKind,
            message: format!("no canary covers {} kinds of production host, e.g. {}", missed.len(), named.collect::<Vec<_>>().join("; ")),
            hint: format!("take at least {} canaries", tried.len() + missed.len()),
        });
    }

    fn check_test_ring(&self, lints: &mut Vec<Lint>) {
        if self.wave_of_kind(WaveKind::Test).next().is_none() {
            lints.push(Lint {
                severity: Severity::Warning,
                code: LintCode::NoTestWave,
                message: "no wave for the test ring".to_owned(),
                hint: "add a first [[wave]] with kind = \"test\" and hosts = \"ring=test\"".to_owned(),
            });
            return;
        }
        let tested: BTreeSet<(&PackageName, &PackageVersion)> =
            self.wave_of_kind(WaveKind::Test).flat_map(|wave| self.plan.members(wave)).flat_map(|&host| self.targets(host)).collect();
        let others = self.wave_of_kind(WaveKind::Canary).chain(self.wave_of_kind(WaveKind::Production));
        let untested: BTreeSet<(&PackageName, &PackageVersion)> = others
            .flat_map(|wave| self.plan.members(wave))
            .flat_map(|&host| self.targets(host))
            .filter(|target| !tested.contains(target) && !self.runs_in_test_ring(target.0, target.1))
            .collect();
        if untested.is_empty() {
            return;
        }
        let named = untested.iter().take(MAX_NAMED).map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ");
        lints.push(Lint {
            severity: Severity::Warning,
            code: LintCode::TestRingLacksPackage,
            message: format!("{} versions reach production that no host of the test ring tries, e.g. {named}", untested.len()),
            hint: "have a host of the test ring with that package, as production has it".to_owned(),
        });
    }

    fn targets(&self, host: HostIndex) -> impl Iterator<Item = (&PackageName, &PackageVersion)> {
        self.plan.targets_of(host).into_iter().flat_map(|set| &set.targets).map(|target| (&target.id.name, &target.to))
    }

    /// A host of the test ring has the version already.
    fn runs_in_test_ring(&self, name: &PackageName, version: &PackageVersion) -> bool {
        let ring = self.fleet.hosts.iter().filter(|host| host.mode == HostMode::Managed && host.labels.ring() == Ring::Test);
        ring.filter_map(|host| host.inventory).any(|inventory| {
            let mut packages = inventory.iter().filter(|package| package.id.name == *name);
            packages.any(|package| package.is_installed() && package.version == *version)
        })
    }
}

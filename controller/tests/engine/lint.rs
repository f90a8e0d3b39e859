//! Lint: each finding is given where it holds, and not where it does not.

use std::collections::BTreeSet;

use patchwave::rollout::lint::{LintCode, Severity, lint};
use patchwave::rollout::planner::{ActiveRollout, FleetView, plan};
use patchwave_common::domain::RolloutId;

use crate::fleet::{Host, START, host_id, policy, request, simple_fleet, three_waves, with_view};

fn codes(hosts: &[Host], text: &str) -> Vec<(Severity, LintCode)> {
    with_view(hosts, &BTreeSet::new(), |view| {
        let (plan, _) = plan(view, &request(), &policy(text), START).unwrap();
        lint(&plan, view).into_iter().map(|lint| (lint.severity, lint.code)).collect()
    })
}

const TEST: &str = "[[wave]]\nname = \"t\"\nkind = \"test\"\nhosts = \"ring=test\"\n";
const CANARY: &str = "[[wave]]\nname = \"c\"\nkind = \"canary\"\nsize = 1\n";
const REST: &str = "[[wave]]\nname = \"r\"\n";

#[test]
fn a_careful_plan_has_no_warning() {
    let text = "name = \"p\"\n[limits]\nmax_unavailable = 20\n[[health.check]]\nname = \"c\"\nkind = \"executable\"\n";
    let found = codes(&simple_fleet(8), &format!("{text}{TEST}{CANARY}{REST}"));
    assert_eq!(found, []);
}

#[test]
fn each_finding_is_told_where_it_holds() {
    let fleet = simple_fleet(8);
    let mut two_kinds = simple_fleet(8);
    two_kinds[5] = Host::new("web-xx", "").release("13").offered("openssl", "1", "2");
    let mut lacks = simple_fleet(3);
    lacks[0].candidates.clear();
    lacks[1].candidates.clear();
    let no_ring: Vec<Host> = simple_fleet(3).into_iter().skip(2).collect();
    let canary_of_test = "[[wave]]\nname = \"c\"\nkind = \"canary\"\nhosts = \"ring=test\"\n";
    let cases: Vec<(&[Host], String, Severity, LintCode)> = vec![
        (&[], format!("name = \"p\"\n{REST}"), Severity::Error, LintCode::EmptyPlan),
        (&fleet, format!("name = \"p\"\n{TEST}{REST}"), Severity::Warning, LintCode::NoCanary),
        (&fleet, format!("name = \"p\"\n{CANARY}{REST}"), Severity::Warning, LintCode::NoTestWave),
        (&fleet, format!("name = \"p\"\n{canary_of_test}{REST}"), Severity::Warning, LintCode::CanariesNotProduction),
        (&two_kinds, format!("name = \"p\"\n{TEST}{CANARY}{REST}"), Severity::Warning, LintCode::CanariesMissKind),
        (&fleet, format!("name = \"p\"\n{TEST}{CANARY}{REST}"), Severity::Warning, LintCode::WaveOverBudget),
        (&fleet, format!("name = \"p\"\n[limits]\nmax_unavailable = 0\n{REST}"), Severity::Error, LintCode::BudgetAllowsNone),
        (&fleet[..3], format!("name = \"p\"\n{REST}"), Severity::Note, LintCode::BudgetAllowsNone),
        (&lacks, format!("name = \"p\"\n{TEST}{REST}"), Severity::Warning, LintCode::TestRingLacksPackage),
        (&no_ring, format!("name = \"p\"\n{TEST}{REST}"), Severity::Error, LintCode::TestRingEmpty),
        (&fleet, format!("name = \"p\"\n{REST}{CANARY}"), Severity::Note, LintCode::EmptyWave),
        (&fleet, format!("name = \"p\"\n{TEST}minimum = 3\n{REST}"), Severity::Error, LintCode::MinimumOverWave),
        (&fleet, format!("name = \"p\"\n{TEST}soak = \"0s\"\n{REST}"), Severity::Warning, LintCode::NoSoak),
        (&fleet, format!("name = \"p\"\n{TEST}time_limit = \"10m\"\n{REST}"), Severity::Error, LintCode::TimeLimitTooShort),
        (&fleet, format!("name = \"p\"\n{TEST}{CANARY}"), Severity::Warning, LintCode::HostsWithoutWave),
        (&fleet, format!("name = \"p\"\n{TEST}{REST}"), Severity::Note, LintCode::NoHealthCheck),
        (&fleet, format!("name = \"p\"\nautomatic_rollback = false\n{REST}"), Severity::Warning, LintCode::NoAutomaticRollback),
    ];
    for (hosts, text, severity, code) in cases {
        let found = codes(hosts, &text);
        assert!(found.contains(&(severity, code)), "{code} ({severity}) is not in {found:?}\n{text}");
    }
    let big = simple_fleet(100);
    let steep = codes(&big, &format!("name = \"p\"\n{TEST}{CANARY}{REST}"));
    assert!(steep.contains(&(Severity::Warning, LintCode::SteepWave)), "{steep:?}");
}

#[test]
fn the_worst_finding_comes_first() {
    let found = codes(&simple_fleet(8), &format!("name = \"p\"\n{TEST}minimum = 3\nsoak = \"0s\"\n{REST}"));
    let severities: Vec<Severity> = found.iter().map(|(severity, _)| *severity).collect();
    assert!(severities.windows(2).all(|pair| pair[0] >= pair[1]), "{found:?}");
    assert_eq!(severities[0], Severity::Error);
}

#[test]
fn another_rollout_with_the_same_hosts_is_told() {
    let fleet = simple_fleet(4);
    let (id, hosts) = (RolloutId::parse("r-other").unwrap(), BTreeSet::from([host_id("web-01"), host_id("elsewhere")]));
    let found = with_view(&fleet, &BTreeSet::new(), |view| {
        let (plan, _) = plan(view, &request(), &three_waves(), START).unwrap();
        let active = [ActiveRollout { id: &id, hosts: &hosts }];
        lint(&plan, &FleetView { active: &active, ..*view })
    });
    let overlap = found.iter().find(|lint| lint.code == LintCode::OverlapsRollout).unwrap();
    assert!(overlap.message.contains("r-other has 1 of the same hosts"), "{}", overlap.message);
}

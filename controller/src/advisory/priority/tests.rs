#![allow(clippy::unwrap_used)]
use std::time::Duration;

use patchwave_common::domain::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::advisory::decision::{Due, Outcome};
use crate::advisory::knowledge::{parse_epss, parse_kev, parse_ssvc};
use crate::advisory::osv;

const HOUR: Duration = Duration::from_secs(3_600);

fn advisory(cves: &[&str]) -> Advisory {
    let names: Vec<String> = cves.iter().map(|cve| format!("\"{cve}\"")).collect();
    let text = format!(r#"{{"id":"DSA-1","upstream":[{}],"database_specific":{{"severity":"low"}}}}"#, names.join(","));
    osv::parse(text.as_bytes()).unwrap().advisory
}

fn knowledge() -> Knowledge {
    let kev = r#"{"vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-01-01"}]}"#;
    Knowledge {
        kev: Some(parse_kev(kev.as_bytes()).unwrap()),
        epss: Some(parse_epss(b"cve,epss,percentile\nCVE-2026-2,0.1,0.9\nCVE-2026-3,0.09999,0.9\n").unwrap()),
        ssvc: Some(
            parse_ssvc(b"cve,exploitation,automatable,technical_impact\nCVE-2026-3,active,no,total\nCVE-2026-4,none,yes,\n").unwrap(),
        ),
    }
}

fn shown(advisory: &Advisory, knowledge: &Knowledge) -> String {
    points(advisory, knowledge, HostClass::default()).into_iter().map(|(point, value)| format!("{point}={value} ")).collect()
}

#[test]
fn an_advisory_has_the_worst_answer_of_any_of_its_vulnerabilities() {
    let all = knowledge();
    assert_eq!(shown(&advisory(&["CVE-2026-9"]), &all), "known-exploited=no severity=low ");
    assert_eq!(
        shown(&advisory(&["CVE-2026-9", "CVE-2026-1", "CVE-2026-2"]), &all),
        "known-exploited=yes likely-exploited=yes severity=low "
    );
    assert_eq!(
        shown(&advisory(&["CVE-2026-3", "CVE-2026-4"]), &all),
        "automatable=yes exploitation=active known-exploited=yes likely-exploited=no severity=low technical-impact=total "
    );
}

#[test]
fn what_no_feed_tells_is_unknown_and_the_scheme_says_what_that_means() {
    let nothing = Knowledge::default();
    assert_eq!(shown(&advisory(&["CVE-2026-1"]), &nothing), "severity=low ");
    let ruled =
        |scheme: &str| decide(Table::built_in(scheme).unwrap(), &advisory(&["CVE-2026-1"]), &nothing, HostClass::default()).to_string();
    assert!(
        ruled("severity").starts_with("within 14 days (row 14: severity is low; known-exploited is unknown, which the table takes as no")
    );
    assert!(ruled("bod-26-04").starts_with("within 3 days, and investigate the host (row 1: known-exploited is unknown, taken as yes"));
}

#[test]
fn a_host_is_classed_by_its_labels_and_one_without_them_is_unknown() {
    let class = |labels: &[(&str, &'static str)]| {
        HostClass::of(|wanted| labels.iter().find(|(label, _)| *label == wanted).map(|(_, value)| *value))
    };
    assert_eq!(class(&[]), HostClass::default());
    assert_eq!(class(&[("exposure", "internet"), ("criticality", "low")]), HostClass { exposed: Some(true), critical: Some(false) });
}

fn outcome(hours: u32) -> Outcome {
    Outcome { due: Due::Within(HOUR * hours), investigate: false }
}

#[test]
fn time_runs_from_the_tests_end_or_from_when_it_should_have_ended() {
    let at = |hours: u32| Timestamp(0).plus(HOUR * hours);
    let due = |test_passed, enrolled| {
        let fix = FixHistory { first_seen: at(100), test_passed, enrolled };
        deadline(outcome(24), fix, HOUR * 48, HOUR * 12).map(|it| (it.due, it.basis))
    };
    assert_eq!(due(Some(at(110)), at(0)), Some((at(134), Basis::TestPassed)));
    assert_eq!(due(None, at(0)), Some((at(172), Basis::TestLimit)), "a fix that nobody tests is late as well");
    assert_eq!(due(Some(at(500)), at(0)), Some((at(172), Basis::TestLimit)), "a slow test puts nothing off");
    assert_eq!(due(None, at(165)), Some((at(177), Basis::NewHost)));
    assert_eq!(due(None, at(101)), Some((at(172), Basis::TestLimit)), "a grace never shortens");
    let fix = FixHistory { first_seen: at(0), test_passed: None, enrolled: at(0) };
    assert_eq!(deadline(Outcome { due: Due::NextUpgrade, investigate: false }, fix, HOUR, HOUR), None);
}

proptest! {
    #[test]
    fn nothing_but_a_host_that_came_later_moves_a_deadline_beyond_the_limits(
        first_seen in 0u32..1_000, passed in proptest::option::of(0u32..3_000), enrolled in 0u32..3_000, span in 0u32..400, sooner in 0u32..400,
    ) {
        let at = |hours: u32| Timestamp(0).plus(HOUR * hours);
        let fix = FixHistory { first_seen: at(first_seen), test_passed: passed.map(at), enrolled: at(enrolled) };
        let found = deadline(outcome(span), fix, HOUR * 48, HOUR * 12).unwrap();
        let latest = at(first_seen).plus(HOUR * (48 + span));
        prop_assert!(found.due <= latest || found.basis == Basis::NewHost && found.due == at(enrolled).plus(HOUR * 12));
        // Known exploitation makes the span shorter, and never the deadline later.
        let raised = deadline(outcome(span.min(sooner)), fix, HOUR * 48, HOUR * 12).unwrap();
        prop_assert!(raised.due <= found.due);
    }
}

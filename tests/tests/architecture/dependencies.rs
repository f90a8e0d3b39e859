//! Who may depend on whom: `common ← proto ← {agent, controller} ← {tests, deploy}`, agent and controller apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::assert_none;
use crate::supply::metadata;

/// Each crate of ours with the crates of ours that it may use when it ships. A new crate needs a row.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("patchwave-common", &[]),
    ("patchwave-proto", &["patchwave-common"]),
    ("patchwave-agent", &["patchwave-common", "patchwave-proto"]),
    ("patchwave", &["patchwave-common", "patchwave-proto"]),
    ("patchwave-debian-repository", &[]),
    ("patchwave-deploy", &["patchwave-common", "patchwave-proto", "patchwave-agent", "patchwave", "patchwave-debian-repository"]),
    ("patchwave-fuzz", &["patchwave-common", "patchwave-proto", "patchwave-agent", "patchwave"]),
    ("patchwave-tests", &["patchwave-common", "patchwave-proto", "patchwave-agent", "patchwave", "patchwave-debian-repository"]),
];

/// May never reach each other in either direction, not even in tests.
const APART: (&str, &str) = ("patchwave-agent", "patchwave");

/// One dependency between crates of ours.
struct Edge {
    from: String,
    to: String,
    for_tests_only: bool,
}

fn violations(edges: &[Edge], crates: &BTreeSet<String>) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut found: Vec<String> =
        crates.iter().filter(|name| !allowed.contains_key(name.as_str())).map(|name| format!("{name} has no row in ALLOWED")).collect();
    for edge in edges.iter().filter(|edge| !edge.for_tests_only) {
        if !allowed.get(edge.from.as_str()).is_some_and(|allowed| allowed.contains(&edge.to.as_str())) {
            found.push(format!("{} may not depend on {}", edge.from, edge.to));
        }
    }
    for (from, to) in [APART, (APART.1, APART.0)] {
        if reachable(edges, from).contains(to) {
            found.push(format!("{from} reaches {to}"));
        }
    }
    found
}

fn reachable<'a>(edges: &'a [Edge], from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for edge in edges.iter().filter(|edge| edge.from == at) {
            if reached.insert(edge.to.as_str()) {
                next.push(&edge.to);
            }
        }
    }
    reached
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let packages = metadata();
    let packages = packages["packages"].as_array().unwrap();
    let ours: BTreeSet<String> =
        packages.iter().filter(|package| package["source"].is_null()).map(|package| package["name"].as_str().unwrap().to_owned()).collect();
    let mut edges = Vec::new();
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if ours.contains(to) {
                let from = package["name"].as_str().unwrap().to_owned();
                edges.push(Edge { from, to: to.to_owned(), for_tests_only: dependency["kind"] == "dev" });
            }
        }
    }
    assert_none(&violations(&edges, &ours));
}

#[test]
fn the_rule_notices_agent_and_controller_meeting_even_through_tests() {
    let edge = |from: &str, to: &str, for_tests_only| Edge { from: from.to_owned(), to: to.to_owned(), for_tests_only };
    let none = BTreeSet::new();
    assert_eq!(violations(&[edge("patchwave-agent", "patchwave", false)], &none).len(), 2);
    let around = [edge("patchwave", "patchwave-debian-repository", true), edge("patchwave-debian-repository", "patchwave-agent", true)];
    assert_eq!(violations(&around, &none), ["patchwave reaches patchwave-agent"]);
    assert_eq!(violations(&[edge("patchwave-common", "patchwave-proto", false)], &none).len(), 1);
    assert_eq!(violations(&[], &BTreeSet::from(["new".to_owned()])), ["new has no row in ALLOWED"]);
}

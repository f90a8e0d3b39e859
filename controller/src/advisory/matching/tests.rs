#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, DigestBuilder, Timestamp};
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::*;
use crate::advisory::osv;
use crate::advisory::record::{Advisory, Space};

fn space() -> Space {
    Space::parse("Debian:12").unwrap()
}

fn key(name: &str, version: u8) -> PackageKey {
    PackageKey { space: space(), name: name.into(), version: version.to_string().into() }
}

/// An advisory about packages, each fixed in a version or not at all.
fn advisory(id: u8, packages: &[(u8, Option<u8>)], withdrawn: bool) -> Arc<Advisory> {
    let affected: Vec<String> = packages
        .iter()
        .map(|(name, fixed)| {
            let fixed = fixed.map_or(String::new(), |fixed| format!(",{{\"fixed\":\"{fixed}\"}}"));
            format!(
                r#"{{"package":{{"ecosystem":"Debian:12","name":"p{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}{fixed}]}}]}}"#
            )
        })
        .collect();
    let text = format!(r#"{{"id":"CVE-2026-{id}","upstream":["X-{id}"],"affected":[{}]}}"#, affected.join(","));
    let mut advisory = osv::parse(text.as_bytes()).unwrap().advisory;
    advisory.withdrawn = withdrawn.then_some(Timestamp(0));
    Arc::new(advisory)
}

fn id(number: u8) -> AdvisoryId {
    AdvisoryId::parse(format!("CVE-2026-{number}")).unwrap()
}

fn digest(keys: &[PackageKey]) -> patchwave_common::domain::Digest {
    let mut builder = DigestBuilder::default();
    for key in keys {
        builder.field(key.name.as_bytes()).field(key.version.as_bytes());
    }
    builder.finish()
}

#[test]
fn an_advisory_is_found_by_every_name_and_no_longer_when_it_is_gone() {
    let mut set = AdvisorySet::default();
    set.insert(advisory(1, &[(1, Some(3))], false));
    let by = |set: &AdvisorySet, name: &str| set.named(&AdvisoryId::parse(name).unwrap()).count();
    assert_eq!([by(&set, "CVE-2026-1"), by(&set, "X-1"), by(&set, "X-2")], [1, 1, 0]);
    assert!(set.covers(&space()) && !set.covers(&Space::parse("Debian:13").unwrap()));
    set.remove(&id(1));
    assert!(by(&set, "X-1") == 0 && !set.covers(&space()) && set.is_empty());
}

#[test]
fn a_version_that_is_none_is_unreadable_and_not_clean() {
    let mut set = AdvisorySet::default();
    set.insert(advisory(1, &[(1, Some(3))], false));
    let odd = PackageKey { version: "a:1".into(), ..key("p1", 1) };
    assert!(set.matches(&odd).unreadable);
    assert!(!set.matches(&key("p1", 9)).unreadable);
}

#[test]
fn hosts_with_one_image_cost_one_matching_and_leave_nothing_behind() {
    let mut matcher = Matcher::default();
    matcher.change([advisory(1, &[(1, Some(3))], false)], []);
    let keys = vec![key("p1", 1), key("p2", 1)];
    let mut asked = 0;
    for host in 0..100 {
        matcher.set_host(host, digest(&keys), || {
            asked += 1;
            keys.clone()
        });
    }
    assert_eq!((asked, matcher.distinct()), (1, (2, 1)));
    assert_eq!(matcher.affected_by(&id(1)).len(), 100);
    for host in 0..100 {
        matcher.remove_host(host);
    }
    assert_eq!((matcher.distinct(), matcher.affected_by(&id(1)).len()), ((0, 0), 0));
}

/// Packages, each with the version that has no hole any more.
type Fixes = Vec<(u8, Option<u8>)>;

/// What happens to a fleet.
#[derive(Debug, Clone)]
enum Step {
    Host { host: u32, packages: BTreeMap<u8, u8> },
    Gone(u32),
    Feed { put: Vec<(u8, Fixes, bool)>, remove: Vec<u8> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let packages = proptest::collection::btree_map(0u8..5, 0u8..5, 0..5);
    let host = (0u32..6, packages).prop_map(|(host, packages)| Step::Host { host, packages });
    let affected = proptest::collection::vec((0u8..5, proptest::option::of(0u8..6)), 0..3);
    let put = proptest::collection::vec((0u8..6, affected, proptest::bool::weighted(0.2)), 0..4);
    let feed = (put, proptest::collection::vec(0u8..6, 0..3)).prop_map(|(put, remove)| Step::Feed { put, remove });
    proptest::collection::vec(prop_oneof![3 => host, 1 => (0u32..6).prop_map(Step::Gone), 2 => feed], 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn after_any_changes_the_matcher_says_what_a_whole_matching_says(steps in steps()) {
        let mut matcher = Matcher::default();
        let mut fleet: BTreeMap<u32, Vec<PackageKey>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Host { host, packages } => {
                    let keys: Vec<_> = packages.iter().map(|(name, version)| key(&format!("p{name}"), *version)).collect();
                    matcher.set_host(host, digest(&keys), || keys.clone());
                    fleet.insert(host, keys);
                }
                Step::Gone(host) => {
                    matcher.remove_host(host);
                    fleet.remove(&host);
                }
                Step::Feed { put, remove } => {
                    let before: BTreeMap<u32, Vec<Match>> = fleet.keys().map(|host| (*host, told(&matcher, *host))).collect();
                    let put: Vec<_> = put.iter().map(|(id, packages, withdrawn)| advisory(*id, packages, *withdrawn)).collect();
                    let changed = matcher.change(put, remove.into_iter().map(id));
                    for (host, before) in before {
                        let image = matcher.image_of(host).unwrap().number();
                        prop_assert_eq!(told(&matcher, host) != before, changed.contains(image), "host {}", host);
                    }
                }
            }
            let mut affected: BTreeMap<AdvisoryId, RoaringBitmap> = BTreeMap::new();
            for (host, keys) in &fleet {
                let whole: Vec<Match> = keys.iter().flat_map(|key| matcher.advisories().matches(key).found).collect();
                prop_assert_eq!(told(&matcher, *host), whole.clone(), "host {}", host);
                for found in whole {
                    affected.entry(found.advisory.id.clone()).or_default().insert(*host);
                }
            }
            for number in 0..6 {
                let hosts = affected.remove(&id(number)).unwrap_or_default();
                prop_assert_eq!(matcher.affected_by(&id(number)), hosts, "advisory {}", number);
            }
            let distinct: std::collections::BTreeSet<_> = fleet.values().flatten().collect();
            prop_assert_eq!(matcher.distinct().0, distinct.len());
        }
    }
}

fn told(matcher: &Matcher, host: u32) -> Vec<Match> {
    let image = matcher.image_of(host).unwrap();
    matcher.matches_of(image).into_iter().flat_map(|(_, matches)| matches.found.clone()).collect()
}

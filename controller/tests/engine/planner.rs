//! The planner: what goes in, in which wave, and why the others do not.

use std::collections::{BTreeMap, BTreeSet};

use patchwave::rollout::Standing;
use patchwave::rollout::plan::{Emptied, ExclusionReason, WaveIndex};
use patchwave::rollout::planner::{PlanError, PlanRequest, plan};
use patchwave_common::domain::{Blocked, HostMode, QuarantineKey, RolloutId, Selector};

use crate::fleet::{Host, START, host_id, plan_for, policy, request, request_for, simple_fleet, three_waves, with_view};

const ALL_IN_ONE: &str = "name = \"p\"\n[[wave]]\nname = \"all\"\n";

fn reason_of(hosts: &[Host], request: &PlanRequest, policy_text: &str, host: &str) -> (ExclusionReason, String) {
    let (plan, _) = plan_for(hosts, request, &policy(policy_text)).unwrap();
    let excluded = plan.exclusion_of(&host_id(host)).unwrap_or_else(|| panic!("{host} is in the plan"));
    (excluded.reason, excluded.detail.clone())
}

#[test]
fn every_excluded_host_has_the_reason_that_keeps_it_out() {
    let base = || Host::new("a", "").offered("openssl", "1", "2");
    type Case = (ExclusionReason, Host);
    let with = |change: fn(&mut Host)| {
        let mut host = base();
        change(&mut host);
        host
    };
    let cases: Vec<Case> = vec![
        (ExclusionReason::ReportOnly, with(|host| host.mode = HostMode::ReportOnly)),
        (ExclusionReason::Retired, with(|host| host.standing = Standing::Retired)),
        (ExclusionReason::Cloned, with(|host| host.standing = Standing::Cloned)),
        (ExclusionReason::Stale, with(|host| host.standing = Standing::Stale)),
        (ExclusionReason::ClockOff, with(|host| host.standing = Standing::ClockOff)),
        (ExclusionReason::NoInventory, with(|host| host.reported = false)),
        (ExclusionReason::Held, with(|host| host.candidates[0].blocked = Some(Blocked::Held))),
        (ExclusionReason::Pinned, with(|host| host.candidates[0].blocked = Some(Blocked::Pinned))),
        (ExclusionReason::OtherHands, with(|host| host.facts.other_hands = vec!["apt-daily-upgrade.timer".to_owned()])),
        (ExclusionReason::Claimed, with(|host| host.claimed_by = Some(RolloutId::parse("r-other").unwrap()))),
        (ExclusionReason::LocalHold, with(|host| host.facts.hold = Some("release day".to_owned()))),
        (ExclusionReason::NoCandidate, with(|host| host.candidates.clear())),
        (ExclusionReason::AlreadyAtVersion, Host::new("a", "").has("openssl", "2")),
        (ExclusionReason::NotInstalled, Host::new("a", "").has("bash", "5")),
    ];
    for (wanted, host) in cases {
        let fleet = [host, Host::new("z", "").offered("openssl", "1", "2")];
        let (reason, _) = reason_of(&fleet, &request_for(&["openssl"]), ALL_IN_ONE, "a");
        assert_eq!(reason, wanted);
    }
}

#[test]
fn the_detail_names_what_stands_in_the_way() {
    let fleet = [Host::new("a", "").offered("openssl", "1", "2")];
    let cases = [
        ("name = \"p\"\nhosts = \"ring=last\"\n[[wave]]\nname = \"all\"\n", ExclusionReason::NotSelected, "ring=last"),
        ("name = \"p\"\n[patches]\nexclude = [\"openssl\"]\n[[wave]]\nname = \"all\"\n", ExclusionReason::NotAllowed, "patches.exclude"),
        ("name = \"p\"\n[[wave]]\nname = \"t\"\nhosts = \"ring=test\"\n", ExclusionReason::NoWave, ""),
    ];
    for (text, wanted, detail) in cases {
        let (reason, told) = reason_of(&fleet, &request(), text, "a");
        assert_eq!(reason, wanted);
        assert!(told.contains(detail), "{told} does not name {detail}");
    }
    let narrow = PlanRequest { selector: Selector::parse("id=b").unwrap(), ..request() };
    assert_eq!(reason_of(&fleet, &narrow, ALL_IN_ONE, "a").0, ExclusionReason::NotAskedFor);
    let other = PlanRequest { only: Some(BTreeSet::from([host_id("b")])), ..request() };
    assert_eq!(reason_of(&fleet, &other, ALL_IN_ONE, "a").0, ExclusionReason::NotAskedFor);
}

#[test]
fn a_quarantined_version_is_in_no_plan() {
    let fleet = [Host::new("a", "").offered("openssl", "1", "2").offered("curl", "7", "8")];
    let target = plan_for(&fleet, &request_for(&["openssl"]), &policy(ALL_IN_ONE)).unwrap().0.target_sets()[0].clone();
    let key = QuarantineKey {
        manager: target.manager,
        origin: target.targets[0].origin.clone(),
        source: target.targets[0].source.clone(),
        version: target.targets[0].to.clone(),
        architecture: target.targets[0].id.architecture.clone(),
    };
    let (plan, report) = with_view(&fleet, &BTreeSet::from([key]), |view| plan(view, &request(), &policy(ALL_IN_ONE), START)).unwrap();
    let names: Vec<&str> = plan.target_sets().iter().flat_map(|set| &set.targets).map(|target| target.id.name.as_str()).collect();
    assert_eq!(names, ["curl"]);
    assert_eq!((report.omitted[0].name.as_str(), report.omitted[0].reason), ("openssl", ExclusionReason::Quarantined));
}

#[test]
fn what_exists_nowhere_is_an_error_that_names_what_is_near() {
    let fleet = [Host::new("a", "").offered("openssl", "1", "2")];
    let error = plan_for(&fleet, &request_for(&["opensl"]), &policy(ALL_IN_ONE)).unwrap_err();
    assert!(matches!(&error, PlanError::NoSuchPackage { near, .. } if near == &["openssl"]), "{error}");
    assert!(error.to_string().contains("did you mean openssl?"));
    let error = plan_for(&fleet, &request_for(&["src:nginx"]), &policy(ALL_IN_ONE)).unwrap_err();
    assert!(error.to_string().contains("src:nginx"), "{error}");
    let error = plan_for(&fleet, &request_for(&["openssl=9"]), &policy(ALL_IN_ONE)).unwrap_err();
    assert!(error.to_string().contains("offered are 2"), "{error}");
}

#[test]
fn an_exact_version_takes_only_the_hosts_that_are_offered_it() {
    let fleet = [
        Host::new("a", "").offered("openssl", "1", "2"),
        Host::new("b", "").offered("openssl", "1", "3"),
        Host::new("c", "").has("openssl", "2"),
        Host::new("d", "").offered("openssl", "2", "3"),
    ];
    let (plan, _) = plan_for(&fleet, &request_for(&["openssl=2"]), &policy(ALL_IN_ONE)).unwrap();
    assert_eq!(plan.hosts().map(|host| host.id).collect::<Vec<_>>(), [host_id("a")]);
    let reasons: Vec<_> = plan.excluded().iter().map(|excluded| excluded.reason).collect();
    assert_eq!(reasons, [ExclusionReason::NotOffered, ExclusionReason::AlreadyAtVersion, ExclusionReason::AlreadyAtVersion]);
}

#[test]
fn a_source_moves_all_of_its_binary_packages() {
    let host = Host::new("a", "").has_from("libssl3", "amd64", "1", "openssl").has("openssl", "1").offered("curl", "7", "8");
    let host = host.candidate("libssl3", "amd64", "1", "2", "openssl", |_| {}).candidate("openssl", "amd64", "1", "2", "openssl", |_| {});
    let (plan, _) = plan_for(&[host], &request_for(&["src:openssl"]), &policy(ALL_IN_ONE)).unwrap();
    let names: Vec<&str> = plan.target_sets()[0].targets.iter().map(|target| target.id.name.as_str()).collect();
    assert_eq!(names, ["libssl3", "openssl"]);
}

#[test]
fn siblings_of_several_architectures_move_together_or_not_at_all() {
    let both = |blocked| {
        let host = Host::new("a", "").has("libc6", "1").has_from("libc6", "i386", "1", "libc6");
        host.candidate("libc6", "amd64", "1", "2", "libc6", |_| {})
            .candidate("libc6", "i386", "1", "2", "libc6", move |candidate| candidate.blocked = blocked)
    };
    let (plan, _) = plan_for(&[both(None)], &request_for(&["libc6"]), &policy(ALL_IN_ONE)).unwrap();
    assert_eq!(plan.target_sets()[0].targets.len(), 2);
    let (plan, _) = plan_for(&[both(Some(Blocked::Held))], &request(), &policy(ALL_IN_ONE)).unwrap();
    assert_eq!((plan.host_count(), plan.excluded()[0].reason), (0, ExclusionReason::Held));
    let alone = Host::new("a", "").has("libc6", "1").has_from("libc6", "i386", "1", "libc6");
    let alone = alone.candidate("libc6", "amd64", "1", "2", "libc6", |_| {});
    let (reason, detail) = reason_of(&[alone], &request(), ALL_IN_ONE, "a");
    assert_eq!(reason, ExclusionReason::Sibling);
    assert!(detail.contains("libc6:i386"), "{detail}");
}

#[test]
fn waves_fill_in_order_and_the_same_request_gives_the_same_plan() {
    let fleet = simple_fleet(10);
    let (plan, report) = plan_for(&fleet, &request(), &three_waves()).unwrap();
    assert_eq!(report.waves.iter().map(|wave| wave.hosts).collect::<Vec<_>>(), [2, 2, 8]);
    assert_eq!((report.updates.len(), report.updates[0].hosts), (1, 12));
    let mut shuffled = fleet.clone();
    shuffled.reverse();
    assert_eq!(plan_for(&shuffled, &request(), &three_waves()).unwrap().0, plan);
    let other = PlanRequest { rollout: RolloutId::parse("r-2").unwrap(), ..request() };
    let (other, _) = plan_for(&simple_fleet(200), &other, &three_waves()).unwrap();
    let (first, _) = plan_for(&simple_fleet(200), &request(), &three_waves()).unwrap();
    assert_ne!(canaries(&first), canaries(&other), "the rollout's id salts the choice");
}

fn canaries(plan: &patchwave::rollout::Plan) -> Vec<String> {
    plan.members(WaveIndex(1)).iter().map(|&host| plan.host(host).unwrap().to_string()).collect()
}

#[test]
fn canaries_cover_every_kind_of_production_host() {
    let mut fleet: Vec<Host> = (0..90).map(|number| Host::new(&format!("big-{number:02}"), "").offered("openssl", "1", "2")).collect();
    fleet.push(Host::new("old-1", "").release("11").offered("openssl", "1", "2"));
    fleet.push(Host::new("rare-1", "").offered("openssl", "1", "2").offered("nginx", "1", "2"));
    fleet.push(Host::new("test-1", "ring=test").offered("openssl", "1", "2"));
    let mut away = Host::new("laptop-1", "").release("10").offered("openssl", "1", "2");
    away.rarely_there = true;
    fleet.push(away);
    let text = "name = \"p\"\n[[wave]]\nname = \"c\"\nkind = \"canary\"\nsize = 3\n[[wave]]\nname = \"r\"\n";
    let (plan, report) = plan_for(&fleet, &request(), &policy(text)).unwrap();
    let chosen: BTreeSet<String> = plan.members(WaveIndex(0)).iter().map(|&host| plan.host(host).unwrap().to_string()).collect();
    assert!(chosen.contains("old-1") && chosen.contains("rare-1"), "{chosen:?}");
    assert!(!chosen.contains("laptop-1") && !chosen.contains("test-1"), "{chosen:?}");
    assert_eq!(report.waves[0].kinds, 3);
}

#[test]
fn an_empty_wave_says_why() {
    let text = "name = \"p\"\n[[wave]]\nname = \"t\"\nhosts = \"ring=test\"\n[[wave]]\nname = \"all\"\n[[wave]]\nname = \"late\"\n";
    let emptied = |test_host: Option<Host>| {
        let fleet: Vec<Host> = test_host.into_iter().chain([Host::new("a", "").offered("openssl", "1", "2")]).collect();
        let (plan, _) = plan_for(&fleet, &request_for(&["openssl"]), &policy(text)).unwrap();
        (plan.planned_wave(WaveIndex(0)).unwrap().emptied, plan.planned_wave(WaveIndex(2)).unwrap().emptied)
    };
    assert_eq!(emptied(None), (Some(Emptied::NoHost), Some(Emptied::TakenEarlier)));
    assert_eq!(emptied(Some(Host::new("t", "ring=test").has("openssl", "2"))).0, Some(Emptied::UpToDate));
    assert_eq!(emptied(Some(Host::new("t", "ring=test").has("bash", "2"))).0, Some(Emptied::Excluded));
}

#[test]
fn a_share_of_a_small_wave_is_at_least_one_host() {
    let text = "name = \"p\"\n[[wave]]\nname = \"few\"\nsize = \"10%\"\n[[wave]]\nname = \"all\"\n";
    let (plan, _) = plan_for(&simple_fleet(3), &request(), &policy(text)).unwrap();
    assert_eq!(plan.members(WaveIndex(0)).len(), 1);
}

#[test]
fn target_sets_and_sites_are_kept_once() {
    let (plan, _) = plan_for(&simple_fleet(50), &request(), &three_waves()).unwrap();
    assert_eq!(plan.target_sets().len(), 1);
    assert_eq!(plan.header().sites, ["", "ams", "fra"]);
    let by_site: BTreeMap<u32, usize> = plan.indexes().fold(BTreeMap::new(), |mut counts, host| {
        *counts.entry(plan.site_of(host).unwrap()).or_default() += 1;
        counts
    });
    assert_eq!(by_site, BTreeMap::from([(0, 2), (1, 25), (2, 25)]));
}

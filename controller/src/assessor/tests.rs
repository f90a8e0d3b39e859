#![allow(clippy::unwrap_used, clippy::panic)]
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{
    Candidate, CandidateSet, HostFacts, HostId, InstalledPackage, Inventory, Manager, Origin, PackageName, PackageVersion, Timestamp,
};

use super::*;
use crate::finding::{FindingState, transitions};
use crate::finding_log;
use crate::records::FeedKind;
use crate::refresh::tests::{Desk, record};
use crate::store::{Change, Store, Write, open_memory, testing};

struct World {
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    desk: Desk,
    source: tempfile::TempDir,
}

fn id() -> HostId {
    HostId::parse("h-aaaaaaaaaaaaaaaa").unwrap()
}

fn package(name: &str, version: &str) -> InstalledPackage {
    testing::package(name, version)
}

impl World {
    async fn new(release: &str) -> Self {
        let store = open_memory().unwrap();
        let fleet = Arc::new(Fleet::new(Timestamp(0), Duration::ZERO));
        let mut host = testing::host(id().as_str());
        host.facts = HostFacts { os: "debian".into(), release: release.into(), hostname: "web-1".into(), ..host.facts };
        host.inventory = None;
        host.candidates = None;
        store.write(Write::new(vec![Change::PutHost(Box::new(host.clone()))])).unwrap();
        fleet.put_record(host);
        let desk = Desk::over(&store, fleet.clone()).await;
        let world = Self { store, fleet, desk, source: tempfile::tempdir().unwrap() };
        world.advise("CVE-2026-1", "openssl", "3").await;
        world.desk.add("debian", FeedKind::Osv, world.source.path()).await;
        world.refresh().await;
        world
    }

    async fn advise(&self, id: &str, package: &str, fixed: &str) {
        std::fs::write(self.source.path().join(format!("{id}.json")), record(id, package, fixed)).unwrap();
    }

    async fn refresh(&self) {
        self.desk.feeds.refresh(&FeedName::parse("debian").unwrap(), true).await.unwrap();
    }

    fn install(&self, packages: &[(&str, &str)]) {
        let inventory = Inventory::new(Manager::Dpkg, packages.iter().map(|(name, version)| package(name, version)));
        self.fleet.set_inventory(&id(), self.fleet.shared_inventory(inventory));
    }

    fn offer(&self, name: &str, from: &str, to: &str) {
        let installed = package(name, from);
        let candidate = Candidate {
            id: installed.id.clone(),
            from: installed.version.clone(),
            to: PackageVersion::parse(to).unwrap(),
            source: PackageName::parse(name).unwrap(),
            source_version: PackageVersion::parse(to).unwrap(),
            origin: Origin { label: "Debian-Security".into(), suite: "stable-security".into(), ..Origin::default() },
            sha256: None,
            size_bytes: 0,
            blocked: None,
        };
        self.fleet.set_candidates(&id(), Arc::new(CandidateSet::new(vec![candidate])));
    }

    /// The host as the assessor has it once it has seen everything.
    async fn seen(&self) -> Assessed {
        for _ in 0..1_000 {
            let (settled, host) = self.desk.assessor.ask(|assessor| (assessor.is_settled(), assessor.host(&id()).cloned())).await.unwrap();
            if let (true, Some(host)) = (settled, host) {
                return host;
            }
            tokio::task::yield_now().await;
        }
        panic!("the assessor never settles");
    }

    async fn state(&self) -> Option<FindingState> {
        self.seen().await.findings.0.values().next().map(|finding| finding.state)
    }
}

#[tokio::test]
async fn a_finding_follows_its_host_and_its_feed_and_every_step_is_in_the_log() {
    let world = World::new("12").await;
    world.install(&[("openssl", "2")]);
    assert_eq!(world.state().await, Some(FindingState::Open));
    world.offer("openssl", "2", "3");
    assert_eq!(world.state().await, Some(FindingState::FixAvailable));
    world.install(&[("openssl", "3")]);
    // No agent has told what runs.
    assert_eq!(world.state().await, Some(FindingState::RestartPending));
    world.install(&[("openssl", "2")]);
    assert_eq!(world.state().await, Some(FindingState::FixAvailable), "a downgrade opens it again");
    std::fs::remove_file(world.source.path().join("CVE-2026-1.json")).unwrap();
    world.advise("CVE-2026-9", "other", "3").await;
    world.refresh().await;
    assert_eq!(world.state().await, Some(FindingState::Withdrawn));
    let log = world.store.finding_log(&id(), 0, 100).unwrap();
    let states: Vec<String> = log
        .iter()
        .flat_map(|entry| finding_log::read(&world.store.finding_batch(&entry.batch).unwrap().unwrap()).unwrap())
        .map(|told| told.finding.state.to_string())
        .collect();
    assert_eq!(states, ["open", "fix-available", "restart-pending", "fix-available", "withdrawn"]);
}

#[tokio::test]
async fn a_later_run_knows_the_same_findings_and_when_fixes_were_first_seen() {
    let world = World::new("12").await;
    world.install(&[("openssl", "2")]);
    world.offer("openssl", "2", "3");
    let before = world.seen().await;
    let seen_at = world.desk.clock.now();
    let desk = Desk::over(&world.store, world.fleet.clone()).await;
    desk.clock.advance(Duration::from_secs(99));
    let after = desk.assessor.ask(|assessor| assessor.host(&id()).cloned()).await.unwrap().unwrap();
    assert_eq!(transitions(&before.findings, &after.findings), []);
    assert_eq!(before.findings, after.findings);
    assert_eq!(world.store.finding_log(&id(), 0, 100).unwrap().len() as u64, after.next);
    let fixes = world.store.fixes(None, 10).unwrap();
    assert_eq!(fixes.iter().map(|fix| fix.first_seen).collect::<Vec<_>>(), [seen_at], "seeing it again changes nothing");
}

#[tokio::test]
async fn a_host_of_which_no_feed_speaks_is_unknown_and_keeps_what_it_had() {
    let world = World::new("11").await;
    world.install(&[("openssl", "2")]);
    let host = world.seen().await;
    assert_eq!((host.coverage.as_str(), host.findings.0.len()), ("no-advisories", 0));
    let covered = World::new("12").await;
    covered.install(&[("openssl", "2")]);
    assert_eq!(covered.state().await, Some(FindingState::Open));
    covered.desk.feeds.remove(&FeedName::parse("debian").unwrap()).await.unwrap();
    let host = covered.seen().await;
    assert_eq!(host.coverage.as_str(), "no-advisories");
    assert_eq!(host.findings.0.values().next().unwrap().state, FindingState::Open, "unknown is not clean");
}

#[tokio::test]
async fn a_ruling_counts_from_the_first_sight_of_the_fix() {
    let world = World::new("12").await;
    world.install(&[("openssl", "2")]);
    world.offer("openssl", "2", "3");
    world.seen().await;
    let seen_at = world.desk.clock.now();
    world.desk.clock.advance(Duration::from_secs(3_600));
    world.refresh().await;
    let ruling = world.desk.assessor.ask(|assessor| {
        let host = assessor.fleet.get(&id()).unwrap();
        let assessed = assessor.host(&id()).unwrap();
        let (key, finding) = assessed.findings.0.iter().next().unwrap();
        Rulings::new(assessor).rule(&host, key, finding).unwrap()
    });
    let ruling = ruling.await.unwrap();
    assert_eq!(ruling.fix_seen, Some(seen_at));
    // Nobody rated it, so it is medium: a day for the test and seven more.
    assert_eq!(ruling.deadline.unwrap().due, seen_at.plus(Duration::from_secs(8 * 86_400)));
    assert!(!ruling.is_overdue(seen_at));
}

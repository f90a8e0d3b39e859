//! Fleets and policies for tests.

use std::collections::BTreeSet;
use std::str::FromStr;

use patchwave::records::Actor;
use patchwave::rollout::planner::{FleetView, PlanError, PlanReport, PlanRequest, PlanningHost, RequestKind, UpdateRequest, plan};
use patchwave::rollout::{Plan, Standing};
use patchwave_common::domain::policy::{Policy, parse_policy};
use patchwave_common::domain::{
    Architecture, Candidate, CandidateSet, HostFacts, HostId, HostMode, InstallState, InstalledPackage, Inventory, Labels, Manager, Mark,
    OperatorName, Origin, PackageId, PackageName, PackageVersion, QuarantineKey, RolloutId, Selector, Timestamp,
};

pub const START: Timestamp = Timestamp(1_790_000_000_000);

/// One host, owned.
#[derive(Clone)]
pub struct Host {
    pub id: HostId,
    pub labels: Labels,
    pub facts: HostFacts,
    pub mode: HostMode,
    pub standing: Standing,
    pub installed: Vec<InstalledPackage>,
    pub candidates: Vec<Candidate>,
    pub reported: bool,
    pub claimed_by: Option<RolloutId>,
    pub rarely_there: bool,
}

pub fn host_id(name: &str) -> HostId {
    HostId::parse(name).unwrap()
}

pub fn alice() -> Actor {
    Actor::Operator(OperatorName::parse("alice").unwrap())
}

pub fn rollout_id() -> RolloutId {
    RolloutId::parse("r-1").unwrap()
}

impl Host {
    /// A managed Debian 12 host with labels as people write them and nothing installed.
    pub fn new(id: &str, labels: &str) -> Self {
        let pairs = labels.split(',').filter(|pair| !pair.is_empty()).map(|pair| Labels::parse_pair(pair).unwrap());
        let facts = HostFacts { hostname: id.to_owned(), os: "debian".to_owned(), release: "12".to_owned(), ..HostFacts::default() };
        Self {
            id: host_id(id),
            labels: Labels(pairs.collect()),
            facts,
            mode: HostMode::Managed,
            standing: Standing::Eligible,
            installed: Vec::new(),
            candidates: Vec::new(),
            reported: true,
            claimed_by: None,
            rarely_there: false,
        }
    }

    pub fn release(mut self, release: &str) -> Self {
        self.facts.release = release.to_owned();
        self
    }

    /// Has a package, which its source of the same name gives.
    pub fn has(self, name: &str, version: &str) -> Self {
        self.has_from(name, "amd64", version, name)
    }

    pub fn has_from(mut self, name: &str, architecture: &str, version: &str, source: &str) -> Self {
        self.installed.push(InstalledPackage {
            id: package_id(name, architecture),
            version: PackageVersion::parse(version).unwrap(),
            source: PackageName::parse(source).unwrap(),
            source_version: PackageVersion::parse(version).unwrap(),
            state: InstallState::Installed,
            mark: Mark::Manual,
            held: false,
        });
        self
    }

    /// Has a package and could get another version of it from the security archive.
    pub fn offered(self, name: &str, from: &str, to: &str) -> Self {
        self.has(name, from).candidate(name, "amd64", from, to, name, |_| {})
    }

    pub fn candidate(
        mut self,
        name: &str,
        architecture: &str,
        from: &str,
        to: &str,
        source: &str,
        change: impl FnOnce(&mut Candidate),
    ) -> Self {
        let mut candidate = Candidate {
            id: package_id(name, architecture),
            from: PackageVersion::parse(from).unwrap(),
            to: PackageVersion::parse(to).unwrap(),
            source: PackageName::parse(source).unwrap(),
            source_version: PackageVersion::parse(to).unwrap(),
            origin: Origin {
                origin: "Debian".to_owned(),
                label: "Debian-Security".to_owned(),
                suite: "stable-security".to_owned(),
                ..Origin::default()
            },
            sha256: None,
            size_bytes: 1000,
            blocked: None,
        };
        change(&mut candidate);
        self.candidates.push(candidate);
        self
    }
}

pub fn package_id(name: &str, architecture: &str) -> PackageId {
    PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse(architecture).unwrap() }
}

/// A request for everything that the policy allows.
pub fn request() -> PlanRequest {
    PlanRequest {
        rollout: rollout_id(),
        by: alice(),
        policy_revision: 7,
        selector: Selector::default(),
        only: None,
        updates: Vec::new(),
        kind: RequestKind::Apply,
    }
}

pub fn request_for(updates: &[&str]) -> PlanRequest {
    PlanRequest { updates: updates.iter().map(|update| UpdateRequest::from_str(update).unwrap()).collect(), ..request() }
}

pub fn policy(text: &str) -> Policy {
    parse_policy(text).unwrap()
}

/// Test ring, two canaries, the rest; limits that a simulation reaches.
pub fn three_waves() -> Policy {
    policy(
        r#"
        name = "web"
        [limits]
        failures = 2
        max_unavailable = "50%"
        max_in_flight_per_site = 4
        not_staged = 3
        [health]
        patience = "1m"
        settle = "10s"
        silence = "10m"
        [offline]
        budget = 1
        grace = "5m"
        deadline = "2d"
        catch_up_per_minute = 2
        [[wave]]
        name = "test"
        kind = "test"
        hosts = "ring=test"
        soak = "10m"
        time_limit = "6h"
        [[wave]]
        name = "canary"
        kind = "canary"
        size = 2
        soak = "20m"
        time_limit = "6h"
        [[wave]]
        name = "rest"
        soak = "10m"
        failure_limit = 2
        max_in_flight = 3
        time_limit = "12h"
        "#,
    )
}

/// Two hosts of the test ring and `production` others, all offered one update.
pub fn simple_fleet(production: usize) -> Vec<Host> {
    let test = (0..2).map(|number| Host::new(&format!("test-{number}"), "ring=test"));
    let others =
        (0..production).map(|number| Host::new(&format!("web-{number:02}"), if number % 2 == 0 { "site=ams" } else { "site=fra" }));
    test.chain(others).map(|host| host.offered("openssl", "3.0.14", "3.0.15")).collect()
}

/// Borrows a fleet in the planner's form.
pub fn with_view<T>(hosts: &[Host], quarantine: &BTreeSet<QuarantineKey>, act: impl FnOnce(&FleetView<'_>) -> T) -> T {
    let reports: Vec<(Option<Inventory>, Option<CandidateSet>)> = hosts
        .iter()
        .map(|host| {
            let inventory = Inventory::new(Manager::Dpkg, host.installed.clone());
            let candidates = CandidateSet::new(host.candidates.clone());
            if host.reported { (Some(inventory), Some(candidates)) } else { (None, None) }
        })
        .collect();
    let hosts: Vec<PlanningHost<'_>> = hosts
        .iter()
        .zip(&reports)
        .map(|(host, (inventory, candidates))| PlanningHost {
            id: &host.id,
            labels: &host.labels,
            facts: &host.facts,
            mode: host.mode,
            state: "online",
            standing: host.standing,
            candidates: candidates.as_ref(),
            inventory: inventory.as_ref(),
            claimed_by: host.claimed_by.as_ref(),
            rarely_there: host.rarely_there,
        })
        .collect();
    act(&FleetView { hosts: &hosts, quarantine, active: &[] })
}

pub fn plan_for(hosts: &[Host], request: &PlanRequest, policy: &Policy) -> Result<(Plan, PlanReport), PlanError> {
    with_view(hosts, &BTreeSet::new(), |view| plan(view, request, policy, START))
}

#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::advisory::matching::{AdvisorySet, Matches, PackageKey};
use crate::advisory::osv;
use crate::advisory::record::Space;

/// A host that can be changed bit by bit, and looked at.
#[derive(Debug, Clone, Default)]
struct Host {
    advisories: AdvisorySet,
    packages: Vec<(&'static str, u8)>,
    available: BTreeMap<Arc<str>, Vec<Available>>,
    scheduled: BTreeMap<Arc<str>, (Arc<str>, String)>,
    running: Running,
    exceptions: Vec<Exception>,
    findings: FindingSet,
}

impl Host {
    /// A host with packages, whose agent sees everything.
    fn new(packages: &[(&'static str, u8)]) -> Self {
        Self { packages: packages.to_vec(), running: Running { complete: true, ..Running::default() }, ..Self::default() }
    }

    /// An advisory about a package, fixed in a version or not at all.
    fn advise(mut self, id: u8, package: &str, fixed: Option<u8>) -> Self {
        let fixed = fixed.map_or(String::new(), |fixed| format!(",{{\"fixed\":\"{fixed}\"}}"));
        let text = format!(
            r#"{{"id":"DSA-{id}","upstream":["CVE-2026-{id}"],"affected":[{{"package":{{"ecosystem":"Debian:12","name":"{package}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}{fixed}]}}]}}]}}"#
        );
        self.advisories.insert(Arc::new(osv::parse(text.as_bytes()).unwrap().advisory));
        self
    }

    fn offer(mut self, package: &str, version: u8, blocked: Option<&str>) -> Self {
        let offer = Available { version: version.to_string().into(), blocked: blocked.map(str::to_owned) };
        self.available.entry(package.into()).or_default().push(offer);
        self
    }

    fn used_by(mut self, package: &str, name: &str) -> Self {
        let holder = Holder { pid: 7, name: name.into(), unit: Some(format!("{name}.service")) };
        self.running.holders.insert(package.into(), vec![holder]);
        self
    }

    fn except(mut self, kind: ExceptionKind, advisory: Option<&str>, source: Option<&str>) -> Self {
        let advisory = advisory.map(|id| AdvisoryId::parse(id).unwrap());
        self.exceptions.push(Exception { kind, advisory, source: source.map(Into::into), reason: "anna: behind a filter".into() });
        self
    }

    /// Looks once more; gives what changed.
    fn look(&mut self) -> Vec<Transition> {
        let space = Space::parse("Debian:12").unwrap();
        let keys: Vec<PackageKey> = self
            .packages
            .iter()
            .map(|(name, version)| PackageKey { space: space.clone(), name: (*name).into(), version: version.to_string().into() })
            .collect();
        let matches: Vec<Matches> = keys.iter().map(|key| self.advisories.matches(key)).collect();
        let installed: Vec<_> = keys.iter().zip(&matches).map(|(key, matches)| (key, matches.found.as_slice())).collect();
        let view = View {
            advisories: &self.advisories,
            installed: &installed,
            available: &self.available,
            scheduled: &self.scheduled,
            running: &self.running,
            exceptions: &self.exceptions,
        };
        let after = step(&self.findings, &view);
        assert_eq!(step(&after, &view), after, "looking again changes nothing");
        let changed = transitions(&self.findings, &after);
        self.findings = after;
        changed
    }

    /// The state of the only finding, and its evidence.
    fn only(&mut self) -> (FindingState, String) {
        self.look();
        assert_eq!(self.findings.0.len(), 1, "{:?}", self.findings);
        let finding = self.findings.0.values().next().unwrap();
        (finding.state, finding.evidence.clone())
    }
}

use FindingState::{FixAvailable, Fixed, Mitigated, NotAffected, Open, Removed, RestartPending, Scheduled, Waived, Withdrawn};

#[test]
fn a_hole_is_open_until_the_host_can_get_what_closes_it() {
    assert_eq!(Host::new(&[("a", 1)]).advise(1, "a", None).only(), (Open, "1 is installed, and there is no fix yet".into()));
    let host = Host::new(&[("a", 1)]).advise(1, "a", Some(3));
    assert_eq!(host.clone().only().0, Open, "a fix that nothing offers");
    assert_eq!(host.clone().offer("a", 2, None).only().0, Open, "an update that does not close it");
    assert_eq!(
        host.clone().offer("a", 3, Some("held on the host")).only(),
        (Open, "1 is installed; the host may not get 3: held on the host".into())
    );
    let mut host = host.offer("a", 4, None);
    assert_eq!(host.only(), (FixAvailable, "1 is installed; the host can get 4".into()));
    host.scheduled.insert("a".into(), ("4".into(), "r-1".into()));
    assert_eq!(host.only(), (Scheduled, "1 is installed; rollout r-1 brings 4".into()));
}

#[test]
fn an_installed_fix_is_not_a_running_fix() {
    let mut host = Host::new(&[("openssl", 1)]).advise(1, "openssl", Some(3)).offer("openssl", 3, None);
    host.look();
    host = host.used_by("openssl", "nginx");
    host.packages = vec![("openssl", 3)];
    assert_eq!(host.only(), (RestartPending, "3 is installed; 1 is still used by nginx (process 7, nginx.service)".into()));
    host.running.holders.clear();
    let changed = host.look();
    assert_eq!((changed[0].from, changed[0].to), (Some(RestartPending), Fixed));
    host.packages = vec![("openssl", 2)];
    assert_eq!(host.look()[0].from, Some(Fixed), "a downgrade opens it again");
    assert_eq!(host.only().0, FixAvailable);
}

#[test]
fn an_agent_that_does_not_see_every_process_closes_nothing() {
    let mut host = Host::new(&[("a", 1)]).advise(1, "a", Some(2));
    host.running.complete = false;
    host.look();
    host.packages = vec![("a", 2)];
    let (state, evidence) = host.only();
    assert!(state == RestartPending && evidence.contains("did not look into every process"), "{evidence}");
}

#[test]
fn a_removed_package_is_no_hole_once_nothing_of_it_runs() {
    let mut host = Host::new(&[("a", 1)]).advise(1, "a", None);
    host.look();
    host = host.used_by("a", "worker");
    host.packages.clear();
    assert_eq!(host.only().0, RestartPending);
    host.running.holders.clear();
    assert_eq!(host.only().0, Removed);
}

#[test]
fn a_withdrawn_or_corrected_advisory_closes_its_findings_and_says_so() {
    let mut host = Host::new(&[("a", 1)]).advise(1, "a", None);
    host.look();
    let mut withdrawn = host.clone();
    let mut advisory = (**withdrawn.advisories.get(&AdvisoryId::parse("DSA-1").unwrap()).unwrap()).clone();
    advisory.withdrawn = Some(Timestamp(0));
    withdrawn.advisories.insert(Arc::new(advisory));
    assert_eq!(withdrawn.only().0, Withdrawn);
    let mut corrected = host.advise(1, "a", Some(1));
    assert_eq!(corrected.only().0, Withdrawn);
    let mut again = corrected.advise(1, "a", Some(2));
    assert_eq!(again.only().0, Open);
}

#[test]
fn of_kernels_the_booted_one_counts() {
    let host = |booted: Option<u8>, installed: &[u8]| {
        let packages: Vec<_> = installed.iter().map(|version| ("linux", *version)).collect();
        let mut host = Host::new(&packages).advise(1, "linux", Some(5)).offer("linux", 5, None);
        host.running.kernel = booted.map(|version| version.to_string().into());
        host
    };
    assert_eq!(host(Some(4), &[3, 4]).only().0, FixAvailable);
    assert_eq!(host(Some(4), &[4, 5]).only(), (RestartPending, "kernel 4 is booted; 5 is installed and waits for a reboot".into()));
    assert_eq!(host(Some(5), &[4, 5]).look(), [], "the kernel before stays for the way back");
    let mut rebooted = host(Some(4), &[4, 5]);
    rebooted.look();
    rebooted.running.kernel = Some("5".into());
    assert_eq!(rebooted.only(), (Fixed, "kernel 5 is booted".into()));
    rebooted.running.kernel = Some("4".into());
    assert_eq!(rebooted.only().0, RestartPending, "booted back");
    assert_eq!(host(None, &[4, 5]).look(), [], "a container boots none: the newest counts");
    assert_eq!(host(None, &[4]).only().0, FixAvailable);
    assert_eq!(host(Some(3), &[4, 5]).only().0, RestartPending, "the booted one was removed since");
}

#[test]
fn exceptions_change_the_state_hide_nothing_and_end() {
    let host = Host::new(&[("a", 1)]).advise(1, "a", None);
    assert_eq!(host.clone().except(ExceptionKind::Waived, Some("CVE-2026-1"), None).only(), (Waived, "anna: behind a filter".into()));
    assert_eq!(host.clone().except(ExceptionKind::Mitigated, None, Some("a")).only().0, Mitigated);
    assert_eq!(host.clone().except(ExceptionKind::NotAffected, Some("DSA-1"), Some("a")).only().0, NotAffected);
    assert_eq!(host.clone().except(ExceptionKind::Waived, Some("CVE-2026-2"), None).only().0, Open);
    assert_eq!(host.clone().except(ExceptionKind::Waived, None, Some("b")).only().0, Open);
    let mut waived = host.except(ExceptionKind::Waived, None, None);
    waived.look();
    waived.exceptions.clear();
    assert_eq!(waived.look()[0].from, Some(Waived), "an expired waiver opens it again");
}

#[test]
fn states_have_one_name_each() {
    let names: std::collections::BTreeSet<_> = FindingState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(names.len(), FindingState::ALL.len());
    assert!(FindingState::ALL.iter().all(|state| !(state.is_closed() && state.is_excepted())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever happens to a host: nothing is forgotten, nothing with the hole is closed, and nothing is fixed while old code may run.
    #[test]
    fn no_finding_is_lost_or_closed_too_early(
        looks in proptest::collection::vec(
            (proptest::collection::vec((0usize..3, 0u8..6), 0..4), proptest::option::of(0u8..6), any::<bool>(), any::<bool>(), 0u8..6), 1..8),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "linux"];
        let mut host = Host::new(&[]);
        for (number, (packages, booted, complete, held, fix)) in (0u8..).zip(looks) {
            host = host.advise(number % 4, NAMES[usize::from(number) % 3], (fix > 0).then_some(fix));
            host.packages = packages.iter().map(|(name, version)| (NAMES[*name], *version)).collect();
            host.packages.sort_unstable();
            host.packages.dedup();
            host.running = Running { complete, kernel: booted.map(|version| version.to_string().into()), ..Running::default() };
            if held {
                host = host.used_by("a", "worker");
            }
            let before = host.findings.clone();
            for change in host.look() {
                prop_assert_ne!(change.from, Some(change.to));
                if change.to == Fixed && change.key.source.as_ref() != "linux" {
                    prop_assert!(complete && !(held && change.key.source.as_ref() == "a"), "{change:?}");
                }
            }
            prop_assert!(before.0.keys().all(|key| host.findings.0.contains_key(key)));
            let space = Space::parse("Debian:12").unwrap();
            for (name, version) in host.packages.iter().filter(|(name, _)| *name != "linux") {
                let key = PackageKey { space: space.clone(), name: (*name).into(), version: version.to_string().into() };
                for found in host.advisories.matches(&key).found {
                    let key = FindingKey { advisory: found.advisory.id.clone(), source: (*name).into() };
                    prop_assert!(!host.findings.0[&key].state.is_closed(), "{key:?}");
                }
            }
        }
    }
}

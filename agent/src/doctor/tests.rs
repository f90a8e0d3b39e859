//! Each check on a machine made for it, with a sound machine beside it on which nothing is found.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use patchwave_common::domain::{Architecture, InstallState, Mark, PackageName, PackageVersion};
use patchwave_common::runtime::atomic_file;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
    date_time_ymd,
};

use super::*;
use crate::config::Overrides;
use crate::hold;
use crate::identity::IdentityStore;
use crate::packages::simulated::{Simulated, SimulatedPackage};
use crate::run::lock::InstanceLock;

/// A machine that runs systemd, with an enrolled agent and one package.
struct Machine {
    directory: tempfile::TempDir,
    packages: Simulated,
    /// First and last second of the certificate, from now.
    validity: (i64, i64),
    _running: Option<InstanceLock>,
}

impl Machine {
    fn sound() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["machine/run/systemd/system", "machine/var", "machine/usr", "machine/boot", "checks.d", "hooks.d"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        atomic_file::private_directory(&path("state")).unwrap();
        let packages = Simulated::open(&path("root")).unwrap();
        let architecture = Architecture::parse("all").unwrap();
        let package = SimulatedPackage::new(PackageName::parse("web").unwrap(), PackageVersion::parse("1").unwrap(), architecture);
        packages.install(&package, Mark::Manual).unwrap();
        let _running = Some(InstanceLock::take(&path("state")).unwrap());
        Self { directory, packages, validity: (-3600, 36_000), _running }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn enrol(&self) {
        let at = |offset: i64| {
            let seconds = SystemClock::new().now().0 / 1000 + offset;
            date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap())
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.subject_alt_names = vec![SanType::URI("spiffe://fleet".try_into().unwrap())];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI("spiffe://fleet/host/h-1".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (at(self.validity.0), at(self.validity.1));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let text = format!(
            "url = \"https://localhost:1\"\nmode = \"managed\"\nauthority = '''\n{}'''\ncertificate = '''\n{}'''\nkey = '''\n{}'''\n",
            authority.pem(),
            certificate.pem(),
            key.serialize_pem()
        );
        atomic_file::write(&self.path("state/identity.toml"), text.as_bytes(), atomic_file::MODE_SECRET).unwrap();
    }

    fn subject(&self) -> Subject {
        let config = self.path("agent.toml");
        let text = format!(
            "state_dir = {:?}\nchecks_dir = {:?}\nhooks_dir = {:?}\n[packages]\nmanager = \"simulated\"\nroot = {:?}\nkeep_free_mib = 1\n",
            self.path("state"),
            self.path("checks.d"),
            self.path("hooks.d"),
            self.path("root")
        );
        std::fs::write(&config, text).unwrap();
        if !self.path("state/identity.toml").exists() {
            self.enrol();
        }
        let settings = Settings::load(Some(&config), Overrides::default()).unwrap();
        Subject {
            identity: IdentityStore::new(&settings.state_dir).load(),
            packages: crate::run::open::open_packages(&settings),
            machine: self.path("machine"),
            now: SystemClock::new().now(),
            offline: true,
            settings,
        }
    }

    fn found(&self) -> Vec<(Severity, &'static str, String)> {
        let findings = examine(&self.subject());
        findings.into_iter().map(|finding| (finding.severity, finding.check, finding.what)).collect()
    }

    /// The only finding there is.
    fn only(&self) -> (Severity, &'static str, String) {
        let mut found = self.found();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

#[test]
fn nothing_is_found_on_a_sound_machine() {
    assert_eq!(Machine::sound().found(), []);
}

#[test]
fn a_machine_that_is_not_enrolled_or_whose_agent_does_not_run_is_told() {
    let mut machine = Machine::sound();
    machine._running = None;
    let (severity, check, _) = machine.only();
    assert_eq!((severity, check), (Severity::Warning, "agent"));
    let mut subject = machine.subject();
    IdentityStore::new(&subject.settings.state_dir).remove().unwrap();
    subject.identity = IdentityStore::new(&subject.settings.state_dir).load();
    let findings = examine(&subject);
    assert_eq!((findings[0].severity, findings[0].check), (Severity::Error, "enrolment"));
    assert_eq!(findings[0].hint, "run `patchwave-agent enroll`");
}

#[test]
fn each_age_of_the_certificate_has_its_finding() {
    const DAY: i64 = 86_400;
    let judged = |validity| {
        let machine = Machine { validity, ..Machine::sound() };
        machine.only()
    };
    let (severity, _, what) = judged((-10 * DAY, DAY));
    assert_eq!(severity, Severity::Warning);
    assert!(what.contains("should have been renewed"), "{what}");
    let (severity, _, what) = judged((-10 * DAY, -DAY));
    assert_eq!(severity, Severity::Warning, "it can renew itself: {what}");
    let (severity, _, what) = judged((-200 * DAY, -100 * DAY));
    assert_eq!(severity, Severity::Error);
    assert!(what.contains("too long ago"), "{what}");
    let (severity, _, what) = judged((DAY, 2 * DAY));
    assert_eq!(severity, Severity::Error);
    assert!(what.contains("this machine's clock is behind"), "{what}");
}

#[test]
fn other_hands_held_packages_and_a_hold_are_told() {
    let machine = Machine::sound();
    machine.packages.change(|state| state.other_hands = vec!["apt-daily-upgrade.timer".into()]).unwrap();
    let (severity, check, what) = machine.only();
    assert_eq!((severity, check), (Severity::Warning, "other-hands"));
    assert!(what.contains("apt-daily-upgrade.timer"), "{what}");

    let machine = Machine::sound();
    machine.packages.change(|state| state.installed.get_mut("web:all").unwrap().held = true).unwrap();
    let (severity, check, what) = machine.only();
    assert_eq!((severity, check), (Severity::Warning, "held-packages"));
    assert!(what.contains("web:all"), "{what}");

    let machine = Machine::sound();
    hold::set(&machine.path("state"), "closing", SystemClock::new().now()).unwrap();
    let (severity, check, what) = machine.only();
    assert_eq!((severity, check), (Severity::Note, "hold"));
    assert!(what.contains("closing"), "{what}");
}

#[test]
fn an_interrupted_transaction_is_an_error_unless_somebody_is_at_it() {
    let machine = Machine::sound();
    machine.packages.change(|state| state.installed.get_mut("web:all").unwrap().state = InstallState::Incomplete).unwrap();
    let (severity, check, what) = machine.only();
    assert_eq!((severity, check), (Severity::Error, "package-database"));
    assert!(what.contains("half-way are web:all"), "{what}");
    machine.packages.change(|state| state.locked = true).unwrap();
    let (severity, _, what) = machine.only();
    assert_eq!(severity, Severity::Note, "{what}");
}

#[test]
fn a_broken_source_is_an_error_that_names_it() {
    let machine = Machine::sound();
    machine.packages.change(|state| state.broken_source = Some("404 Not Found".into())).unwrap();
    let findings = examine(&Subject { offline: false, ..machine.subject() });
    let source = findings.iter().find(|finding| finding.check == "package-sources").unwrap();
    assert_eq!(source.severity, Severity::Error);
    assert!(source.what.contains("404 Not Found") && source.hint == "mend the simulated archive", "{source:?}");
    let route = findings.iter().find(|finding| finding.check == "controller").unwrap();
    assert_eq!(route.severity, Severity::Error);
    assert!(route.what.contains("localhost:1"), "{route:?}");
}

#[test]
fn a_state_directory_that_others_may_enter_is_told() {
    let machine = Machine::sound();
    std::fs::set_permissions(machine.path("state"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (severity, check, what) = machine.only();
    assert_eq!((severity, check), (Severity::Warning, "state-directory"));
    assert!(what.contains("mode 755"), "{what}");
}

#[test]
fn a_check_that_others_may_write_or_nobody_may_run_is_told() {
    let machine = Machine::sound();
    let check = machine.path("checks.d/web");
    std::fs::write(&check, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o775)).unwrap();
    let (severity, _, what) = machine.only();
    assert_eq!(severity, Severity::Warning);
    assert!(what.contains("others may write"), "{what}");
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(machine.only().2.contains("is not executable"));
}

#[test]
fn a_machine_without_systemd_is_told_but_a_sandbox_is_not() {
    let machine = Machine::sound();
    std::fs::remove_dir_all(machine.path("machine/run/systemd")).unwrap();
    assert_eq!(machine.found(), [], "a sandbox has no service manager of its own");
    let mut subject = machine.subject();
    subject.settings.packages.root = None;
    subject.settings.packages.manager = None;
    let findings = examine(&subject);
    assert!(findings.iter().any(|finding| finding.check == "systemd" && finding.severity == Severity::Warning), "{findings:?}");
}

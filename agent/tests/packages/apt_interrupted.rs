//! dpkg killed in the middle of a transaction: what the inventory then says, and the ways out of it, both to exact ends.

use patchwave_agent::packages::PackageManager;
use patchwave_common::domain::{InstallState, RefusalReason};
use patchwave_debian_repository::{MaintainerScript, Package};

use crate::apt_world::{AptWorld, debian};
use crate::world::*;

/// A maintainer script that kills dpkg the first time and not again.
const KILL_ONCE: &str = r#"[ -e "$DPKG_ROOT/killed" ] || { touch "$DPKG_ROOT/killed"; kill -9 $PPID; sleep 5; }"#;
/// One that kills it every time: like a script that hangs and is ended by its time limit again and again.
const KILL_ALWAYS: &str = "kill -9 $PPID; sleep 5";

fn torn(when: MaintainerScript, script: &str) -> Option<(AptWorld, Ready)> {
    let mut world = AptWorld::new()?;
    let conffiles = |text: &str| vec![("/etc/web/edited", text.to_owned()), ("/etc/web/plain", text.to_owned())];
    let old = Spec { conffiles: conffiles("1"), ..spec("web", "1.0-1") };
    let new = Spec { conffiles: conffiles("2"), depends: &["web-new"], ..spec("web", "2.0-1") };
    let packages: [Package; 5] = [
        debian(&old),
        debian(&new).script(when, script),
        debian(&spec("web-lib", "1.0-1")),
        debian(&spec("web-lib", "2.0-1")),
        debian(&spec("web-new", "1.0-1")),
    ];
    world.publish_packages(&packages);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
    world.mark_auto("web-lib");
    write(&world, "/etc/web/edited", "mine");
    let ready = ready(&world, &targets(&world, &[("web", "1.0-1", "2.0-1"), ("web-lib", "1.0-1", "2.0-1")]), &rules());
    apply(&world, &ready, &rules()).unwrap_err();
    Some((world, ready))
}

/// What dpkg-query says, which reads the pending records too.
fn told_by_dpkg(world: &AptWorld) -> Vec<String> {
    let directory = format!("--admindir={}", world.root().join("var/lib/dpkg").display());
    let output = std::process::Command::new("dpkg-query")
        .args([&directory, "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn told_by_inventory(world: &AptWorld) -> Vec<(String, String, InstallState)> {
    let inventory = world.apt.inventory().unwrap();
    inventory.iter().map(|package| (package.id.name.to_string(), package.version.to_string(), package.state)).collect()
}

fn assert_inventory_agrees(world: &AptWorld) {
    let wanted: Vec<_> = told_by_dpkg(world)
        .iter()
        .map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| words[2] != "not-installed")
        .map(|words| {
            let state = match words[2].as_str() {
                "installed" => InstallState::Installed,
                "config-files" => InstallState::ConfigFiles,
                _ => InstallState::Incomplete,
            };
            (words[0].clone(), words[1].clone(), state)
        })
        .collect();
    assert_eq!(told_by_inventory(world), wanted);
}

fn pending_records(world: &AptWorld) -> usize {
    std::fs::read_dir(world.root().join("var/lib/dpkg/updates")).unwrap().count()
}

#[test]
fn the_inventory_of_a_torn_transaction_has_the_pending_records() {
    for when in [MaintainerScript::BeforeInstallation, MaintainerScript::AfterInstallation] {
        let Some((world, _)) = torn(when, KILL_ALWAYS) else { return };
        assert!(pending_records(&world) > 0, "dpkg left records");
        assert_inventory_agrees(&world);
        let status = std::fs::read_to_string(world.root().join("var/lib/dpkg/status")).unwrap();
        assert!(!status.contains("half-") || when == MaintainerScript::BeforeInstallation, "the status file alone does not know");
    }
}

#[test]
fn a_torn_transaction_is_taken_back_to_exactly_what_was_there() {
    for when in [MaintainerScript::BeforeInstallation, MaintainerScript::AfterInstallation] {
        let Some((world, ready)) = torn(when, KILL_ALWAYS) else { return };
        restore(&world, &ready.receipt).unwrap();
        assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0], "{when:?}");
        assert_eq!(read(&world, "/etc/web/edited").as_deref(), Some("mine"));
        assert_eq!(pending_records(&world), 0);
        assert_inventory_agrees(&world);
        world.sandbox.apt("apt-get", &["check"]).unwrap();
    }
}

#[test]
fn a_torn_transaction_is_repaired_and_completed() {
    for when in [MaintainerScript::BeforeInstallation, MaintainerScript::AfterInstallation] {
        let Some((world, ready)) = torn(when, KILL_ONCE) else { return };
        run_all(&world, &world.apt.repair_steps(&rules())).unwrap();
        apply(&world, &ready, &rules()).unwrap();
        assert_eq!(unlike_targets(&world, &ready.receipt), [""; 0], "{when:?}");
        let unpacked = world.history().iter().filter(|line| line.starts_with("upgrade web:all 1.0-1 2.0-1")).count();
        assert!(unpacked <= 2, "a torn unpacking is done again, nothing else is: {:?}", world.history());
        restore(&world, &ready.receipt).unwrap();
        assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0], "{when:?}");
    }
}

#[test]
fn nothing_new_begins_on_a_torn_host_before_it_is_repaired() {
    let Some((mut world, _)) = torn(MaintainerScript::AfterInstallation, KILL_ONCE) else { return };
    world.publish(&[spec("other", "1.0-1"), spec("other", "1.1-1")]);
    let set = targets(&world, &[("web", "1.0-1", "2.0-1")]);
    let staged = world.apt.stage(&set, &stage_dir(&world)).unwrap();
    let refused = world.apt.simulate(&staged, &rules()).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::PackageManagerBroken);
    assert!(refused.detail.contains("dpkg --configure -a"), "{}", refused.detail);
    run_all(&world, &world.apt.repair_steps(&rules())).unwrap();
    world.install("other", "1.0-1");
}

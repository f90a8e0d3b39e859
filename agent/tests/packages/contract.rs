//! What every package manager does on the way forward.

use std::collections::BTreeSet;

use patchwave_agent::packages::{ChangeKind, clean_stage};
use patchwave_common::domain::{
    Blocked, Digest, InstallState, Mark, NotStagedReason, PackageName, QuarantineKey, RefusalReason, TargetSet,
};

use crate::world::*;

fn web_and_library(world: &mut dyn World) {
    world.publish(&[spec("web", "1.0-1"), spec("web", "1.1-1"), spec("web-lib", "1.0-1"), spec("web-lib", "1.1-1")]);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
}

pub fn the_inventory_tells_versions_marks_and_holds(world: &mut dyn World) {
    assert!(world.manager().inventory().unwrap().is_empty());
    web_and_library(world);
    world.mark_auto("web-lib");
    world.hold("web", true);
    let inventory = world.manager().inventory().unwrap();
    assert_eq!((inventory.manager(), inventory.len()), (manager_of(world), 2));
    let (web, library) = (package(world, "web").unwrap(), package(world, "web-lib").unwrap());
    assert_eq!((web.version.as_str(), web.state, web.mark, web.held), ("1.0-1", InstallState::Installed, Mark::Manual, true));
    assert_eq!((library.mark, library.held), (Mark::Auto, false));
}

pub fn the_fingerprint_changes_when_packages_do_and_only_then(world: &mut dyn World) {
    web_and_library(world);
    let before = world.manager().fingerprint().unwrap();
    world.manager().inventory().unwrap();
    assert_eq!(world.manager().fingerprint().unwrap(), before);
    world.hold("web", true);
    let held = world.manager().fingerprint().unwrap();
    assert_ne!(held, before);
    world.mark_auto("web-lib");
    assert_ne!(world.manager().fingerprint().unwrap(), held);
    assert!(package(world, "web-lib").unwrap().is_auto(), "a kept inventory is not given out after a change");
}

pub fn candidates_tell_origin_and_what_blocks_them(world: &mut dyn World) {
    web_and_library(world);
    world.publish(&[spec("pinned", "1.0-1"), spec("pinned", "1.1-1"), spec("current", "1.0-1")]);
    world.install("pinned", "1.0-1");
    world.install("current", "1.0-1");
    world.hold("web-lib", true);
    world.pin_away("pinned", "1.1-1");
    let set = world.manager().candidates().unwrap();
    let told: Vec<_> = set.candidates.iter().map(|it| (it.id.name.as_str(), it.from.as_str(), it.to.as_str(), it.blocked)).collect();
    let wanted = [
        ("pinned", "1.0-1", "1.1-1", Some(Blocked::Pinned)),
        ("web", "1.0-1", "1.1-1", None),
        ("web-lib", "1.0-1", "1.1-1", Some(Blocked::Held)),
    ];
    assert_eq!(told, wanted);
    let web = &set.candidates[1];
    assert_eq!(web.origin.short(), "Debian-Security/stable-security");
    assert!(web.sha256.is_some() && web.size_bytes > 0 && web.source.as_str() == "web", "{web:?}");
    assert_eq!(world.manager().candidates().unwrap(), set);
    world.hold("web-lib", false);
    assert_eq!(world.manager().candidates().unwrap().candidates[2].blocked, None, "a change of state is seen");
}

pub fn a_transaction_reaches_exactly_the_targets_and_keeps_marks(world: &mut dyn World) {
    let newer = Spec { depends: &["web-new"], ..spec("web", "1.1-1") };
    world.publish(&[spec("web", "1.0-1"), newer, spec("web-lib", "1.0-1"), spec("web-lib", "1.1-1"), spec("web-new", "1.0-1")]);
    world.publish(&[spec("web-lib", "1.2-1"), spec("bystander", "1.0-1"), spec("bystander", "1.1-1")]);
    for name in ["web", "web-lib", "bystander"] {
        world.install(name, "1.0-1");
    }
    world.mark_auto("web-lib");
    let set = targets(world, &[("web", "1.0-1", "1.1-1"), ("web-lib", "1.0-1", "1.1-1")]);
    let before = world.manager().inventory().unwrap();
    let ready = ready(world, &set, &rules());
    assert_eq!(world.manager().inventory().unwrap(), before, "nothing is changed before the steps run");
    assert!(ready.staged.way_back() && ready.staged.bytes() > 0);
    assert_eq!((ready.staged.files.len(), ready.staged.originals.len()), (3, 2));
    let kinds: Vec<_> = ready.simulation.changes.iter().map(|change| (change.id.name.as_str(), change.kind)).collect();
    assert_eq!(kinds, [("web", ChangeKind::Upgrade), ("web-lib", ChangeKind::Upgrade), ("web-new", ChangeKind::Install)]);
    assert!(!unlike_targets(world, &ready.receipt).is_empty());
    apply(world, &ready, &rules()).unwrap();
    assert_eq!(unlike_targets(world, &ready.receipt), [""; 0]);
    let at = |name| package(world, name).map(|package| (package.version.to_string(), package.mark));
    assert_eq!(at("web"), Some(("1.1-1".to_owned(), Mark::Manual)));
    assert_eq!(at("web-lib"), Some(("1.1-1".to_owned(), Mark::Auto)), "neither the newest nor a lost mark");
    assert_eq!(at("web-new"), Some(("1.0-1".to_owned(), Mark::Auto)));
    assert_eq!(at("bystander"), Some(("1.0-1".to_owned(), Mark::Manual)));
}

pub fn applying_again_repeats_nothing(world: &mut dyn World) {
    web_and_library(world);
    let set = targets(world, &[("web", "1.0-1", "1.1-1"), ("web-lib", "1.0-1", "1.1-1")]);
    let ready = ready(world, &set, &rules());
    apply(world, &ready, &rules()).unwrap();
    let history = world.history();
    run_all(world, &world.manager().repair_steps(&rules())).unwrap();
    apply(world, &ready, &rules()).unwrap();
    assert_eq!(world.history(), history);
    assert_eq!(unlike_targets(world, &ready.receipt), [""; 0]);
}

fn refusal(world: &dyn World, set: &TargetSet) -> (RefusalReason, String) {
    let staged = world.manager().stage(set, &stage_dir(world)).unwrap();
    let refused = world.manager().simulate(&staged, &rules()).unwrap_err();
    (refused.reason, refused.detail)
}

pub fn what_the_plan_did_not_see_is_refused(world: &mut dyn World) {
    web_and_library(world);
    let set = targets(world, &[("web", "0.9-1", "1.1-1")]);
    let (reason, detail) = refusal(world, &set);
    assert_eq!(reason, RefusalReason::Drifted);
    assert!(detail.contains("web:all is at 1.0-1, the plan saw 0.9-1"), "{detail}");
    assert_eq!(refusal(world, &targets(world, &[("web", "0.9-1", "1.0-1")])).0, RefusalReason::AlreadyAtTarget);
    let half = targets(world, &[("web", "0.9-1", "1.0-1"), ("web-lib", "1.0-1", "1.1-1")]);
    let staged = world.manager().stage(&half, &stage_dir(world)).unwrap();
    let simulation = world.manager().simulate(&staged, &rules()).unwrap();
    assert_eq!(simulation.changes.len(), 1, "what is reached already is left out");
}

pub fn holds_and_pins_are_never_overridden(world: &mut dyn World) {
    web_and_library(world);
    let set = targets(world, &[("web", "1.0-1", "1.1-1")]);
    world.hold("web", true);
    let (reason, detail) = refusal(world, &set);
    assert_eq!(reason, RefusalReason::PackageHeld);
    assert!(detail.contains("apt-mark unhold"), "{detail}");
    world.hold("web", false);
    world.pin_away("web", "1.1-1");
    assert_eq!(refusal(world, &set).0, RefusalReason::PackagePinned);
}

pub fn removals_and_new_packages_need_permission(world: &mut dyn World) {
    let rival = Spec { conflicts: &["web-lib"], ..spec("web", "1.1-1") };
    let needy = Spec { depends: &["web-new"], ..spec("web", "1.2-1") };
    world.publish(&[spec("web", "1.0-1"), rival, needy, spec("web-lib", "1.0-1"), spec("web-new", "1.0-1")]);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
    let removing = targets(world, &[("web", "1.0-1", "1.1-1")]);
    let (reason, detail) = refusal(world, &removing);
    assert_eq!(reason, RefusalReason::WouldRemove);
    assert!(detail.contains("web-lib:all"), "{detail}");
    let mut allowing = rules();
    allowing.allow_removals = true;
    let staged = world.manager().stage(&removing, &stage_dir(world)).unwrap();
    assert_eq!(world.manager().simulate(&staged, &allowing).unwrap().of(ChangeKind::Remove).count(), 1);

    let bringing = targets(world, &[("web", "1.0-1", "1.2-1")]);
    let staged = world.manager().stage(&bringing, &stage_dir(world)).unwrap();
    let mut strict = rules();
    strict.allow_new_packages = false;
    let refused = world.manager().simulate(&staged, &strict).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::WouldChangeOthers);
    assert!(refused.detail.contains("web-new:all"), "{}", refused.detail);
    world.manager().simulate(&staged, &rules()).unwrap();
}

pub fn quarantine_is_enforced_and_lifted(world: &mut dyn World) {
    web_and_library(world);
    let set = targets(world, &[("web", "1.0-1", "1.1-1")]);
    let staged = world.manager().stage(&set, &stage_dir(world)).unwrap();
    let key = QuarantineKey {
        manager: manager_of(world),
        origin: "Debian-Security/stable-security".to_owned(),
        source: PackageName::parse("web").unwrap(),
        version: version("1.1-1"),
        architecture: id("web").architecture,
    };
    world.manager().set_quarantine(&[key]).unwrap();
    let blocked = |world: &dyn World| world.manager().candidates().unwrap().candidates[0].blocked;
    assert_eq!(blocked(world), Some(Blocked::Pinned));
    assert_eq!(world.manager().stage(&set, &stage_dir(world)).unwrap_err().reason, NotStagedReason::Quarantined);
    assert_eq!(world.manager().simulate(&staged, &rules()).unwrap_err().reason, RefusalReason::Quarantined);
    world.manager().set_quarantine(&[]).unwrap();
    assert_eq!(blocked(world), None);
    world.manager().simulate(&staged, &rules()).unwrap();
}

pub fn a_version_staged_before_it_left_the_archive_can_be_applied(world: &mut dyn World) {
    let newer = Spec { depends: &["web-new"], ..spec("web", "1.1-1") };
    world.publish(&[spec("web", "1.0-1"), newer, spec("web-new", "1.0-1")]);
    world.install("web", "1.0-1");
    let mut set = targets(world, &[("web", "1.0-1", "1.1-1")]);
    set.targets[0].sha256 = world.manager().candidates().unwrap().candidates[0].sha256;
    let early = world.manager().stage(&set, &stage_dir(world)).unwrap();
    for (name, version) in [("web", "1.0-1"), ("web", "1.1-1"), ("web-new", "1.0-1")] {
        world.withdraw(name, version);
    }
    let simulation = world.manager().simulate(&early, &rules()).unwrap();
    let receipt = world.manager().snapshot(&early, &simulation, &world.state().join("receipt")).unwrap();
    run_all(world, &world.manager().apply_steps(&early, &receipt, &rules()).unwrap()).unwrap();
    assert_eq!(unlike_targets(world, &receipt), [""; 0]);
    restore(world, &receipt).unwrap();
    assert_eq!(unlike_receipt(world, &receipt), [""; 0]);
}

pub fn a_version_that_left_the_archive_is_gone(world: &mut dyn World) {
    web_and_library(world);
    world.withdraw("web", "1.1-1");
    let not_staged = world.manager().stage(&targets(world, &[("web", "1.0-1", "1.1-1")]), &stage_dir(world)).unwrap_err();
    assert_eq!(not_staged.reason, NotStagedReason::Gone);
    assert!(not_staged.detail.contains("web") && not_staged.detail.contains("1.1-1"), "{}", not_staged.detail);
}

pub fn other_contents_under_the_planned_version_are_refused(world: &mut dyn World) {
    web_and_library(world);
    let mut set = targets(world, &[("web", "1.0-1", "1.1-1")]);
    set.targets[0].sha256 = Some(Digest::of(b"other contents"));
    let not_staged = world.manager().stage(&set, &stage_dir(world)).unwrap_err();
    assert_eq!(not_staged.reason, NotStagedReason::HashMismatch);
    assert!(not_staged.detail.contains("web:all 1.1-1"), "{}", not_staged.detail);
}

pub fn an_original_that_left_the_archive_is_named(world: &mut dyn World) {
    web_and_library(world);
    world.withdraw("web", "1.0-1");
    let set = targets(world, &[("web", "1.0-1", "1.1-1"), ("web-lib", "1.0-1", "1.1-1")]);
    let ready = ready(world, &set, &rules());
    assert!(!ready.staged.way_back());
    let missing: Vec<_> = ready.staged.missing_originals.iter().map(|it| (it.id.name.as_str(), it.version.as_str())).collect();
    assert_eq!(missing, [("web", "1.0-1")]);
    assert_eq!(ready.receipt.missing_originals().count(), 1);
    assert_eq!(ready.receipt.kept_originals().count(), 1);
}

pub fn a_stage_is_cleaned_of_what_nobody_needs(world: &mut dyn World) {
    web_and_library(world);
    let directory = stage_dir(world);
    assert_eq!(clean_stage(&directory, &BTreeSet::new()).unwrap(), 0);
    let keep = world.manager().stage(&targets(world, &[("web", "1.0-1", "1.1-1")]), &directory).unwrap();
    let drop = world.manager().stage(&targets(world, &[("web-lib", "1.0-1", "1.1-1")]), &directory).unwrap();
    std::fs::write(directory.join(".taking-torn"), "half").unwrap();
    assert!(clean_stage(&directory, &keep.digests().collect()).unwrap() >= drop.bytes());
    assert!(keep.files.iter().chain(&keep.originals).all(|file| file.path(&directory).exists()));
    assert!(!drop.files.iter().chain(&drop.originals).any(|file| file.path(&directory).exists()));
    assert!(!directory.join(".taking-torn").exists());
    assert_eq!(world.manager().simulate(&drop, &rules()).unwrap_err().reason, RefusalReason::NotStaged);
}

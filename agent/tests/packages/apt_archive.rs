//! dpkg and apt with archives that fail, disks that are full, and other programs at work.

use patchwave_agent::packages::{LockState, PackageError, PackageManager, PathRole};
use patchwave_common::domain::{Blocked, NotStagedReason, RefusalReason};
use patchwave_debian_repository::{Fault, Package};

use crate::apt_world::AptWorld;
use crate::world::*;

fn web() -> Option<AptWorld> {
    let mut world = AptWorld::new()?;
    world.publish(&[spec("web", "1.0-1"), spec("web", "1.1-1")]);
    world.install("web", "1.0-1");
    // Retries are the host's own business; here they would only take time.
    std::fs::write(world.root().join("etc/apt/apt.conf.d/retries"), "Acquire::Retries \"0\";\n").unwrap();
    Some(world)
}

fn downloads(world: &AptWorld) -> usize {
    world.server.requests().iter().filter(|path| path.ends_with(".deb")).count()
}

#[test]
fn what_is_staged_is_not_downloaded_again_and_the_transaction_downloads_nothing() {
    let Some(mut world) = web() else { return };
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    let before = downloads(&world);
    let ready = ready(&world, &set, &rules());
    assert_eq!(downloads(&world) - before, 2, "the target and the original");
    ready_again(&world, &set);
    assert_eq!(downloads(&world) - before, 2);
    let asked = world.server.requests().len();
    world.server.fail("", Fault::DropConnection);
    apply(&world, &ready, &rules()).unwrap();
    assert_eq!(unlike_targets(&world, &ready.receipt), [""; 0]);
    restore(&world, &ready.receipt).unwrap();
    assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0]);
    assert_eq!(world.server.requests().len(), asked, "neither the way there nor the way back needs the archive");
    world.server.heal();
    world.publish(&[spec("web", "1.2-1")]);
    let left: Vec<_> = std::fs::read_dir(world.root().join("var/cache/apt/archives")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("patchwave-")), "{left:?}");
}

fn ready_again(world: &AptWorld, set: &patchwave_common::domain::TargetSet) {
    world.apt.stage(set, &stage_dir(world)).unwrap();
}

#[test]
fn ways_in_which_an_archive_fails_are_told_apart_and_tell_no_credentials() {
    let Some(world) = web() else { return };
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    for (fault, reason) in [
        (Fault::Status(404), NotStagedReason::Gone),
        (Fault::Status(407), NotStagedReason::ProxyRefused),
        (Fault::Status(503), NotStagedReason::Unreachable),
        (Fault::DropConnection, NotStagedReason::Unreachable),
        (Fault::Truncate, NotStagedReason::Unreachable),
        (Fault::Corrupt, NotStagedReason::HashMismatch),
    ] {
        world.server.fail("web_1.1-1", fault);
        let not_staged = world.apt.stage(&set, &stage_dir(&world)).unwrap_err();
        assert_eq!(not_staged.reason, reason, "{fault:?}: {}", not_staged.detail);
        world.server.heal();
    }
    // An original that is refused for now is no original that is gone: staging is to be tried again.
    world.server.fail("web_1.0-1", Fault::Status(503));
    assert_eq!(world.apt.stage(&set, &stage_dir(&world)).unwrap_err().reason, NotStagedReason::Unreachable);
    world.server.heal();
    world.server.fail("web_1.0-1", Fault::Status(404));
    let staged = world.apt.stage(&set, &stage_dir(&world)).unwrap();
    assert!(!staged.way_back());
    assert!(staged.missing_originals[0].detail.contains("404"), "{:?}", staged.missing_originals);
}

#[test]
fn credentials_of_a_source_appear_in_no_error() {
    let Some(world) = web() else { return };
    let secret = world.server.url().replace("http://", "http://fleet:hunter2@");
    world.sandbox.set_sources(&[world.repository.source_line(&format!("{secret}/security"))]).unwrap();
    world.apt.refresh().unwrap();
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    world.server.fail("web_1.1-1", Fault::Status(404));
    let not_staged = world.apt.stage(&set, &stage_dir(&world)).unwrap_err();
    world.server.heal();
    world.server.fail("/dists/", Fault::Status(403));
    let refused = world.apt.refresh().unwrap_err();
    let candidates = world.apt.candidates().unwrap();
    for told in [not_staged.to_string(), refused.to_string(), format!("{candidates:?}")] {
        assert!(!told.contains("hunter2") && !told.contains("fleet:"), "{told}");
    }
    assert_eq!(candidates.candidates[0].origin.site, "127.0.0.1");
}

#[test]
fn a_broken_source_is_named_and_the_way_out_told() {
    let Some(world) = web() else { return };
    let good = world.repository.source_line(&format!("{}/security", world.server.url()));
    let cases = [
        (good.replace("/security ", "/nosuch "), "/nosuch", "suite"),
        ("deb [trusted=yes] http://127.0.0.1:9/closed stable main".to_owned(), "127.0.0.1:9/closed", "reachable"),
        ("deb http://127.0.0.1/ (".to_owned(), "sources.list", "correct the line"),
        ("dep http://127.0.0.1/ stable main".to_owned(), "sources.list", "correct the line"),
    ];
    for (line, named, hint) in cases {
        world.sandbox.set_sources(&[good.clone(), line.clone()]).unwrap();
        let error = world.apt.refresh().unwrap_err();
        let PackageError::BrokenSource { name, .. } = &error else { panic!("{line}: {error}") };
        assert!(name.contains(named), "{line}: {error}");
        assert!(error.to_string().contains(hint), "{line}: {error}");
    }
    world.sandbox.set_sources(&[good]).unwrap();
    world.apt.refresh().unwrap();
}

#[test]
fn room_is_checked_before_the_first_byte() {
    let Some(world) = web() else { return };
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    let before = downloads(&world);
    for (what, tight) in [
        ("bound", world.reopened(|settings| settings.stage_limit_bytes = 100)),
        ("free", world.reopened(|settings| settings.keep_free_bytes = u64::MAX / 2)),
    ] {
        let not_staged = tight.stage(&set, &stage_dir(&world)).unwrap_err();
        assert_eq!(not_staged.reason, NotStagedReason::DiskFull);
        assert!(not_staged.detail.contains(what), "{}", not_staged.detail);
    }
    assert_eq!(downloads(&world), before);
}

#[test]
fn a_damaged_staged_file_is_fetched_anew() {
    let Some(world) = web() else { return };
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    let staged = world.apt.stage(&set, &stage_dir(&world)).unwrap();
    let path = staged.files[0].path(&staged.directory);
    std::fs::write(&path, vec![0; usize::try_from(staged.files[0].size_bytes).unwrap()]).unwrap();
    let again = world.apt.stage(&set, &stage_dir(&world)).unwrap();
    assert_eq!(again, staged);
    world.apt.simulate(&again, &rules()).unwrap();
}

#[test]
fn an_original_in_apts_own_cache_counts_if_it_is_what_is_installed() {
    let Some(mut world) = AptWorld::new() else { return };
    world.publish(&[spec("web", "1.0-1"), spec("web", "1.1-1")]);
    world.sandbox.apt("apt-get", &["-y", "install", "web=1.0-1"]).unwrap();
    let cached = world.root().join("var/cache/apt/archives/web_1.0-1_all.deb");
    assert!(cached.exists(), "apt keeps what it downloads in this root");
    world.withdraw("web", "1.0-1");
    let set = targets(&world, &[("web", "1.0-1", "1.1-1")]);
    let repacked = Spec { build: 7, ..spec("web", "1.0-1") };
    let good = std::fs::read(&cached).unwrap();
    let forged = crate::apt_world::debian(&repacked).build(world.state()).unwrap();
    std::fs::copy(&forged.path, &cached).unwrap();
    assert!(!world.apt.stage(&set, &stage_dir(&world)).unwrap().way_back(), "other files under this version are no original");
    std::fs::write(&cached, good).unwrap();
    assert!(world.apt.stage(&set, &stage_dir(&world)).unwrap().way_back());
}

#[test]
fn a_transaction_that_needs_an_unplanned_upgrade_is_refused() {
    let Some(mut world) = AptWorld::new() else { return };
    let newer = Spec { depends: &["web-lib (>= 2)"], ..spec("web", "2.0-1") };
    world.publish(&[spec("web", "1.0-1"), newer, spec("web-lib", "1.0-1"), spec("web-lib", "2.0-1")]);
    world.install("web-lib", "1.0-1");
    world.install("web", "1.0-1");
    let staged = world.apt.stage(&targets(&world, &[("web", "1.0-1", "2.0-1")]), &stage_dir(&world)).unwrap();
    let refused = world.apt.simulate(&staged, &rules()).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::WouldChangeOthers);
    assert!(refused.detail.contains("web-lib:all"), "{}", refused.detail);
    let both = targets(&world, &[("web", "1.0-1", "2.0-1"), ("web-lib", "1.0-1", "2.0-1")]);
    let staged = world.apt.stage(&both, &stage_dir(&world)).unwrap();
    assert_eq!(world.apt.simulate(&staged, &rules()).unwrap().changes.len(), 2);
}

#[test]
fn a_dependency_that_no_archive_has_cannot_be_staged() {
    let Some(mut world) = AptWorld::new() else { return };
    world.publish(&[spec("web", "1.0-1"), Spec { depends: &["nowhere"], ..spec("web", "2.0-1") }]);
    world.install("web", "1.0-1");
    let not_staged = world.apt.stage(&targets(&world, &[("web", "1.0-1", "2.0-1")]), &stage_dir(&world)).unwrap_err();
    assert!(not_staged.detail.contains("nowhere"), "{not_staged}");
}

#[test]
fn a_pin_that_keeps_the_installed_version_is_obeyed() {
    let Some(world) = web() else { return };
    let pin = "Package: web\nPin: version 1.0-1\nPin-Priority: 1001\n";
    std::fs::write(world.root().join("etc/apt/preferences.d/keep.pref"), pin).unwrap();
    assert_eq!(world.apt.candidates().unwrap().candidates[0].blocked, Some(Blocked::Pinned));
    let staged = world.apt.stage(&targets(&world, &[("web", "1.0-1", "1.1-1")]), &stage_dir(&world)).unwrap();
    let refused = world.apt.simulate(&staged, &rules()).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::PackagePinned);
    assert!(refused.detail.contains("pins web:all to 1.0-1"), "{}", refused.detail);
}

#[test]
fn epochs_sources_phasing_and_a_new_architecture_survive_the_whole_way() {
    let Some(mut world) = AptWorld::new() else { return };
    let native = patchwave_debian_repository::native_architecture().unwrap();
    let old = Package::new("tool", "1:1.0~rc1+deb12u1").source("toolkit (3.0-1)").file("/usr/bin/tool", 0o755, "1");
    let new = Package::new("tool", "1:1.0+deb12u2").source("toolkit").architecture(&native).file("/usr/bin/tool", 0o755, "2");
    world.publish_packages(&[old, new.field("Phased-Update-Percentage", "0")]);
    world.install("tool", "1:1.0~rc1+deb12u1");
    let installed = package(&world, "tool").unwrap();
    assert_eq!((installed.source.as_str(), installed.source_version.as_str()), ("toolkit", "3.0-1"));
    let candidate = world.apt.candidates().unwrap().candidates[0].clone();
    assert_eq!((candidate.to.as_str(), candidate.source.as_str()), ("1:1.0+deb12u2", "toolkit"));
    let mut set = targets(&world, &[("tool", "1:1.0~rc1+deb12u1", "1:1.0+deb12u2")]);
    set.targets[0].sha256 = candidate.sha256;
    let ready = ready(&world, &set, &rules());
    apply(&world, &ready, &rules()).unwrap();
    assert_eq!(unlike_targets(&world, &ready.receipt), [""; 0]);
    assert_eq!(read(&world, "/usr/bin/tool").as_deref(), Some("2"));
    restore(&world, &ready.receipt).unwrap();
    assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0]);
}

#[test]
fn a_packaged_file_that_the_administrator_changed_comes_back_changed() {
    let Some(mut world) = AptWorld::new() else { return };
    let with = |version: &'static str| Spec {
        files: vec![("/usr/lib/web/a", version.to_owned()), ("/usr/lib/web/b", version.to_owned())],
        ..spec("web", version)
    };
    world.publish(&[with("1.0-1"), with("1.1-1")]);
    world.install("web", "1.0-1");
    write(&world, "/usr/lib/web/a", "patched by hand");
    delete(&world, "/usr/lib/web/b");
    let ready = ready(&world, &targets(&world, &[("web", "1.0-1", "1.1-1")]), &rules());
    assert_eq!(ready.receipt.paths.iter().filter(|saved| saved.role == PathRole::ChangedFile).count(), 2);
    apply(&world, &ready, &rules()).unwrap();
    assert_eq!(read(&world, "/usr/lib/web/b").as_deref(), Some("1.1-1"));
    restore(&world, &ready.receipt).unwrap();
    assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0]);
    assert_eq!((read(&world, "/usr/lib/web/a").as_deref(), read(&world, "/usr/lib/web/b")), (Some("patched by hand"), None));
}

#[test]
fn files_taken_over_from_another_package_make_the_way_back_uncertain() {
    let Some(mut world) = AptWorld::new() else { return };
    let library = Spec { files: vec![("/usr/lib/shared", "library".to_owned())], ..spec("web-lib", "1.0-1") };
    let taking = Spec { files: vec![("/usr/lib/shared", "web".to_owned())], ..spec("web", "2.0-1") };
    let taking = crate::apt_world::debian(&taking).relation("Replaces", "web-lib");
    let plain = [spec("web", "1.0-1"), spec("web", "1.1-1"), library].map(|it| crate::apt_world::debian(&it));
    world.publish_packages(&plain);
    world.publish_packages(&[taking]);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
    assert!(world.apt.stage(&targets(&world, &[("web", "1.0-1", "1.1-1")]), &stage_dir(&world)).unwrap().way_back());
    let staged = world.apt.stage(&targets(&world, &[("web", "1.0-1", "2.0-1")]), &stage_dir(&world)).unwrap();
    let missing: Vec<_> = staged.missing_originals.iter().map(|it| (it.id.name.as_str(), it.detail.contains("/usr/lib/shared"))).collect();
    assert_eq!(missing, [("web-lib", true)]);
}

#[test]
fn a_dependency_removed_earlier_keeps_its_configuration_on_the_way_back() {
    let Some(mut world) = AptWorld::new() else { return };
    let conffiles = vec![("/etc/web-new.conf", "shipped\n".to_owned())];
    let dependency = Spec { conffiles, ..spec("web-new", "1.0-1") };
    world.publish(&[spec("web", "1.0-1"), Spec { depends: &["web-new"], ..spec("web", "1.1-1") }, dependency]);
    world.install("web", "1.0-1");
    world.install("web-new", "1.0-1");
    write(&world, "/etc/web-new.conf", "mine\n");
    world.sandbox.apt("apt-get", &["-y", "remove", "web-new"]).unwrap();
    let before = world.apt.inventory().unwrap();
    let ready = ready(&world, &targets(&world, &[("web", "1.0-1", "1.1-1")]), &rules());
    assert!(ready.receipt.additions[0].residual);
    apply(&world, &ready, &rules()).unwrap();
    assert_eq!(unlike_targets(&world, &ready.receipt), [""; 0]);
    restore(&world, &ready.receipt).unwrap();
    assert_eq!(unlike_receipt(&world, &ready.receipt), [""; 0]);
    assert_eq!(read(&world, "/etc/web-new.conf").as_deref(), Some("mine\n"));
    assert_eq!(world.apt.inventory().unwrap(), before);
}

#[test]
fn candidates_are_computed_anew_only_when_packages_indexes_or_settings_change() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(mut world) = web() else { return };
    let cache = world.state().join("state/packages/candidates.json");
    let computed = |world: &AptWorld| {
        world.apt.candidates().unwrap();
        let metadata = std::fs::metadata(&cache).unwrap();
        (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
    };
    let first = computed(&world);
    assert_eq!(computed(&world), first);
    world.apt.set_quarantine(&[]).unwrap();
    assert_eq!(computed(&world), first, "nothing to forbid changes nothing");
    world.publish(&[spec("web", "1.2-1")]);
    let second = computed(&world);
    assert_ne!(second, first, "new indexes");
    assert_eq!(world.apt.candidates().unwrap().candidates[0].to, version("1.2-1"));
    world.pin_away("web", "1.2-1");
    let third = computed(&world);
    assert_ne!(third, second, "a new pin");
    std::fs::write(&cache, "{ torn").unwrap();
    assert_eq!(world.apt.candidates().unwrap().candidates[0].to, version("1.1-1"), "a damaged cache is none");
}

#[test]
fn the_lock_of_another_program_is_seen() {
    let Some(world) = web() else { return };
    assert_eq!(world.apt.lock_state().unwrap(), LockState::Free);
    world.server.fail("web_1.1-1", Fault::Stall);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| world.sandbox.apt("apt-get", &["-y", "install", "web=1.1-1"]));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let mut seen = false;
        while !seen && std::time::Instant::now() < deadline && !other.is_finished() {
            seen = matches!(world.apt.lock_state().unwrap(), LockState::Held { process: Some(_), ref lock } if lock.ends_with("lock-frontend"));
            std::thread::yield_now();
        }
        world.server.heal();
        other.join().unwrap().unwrap();
        assert!(seen, "the lock was held while apt waited for the archive");
    });
    assert_eq!(world.apt.lock_state().unwrap(), LockState::Free);
}

#[test]
fn other_tools_that_change_packages_are_noticed() {
    let Some(mut world) = AptWorld::new() else { return };
    let periodic = world.root().join("etc/apt/apt.conf.d/20auto-upgrades");
    std::fs::write(&periodic, "APT::Periodic::Unattended-Upgrade \"1\";\n").unwrap();
    assert_eq!(world.apt.other_hands(), [""; 0], "a setting without the tool does nothing");
    world.publish(&[spec("unattended-upgrades", "2.9")]);
    world.install("unattended-upgrades", "2.9");
    assert_eq!(world.apt.other_hands(), ["unattended-upgrades"]);
    std::fs::write(&periodic, "APT::Periodic::Unattended-Upgrade \"0\";\n").unwrap();
    assert_eq!(world.apt.other_hands(), [""; 0]);
}

#[test]
fn a_wanted_reboot_is_told_with_the_packages_that_want_it() {
    let Some(world) = AptWorld::new() else { return };
    assert!(!world.apt.reboot_required().required);
    write(&world, "/run/reboot-required", "*** System restart required ***\n");
    write(&world, "/run/reboot-required.pkgs", "linux-image\nlibc6\n\nlibc6\n");
    let reboot = world.apt.reboot_required();
    assert_eq!((reboot.required, reboot.packages), (true, vec!["libc6".to_owned(), "linux-image".to_owned()]));
}

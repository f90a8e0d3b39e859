//! What every package manager does on the way back: exactly what was there before (rule 12).

use std::os::unix::fs::PermissionsExt as _;

use patchwave_agent::packages::{Receipt, Step};
use patchwave_common::domain::Mark;

use crate::world::*;

fn conffiles(version: &str, names: &[&'static str]) -> Vec<(&'static str, String)> {
    names.iter().map(|name| (*name, format!("setting = {version}\n"))).collect()
}

/// A host with an edited conffile, a deleted one, an untouched one, an automatic library, files of its own where the target will bring
/// conffiles, and a target that brings a dependency and new conffiles.
fn lived_in(world: &mut dyn World, broken: bool) -> Ready {
    let old = ["/etc/web/edited", "/etc/web/deleted", "/etc/web/plain", "/etc/web/dropped"];
    let new = ["/etc/web/edited", "/etc/web/deleted", "/etc/web/plain", "/etc/web/brought", "/etc/web/mine"];
    let files = |version: &str| vec![("/usr/lib/web/program", format!("program {version}\n"))];
    let web = Spec { conffiles: conffiles("1", &old), files: files("1"), ..spec("web", "1.0-1") };
    let mut newer = Spec { conffiles: conffiles("2", &new), files: files("2"), depends: &["web-new"], broken, ..spec("web", "2.0-1") };
    newer.files.push(("/usr/lib/web/second", "second\n".to_owned()));
    let dependency = Spec { conffiles: conffiles("1", &["/etc/web-new/conf"]), ..spec("web-new", "1.0-1") };
    world.publish(&[web, newer, dependency, spec("web-lib", "1.0-1"), spec("web-lib", "2.0-1")]);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
    world.mark_auto("web-lib");
    write(world, "/etc/web/edited", "setting = mine\n");
    let edited = world.root().join("etc/web/edited");
    std::fs::set_permissions(edited, std::fs::Permissions::from_mode(0o640)).unwrap();
    delete(world, "/etc/web/deleted");
    write(world, "/etc/web/mine", "not a package's\n");
    write(world, "/etc/web/edited.dpkg-dist", "left by an earlier update\n");
    let set = targets(world, &[("web", "1.0-1", "2.0-1"), ("web-lib", "1.0-1", "2.0-1")]);
    ready(world, &set, &rules())
}

fn assert_as_before(world: &dyn World, receipt: &Receipt) {
    assert_eq!(unlike_receipt(world, receipt), [""; 0]);
    assert_eq!(read(world, "/etc/web/edited").as_deref(), Some("setting = mine\n"));
    let mode = std::fs::metadata(world.root().join("etc/web/edited")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(read(world, "/etc/web/deleted"), None);
    assert_eq!(read(world, "/etc/web/plain").as_deref(), Some("setting = 1\n"));
    assert_eq!(read(world, "/etc/web/dropped").as_deref(), Some("setting = 1\n"));
    assert_eq!(read(world, "/etc/web/brought"), None);
    assert_eq!(read(world, "/etc/web/mine").as_deref(), Some("not a package's\n"));
    assert_eq!(read(world, "/etc/web/edited.dpkg-dist").as_deref(), Some("left by an earlier update\n"));
    assert_eq!(read(world, "/etc/web-new/conf"), None);
    assert_eq!(read(world, "/usr/lib/web/program").as_deref(), Some("program 1\n"));
    assert_eq!(read(world, "/usr/lib/web/second"), None);
    let mut here: Vec<_> = std::fs::read_dir(world.root().join("etc/web")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    here.sort();
    assert_eq!(here, ["dropped", "edited", "edited.dpkg-dist", "mine", "plain"], "and nothing else is left");
    assert_eq!(package(world, "web").unwrap().version, version("1.0-1"));
    assert_eq!(package(world, "web").unwrap().mark, Mark::Manual);
    assert_eq!(package(world, "web-lib").unwrap().mark, Mark::Auto);
    assert_eq!(package(world, "web-new"), None);
}

pub fn an_edit_of_a_conffile_that_did_not_change_is_left_alone(world: &mut dyn World) {
    let shipping = |version: &'static str| Spec { conffiles: conffiles("1", &["/etc/web/edited"]), ..spec("web", version) };
    world.publish(&[shipping("1.0-1"), shipping("2.0-1")]);
    world.install("web", "1.0-1");
    write(world, "/etc/web/edited", "setting = mine\n");
    let ready = ready(world, &targets(world, &[("web", "1.0-1", "2.0-1")]), &rules());
    apply(world, &ready, &rules()).unwrap();
    assert_eq!(read(world, "/etc/web/edited").as_deref(), Some("setting = mine\n"));
    assert_eq!(read(world, "/etc/web/edited.dpkg-dist"), None, "nothing new came that an administrator should look at");
}

pub fn the_way_back_is_exact(world: &mut dyn World) {
    let ready = lived_in(world, false);
    let before = world.manager().inventory().unwrap();
    apply(world, &ready, &rules()).unwrap();
    assert_eq!(unlike_targets(world, &ready.receipt), [""; 0]);
    assert_eq!(read(world, "/etc/web/edited").as_deref(), Some("setting = mine\n"), "an edit stays on the way forward too");
    assert_eq!(read(world, "/etc/web/deleted"), None);
    assert_eq!(read(world, "/etc/web/brought").as_deref(), Some("setting = 2\n"));
    assert!(!unlike_receipt(world, &ready.receipt).is_empty());
    restore(world, &ready.receipt).unwrap();
    assert_as_before(world, &ready.receipt);
    assert_eq!(world.manager().inventory().unwrap(), before);
}

pub fn the_way_back_works_from_a_failed_configuration(world: &mut dyn World) {
    let ready = lived_in(world, true);
    apply(world, &ready, &rules()).unwrap_err();
    assert!(!unlike_targets(world, &ready.receipt).is_empty());
    restore(world, &ready.receipt).unwrap();
    assert_as_before(world, &ready.receipt);
}

pub fn the_way_back_from_nothing_changes_nothing(world: &mut dyn World) {
    let ready = lived_in(world, false);
    let history = world.history();
    restore(world, &ready.receipt).unwrap();
    assert_as_before(world, &ready.receipt);
    assert_eq!(world.history(), history);
}

pub fn the_way_back_restores_a_removed_package(world: &mut dyn World) {
    let rival = Spec { conflicts: &["web-lib"], ..spec("web", "1.1-1") };
    let library = Spec { conffiles: conffiles("1", &["/etc/lib"]), ..spec("web-lib", "1.0-1") };
    world.publish(&[spec("web", "1.0-1"), rival, library]);
    world.install("web", "1.0-1");
    world.install("web-lib", "1.0-1");
    world.mark_auto("web-lib");
    write(world, "/etc/lib", "mine\n");
    let mut allowing = rules();
    allowing.allow_removals = true;
    let set = targets(world, &[("web", "1.0-1", "1.1-1")]);
    let ready = ready(world, &set, &allowing);
    assert_eq!(ready.receipt.kept_originals().count(), 2, "the original of what is removed is kept too");
    apply(world, &ready, &allowing).unwrap();
    assert_eq!(unlike_targets(world, &ready.receipt), [""; 0]);
    assert!(package(world, "web-lib").is_none_or(|package| !package.is_installed()));
    restore(world, &ready.receipt).unwrap();
    assert_eq!(unlike_receipt(world, &ready.receipt), [""; 0]);
    assert_eq!(read(world, "/etc/lib").as_deref(), Some("mine\n"));
}

pub fn the_way_back_can_be_repeated_after_each_step(world: &mut dyn World) {
    let ready = lived_in(world, false);
    apply(world, &ready, &rules()).unwrap();
    let count = world.manager().restore_steps(&ready.receipt, &rules()).unwrap().len();
    for interrupted_after in 0..count {
        let steps: Vec<Step> = world.manager().restore_steps(&ready.receipt, &rules()).unwrap();
        run_all(world, &steps[..interrupted_after.min(steps.len())]).unwrap();
    }
    restore(world, &ready.receipt).unwrap();
    assert_as_before(world, &ready.receipt);
}

pub fn a_difference_that_stays_is_told(world: &mut dyn World) {
    let ready = lived_in(world, false);
    write(world, "/etc/web/plain", "changed since\n");
    delete(world, "/usr/lib/web/program");
    let told = unlike_receipt(world, &ready.receipt);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("/etc/web/plain is a file of 14 bytes")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("/usr/lib/web/program is absent, should be ")), "{told:?}");
}

pub fn a_receipt_is_read_back_and_a_damaged_one_refused(world: &mut dyn World) {
    let ready = lived_in(world, false);
    let directory = ready.receipt.directory.clone();
    assert_eq!(Receipt::load(&directory).unwrap().unwrap(), ready.receipt);
    for entry in ["receipt.json", "blobs", "originals"] {
        let mode = std::fs::metadata(directory.join(entry)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{entry} is for the agent alone");
    }
    for blob in std::fs::read_dir(directory.join("blobs")).unwrap() {
        assert_eq!(blob.unwrap().metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    }
    apply(world, &ready, &rules()).unwrap();
    for blob in std::fs::read_dir(directory.join("blobs")).unwrap() {
        std::fs::write(blob.unwrap().path(), "damaged").unwrap();
    }
    let refused = restore(world, &ready.receipt).unwrap_err();
    assert!(refused.contains("is damaged"), "{refused}");
    std::fs::write(directory.join("receipt.json"), "{").unwrap();
    assert!(Receipt::load(&directory).unwrap_err().to_string().contains("receipt.json is damaged"));
    std::fs::remove_file(directory.join("receipt.json")).unwrap();
    assert!(Receipt::load(&directory).unwrap().is_none(), "a receipt that was never completed is none");
}

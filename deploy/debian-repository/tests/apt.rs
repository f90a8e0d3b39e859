//! The real apt-get installs, upgrades and downgrades from a repository made here, in a sandbox root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::net::SocketAddr;
use std::path::Path;

use patchwave_debian_repository::{
    Error, Fault, MaintainerScript, Package, Published, ReleaseFields, Repository, RepositoryServer, Sandbox,
};

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn shop(version: &str) -> Package {
    Package::new("web-shop", version)
        .source("shop")
        .depends("shop-common (>= 1)")
        .file("/usr/bin/web-shop", 0o755, format!("#!/bin/sh\necho {version}\n"))
        .conffile("/etc/web-shop.conf", 0o640, "port = 8080\n")
        .service("web-shop.service", "[Service]\nExecStart=/usr/bin/web-shop\n")
        .script(
            MaintainerScript::AfterInstallation,
            "mkdir -p \"$DPKG_ROOT/var/lib/web-shop\"; echo configured >>\"$DPKG_ROOT/var/lib/web-shop/log\"",
        )
}

struct Archive {
    directory: tempfile::TempDir,
    repository: Repository,
    server: RepositoryServer,
    sandbox: Sandbox,
}

fn archive() -> Archive {
    let directory = tempfile::tempdir().unwrap();
    let mut repository = Repository::create(&directory.path().join("security"), ReleaseFields::debian_security("bookworm")).unwrap();
    repository.add(&shop("1.0-1")).unwrap();
    repository.add(&Package::new("shop-common", "1:1.0~rc1+deb12u1")).unwrap();
    repository.publish().unwrap();
    let server = RepositoryServer::start(loopback(), directory.path()).unwrap();
    let source = repository.source_line(&format!("{}/security", server.url()));
    let sandbox = Sandbox::create(&directory.path().join("root"), &[source]).unwrap();
    Archive { directory, repository, server, sandbox }
}

fn read(root: &Path, path: &str) -> String {
    std::fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn apt_installs_upgrades_and_downgrades_to_exact_versions() {
    let Archive { directory: _held, mut repository, server, sandbox } = archive();
    sandbox.apt("apt-get", &["update"]).unwrap();
    sandbox.apt("apt-get", &["-y", "install", "web-shop"]).unwrap();
    assert_eq!(sandbox.installed_version("web-shop").unwrap().as_deref(), Some("1.0-1"));
    assert_eq!(sandbox.installed_version("shop-common").unwrap().as_deref(), Some("1:1.0~rc1+deb12u1"));
    assert_eq!(read(sandbox.root(), "var/lib/web-shop/log"), "configured\n", "the maintainer script ran inside the root");
    assert_eq!(sandbox.apt("apt-mark", &["showauto"]).unwrap(), "shop-common\n");

    repository.add(&shop("1.1-1")).unwrap();
    repository.publish().unwrap();
    sandbox.apt("apt-get", &["update"]).unwrap();
    let policy = sandbox.apt("apt-cache", &["policy", "web-shop"]).unwrap();
    assert!(policy.contains("Candidate: 1.1-1") && policy.contains("1.0-1"), "both versions are offered: {policy}");
    let archives = sandbox.apt("apt-cache", &["policy"]).unwrap();
    assert!(archives.contains("o=Debian,a=stable-security,n=bookworm-security,l=Debian-Security"), "{archives}");

    sandbox.apt("apt-get", &["-y", "install", "web-shop=1.1-1"]).unwrap();
    assert_eq!(sandbox.installed_version("web-shop").unwrap().as_deref(), Some("1.1-1"));
    sandbox.apt("apt-get", &["-y", "--allow-downgrades", "install", "web-shop=1.0-1"]).unwrap();
    assert_eq!(sandbox.installed_version("web-shop").unwrap().as_deref(), Some("1.0-1"));
    assert!(server.requests().iter().any(|path| path.ends_with("/web-shop_1.1-1_all.deb")));
}

#[test]
fn a_withdrawn_version_is_no_candidate_and_stays_downloadable_only_if_asked() {
    let Archive { directory: _held, mut repository, server: _serving, sandbox } = archive();
    let kept = repository.add(&shop("1.1-1")).unwrap();
    let deleted = repository.add(&shop("1.2-1")).unwrap();
    repository.withdraw("web-shop", "1.1-1", Published::KeepFile).unwrap();
    repository.withdraw("web-shop", "1.2-1", Published::DeleteFile).unwrap();
    repository.publish().unwrap();
    sandbox.apt("apt-get", &["update"]).unwrap();
    let policy = sandbox.apt("apt-cache", &["policy", "web-shop"]).unwrap();
    assert!(policy.contains("Candidate: 1.0-1"), "{policy}");
    assert!(kept.path.exists() && !deleted.path.exists());
    assert!(matches!(repository.withdraw("web-shop", "9", Published::KeepFile), Err(Error::NotListed { .. })));
}

#[test]
fn faults_reach_apt_and_heal() {
    let Archive { directory: _held, server, sandbox, .. } = archive();
    let retries_off = ["-y", "-o", "Acquire::Retries=0", "install", "web-shop"];
    server.fail("/dists/", Fault::Status(404));
    let refused = sandbox.apt("apt-get", &["update"]).unwrap_err().to_string();
    assert!(refused.contains("404"), "{refused}");
    server.heal();
    sandbox.apt("apt-get", &["update"]).unwrap();
    for (fault, said) in [
        (Fault::Status(404), "404"),
        (Fault::Corrupt, "Hash Sum mismatch"),
        (Fault::DropConnection, "Failed to fetch"),
        (Fault::Truncate, "Failed to fetch"),
    ] {
        server.fail("web-shop_1.0-1", fault);
        let failed = sandbox.apt("apt-get", &retries_off).unwrap_err().to_string();
        assert!(failed.contains(said), "{fault:?}: {failed}");
        server.heal();
    }
    assert_eq!(sandbox.installed_version("web-shop").unwrap(), None);
    sandbox.apt("apt-get", &retries_off).unwrap();
    assert_eq!(sandbox.installed_version("web-shop").unwrap().as_deref(), Some("1.0-1"));
}

#[test]
fn a_stalled_download_goes_on_when_the_fault_is_lifted() {
    let Archive { directory: _held, server, sandbox, .. } = archive();
    sandbox.apt("apt-get", &["update"]).unwrap();
    server.fail("web-shop_1.0-1", Fault::Stall);
    std::thread::scope(|scope| {
        let install = scope.spawn(|| sandbox.apt("apt-get", &["-y", "install", "web-shop"]));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !server.requests().iter().any(|path| path.contains("web-shop_1.0-1")) {
            assert!(std::time::Instant::now() < deadline, "apt never asked for the package");
            std::thread::yield_now();
        }
        assert!(!install.is_finished());
        server.heal();
        install.join().unwrap().unwrap();
    });
    assert_eq!(sandbox.installed_version("web-shop").unwrap().as_deref(), Some("1.0-1"));
}

#[test]
fn the_same_description_gives_the_same_bytes_and_other_contents_under_one_version_are_refused() {
    let Archive { directory: _held, mut repository, .. } = archive();
    let again = repository.add(&shop("1.0-1")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(shop("1.0-1").build(scratch.path()).unwrap().sha256, again.sha256);
    let other = shop("1.0-1").file("/usr/share/doc/x", 0o644, "x");
    assert!(matches!(repository.add(&other), Err(Error::Conflict { .. })));
}

#[test]
fn a_description_that_debian_forbids_is_refused_with_the_field_named() {
    let scratch = tempfile::tempdir().unwrap();
    for (package, field) in [
        (Package::new("Web_Shop", "1"), "name"),
        (Package::new("web-shop", "1 0"), "version"),
        (Package::new("web-shop", "1").architecture("../x"), "architecture"),
        (Package::new("web-shop", "1").file("/../etc/passwd", 0o644, ""), "path"),
        (Package::new("web-shop", "1").file("etc/x", 0o644, ""), "path"),
        (Package::new("web-shop", "1").field("Section", "a\nEssential: yes"), "field"),
    ] {
        let refused = package.build(scratch.path()).unwrap_err();
        assert!(matches!(&refused, Error::InvalidPackage { field: at, .. } if *at == field), "{refused}");
    }
}

#[test]
fn files_belong_to_root_and_have_the_modes_asked_for_whoever_builds() {
    let scratch = tempfile::tempdir().unwrap();
    let built = shop("1.0-1").build(scratch.path()).unwrap();
    let listing = std::process::Command::new("dpkg-deb").arg("--contents").arg(&built.path).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    let line = |path: &str| listing.lines().find(|line| line.ends_with(path)).unwrap_or_else(|| panic!("{path}: {listing}"));
    assert!(line("./usr/bin/web-shop").starts_with("-rwxr-xr-x root/root"));
    assert!(line("./etc/web-shop.conf").starts_with("-rw-r----- root/root"));
    assert!(line("./etc/").starts_with("drwxr-xr-x root/root"));
}

#[test]
fn apt_never_falls_back_to_the_machines_own_packages_when_the_sandbox_is_gone() {
    let archive = archive();
    archive.directory.close().unwrap();
    let refused = archive.sandbox.apt("apt-get", &["update"]).unwrap_err();
    assert!(matches!(&refused, Error::Io { path, .. } if path.ends_with("etc/apt/apt.conf")), "{refused}");
    // Even if the configuration goes between the check and the start of apt: the root is on the command line too.
    let help = archive.sandbox.command("apt-config").arg("dump").output().unwrap();
    let root = format!("Dir \"{}\";", archive.sandbox.root().display());
    assert!(String::from_utf8_lossy(&help.stdout).contains(&root));
}

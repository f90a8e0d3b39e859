//! Writes a package's tree and has `dpkg-deb` pack it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::package::PackagedFile;
use crate::repository::PackageFile;
use crate::{Error, MaintainerScript, Package, service, tool};

/// 2020-01-01T00:00:00Z: a fixed date for every packed file, so that the same description gives the same bytes and hash.
const PACKED_AT_UNIX_SECS: &str = "1577836800";

/// Every script dpkg knows, in no particular order.
const SCRIPTS: [MaintainerScript; 4] = [
    MaintainerScript::BeforeInstallation,
    MaintainerScript::AfterInstallation,
    MaintainerScript::BeforeRemoval,
    MaintainerScript::AfterRemoval,
];

pub(crate) fn build(package: &Package, directory: &Path) -> Result<PackageFile, Error> {
    check(package)?;
    let tree = tempfile::tempdir().map_err(Error::io("make a directory in", std::env::temp_dir()))?;
    let root = tree.path().join("tree");
    make_directory(&root)?;
    for (path, file) in &package.files {
        write_file(&root, path, file)?;
    }
    write_control(package, &root)?;
    fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
    let target = directory.join(file_name(&package.name, &package.version, &package.architecture));
    // Root ownership without being root; quick compression, since these packages are small and short-lived.
    let mut command = Command::new("dpkg-deb");
    command.args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&root).arg(&target);
    tool::run("dpkg-deb", command.env("SOURCE_DATE_EPOCH", PACKED_AT_UNIX_SECS))?;
    PackageFile::read(&target)
}

/// The name of a package's file in a pool. As in Debian's own archive the epoch is left out.
pub(crate) fn file_name(name: &str, version: &str, architecture: &str) -> String {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    format!("{name}_{without_epoch}_{architecture}.deb")
}

fn check(package: &Package) -> Result<(), Error> {
    let invalid = |field, value: &str, hint| Error::InvalidPackage { package: package.name.clone(), field, value: value.to_owned(), hint };
    let name_ok = |name: &str| {
        name.len() >= 2
            && name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && name.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || "+-.".contains(each))
    };
    if !name_ok(&package.name) {
        return Err(invalid("name", &package.name, "two or more of a-z 0-9 + - ., a letter or digit first"));
    }
    if package.version.is_empty() || !package.version.chars().all(|each| each.is_ascii_alphanumeric() || ".+-~:".contains(each)) {
        return Err(invalid("version", &package.version, "letters, digits and . + - ~ :"));
    }
    if !name_ok(&package.architecture) {
        return Err(invalid("architecture", &package.architecture, "all, or a word such as amd64"));
    }
    for path in package.files.keys() {
        let parts_ok = path.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
        if !path.starts_with('/') || !parts_ok || path.starts_with("/DEBIAN/") || path.contains('\n') {
            return Err(invalid("path", path, "an absolute path without . or .. in it"));
        }
    }
    let one_line = package.fields.iter().chain(None).all(|(name, value)| !name.contains(['\n', ':']) && !value.contains('\n'));
    if !one_line {
        return Err(invalid("field", "a field with more than one line", "one line a field"));
    }
    Ok(())
}

fn write_control(package: &Package, root: &Path) -> Result<(), Error> {
    let control = root.join("DEBIAN");
    make_directory(&control)?;
    write_with_mode(&control.join("control"), control_text(package).as_bytes(), 0o644)?;
    let conffiles = lines(package.files.iter().filter(|(_, file)| file.conffile).map(|(path, _)| path.as_str()));
    if !conffiles.is_empty() {
        write_with_mode(&control.join("conffiles"), conffiles.as_bytes(), 0o644)?;
    }
    for script in SCRIPTS {
        let own = package.scripts.get(&script).map(String::as_str).unwrap_or_default();
        let units = service::snippet(script, &package.services);
        if !own.is_empty() || !units.is_empty() {
            let text = format!("#!/bin/sh\nset -e\n{own}\n{units}");
            write_with_mode(&control.join(script.file_name()), text.as_bytes(), 0o755)?;
        }
    }
    Ok(())
}

fn control_text(package: &Package) -> String {
    let mut text = format!("Package: {}\nVersion: {}\nArchitecture: {}\n", package.name, package.version, package.architecture);
    let defaults = [
        ("Maintainer", "Patchwave demo <demo@example.org>"),
        ("Section", "misc"),
        ("Priority", "optional"),
        ("Description", "made for a demonstration or a test"),
    ];
    for (name, value) in defaults {
        if !package.fields.contains_key(name) {
            field(&mut text, name, value);
        }
    }
    for (name, value) in &package.fields {
        field(&mut text, name, value);
    }
    for (kind, to) in &package.relations {
        field(&mut text, kind, &to.join(", "));
    }
    text
}

/// Appends `name: value`. Writing to a `String` cannot fail.
fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name}: {value}");
}

fn lines<'a>(of: impl Iterator<Item = &'a str>) -> String {
    of.fold(String::new(), |text, line| text + line + "\n")
}

fn write_file(root: &Path, path: &str, file: &PackagedFile) -> Result<(), Error> {
    let target = root.join(path.trim_start_matches('/'));
    let mut parents: Vec<PathBuf> = target.ancestors().skip(1).take_while(|parent| *parent != root).map(Path::to_owned).collect();
    parents.reverse();
    for parent in parents {
        make_directory(&parent)?;
    }
    write_with_mode(&target, &file.contents, file.mode)
}

/// Modes are set, not inherited: the caller's umask must not reach the package.
fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Error::io("set the mode of", path))
}

fn write_with_mode(path: &Path, contents: &[u8], mode: u32) -> Result<(), Error> {
    fs::write(path, contents).map_err(Error::io("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path))
}

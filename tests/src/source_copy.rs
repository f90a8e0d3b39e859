//! A copy of this workspace that can be edited and built: with faults put in on purpose, or with the parts of an older release.
//!
//! It is built into this workspace's own target directory, so that all dependencies are there already. Its crates bear another version
//! than this workspace's, or they would take each other's place there, and are compiled quickly rather than well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::Binaries;
use crate::command::{finish, limited};

/// What is copied: the workspace without what was built from it.
const PARTS: [&str; 8] = ["Cargo.toml", "Cargo.lock", "proto", "common", "agent", "controller", "deploy", "tests"];
/// Folders that are not source.
const NO_SOURCE: [&str; 2] = ["target", ".cache"];
/// Crates of ours that are compiled quickly.
const OURS: [&str; 5] = ["patchwave", "patchwave-agent", "patchwave-common", "patchwave-proto", "patchwave-tests"];
/// The version of a copy's crates where it is no release's; no release has it.
const VERSION: &str = "0.0.0";
/// Longest build: our own crates, on a loaded machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1_200);

/// A copy; gone when dropped.
#[derive(Debug)]
pub struct SourceCopy {
    folder: tempfile::TempDir,
    target: PathBuf,
    /// Whether this workspace's dependencies are all that it has.
    same_dependencies: bool,
}

impl SourceCopy {
    /// A copy of this workspace as it is.
    ///
    /// # Errors
    /// If a file cannot be copied.
    pub fn of_this_workspace() -> Result<Self> {
        Self::with_version(VERSION)
    }

    /// Two copies that differ must bear different versions: cargo would take what was generated for one as the other's.
    fn with_version(version: &str) -> Result<Self> {
        let workspace = workspace();
        let folder = tempfile::tempdir().context("cannot make a folder for the copy")?;
        for part in PARTS {
            copy(&workspace.join(part), &folder.path().join(part))?;
        }
        // The test's own place is TARGET/release/deps.
        let test = std::env::current_exe().context("cannot find this test's own file")?;
        let target = test.ancestors().nth(3).context("this test does not run from cargo's target directory")?.to_owned();
        let copied = Self { folder, target, same_dependencies: true };
        copied.change("Cargo.lock", |lock| {
            let ours = lock.split("\n\n").map(|package| {
                let is_ours = package.contains("name = \"patchwave") && !package.contains("\nsource = ");
                if is_ours { versioned(package, version) } else { package.to_owned() }
            });
            ours.collect::<Vec<_>>().join("\n\n")
        })?;
        copied.change("Cargo.toml", |manifest| {
            let quickly: String = OURS.iter().map(|name| format!("\n[profile.release.package.\"{name}\"]\nopt-level = 1\n")).collect();
            versioned(manifest, version) + &quickly
        })?;
        // Its programs would take the place of the real ones.
        copied.edit(Path::new("tests/Cargo.toml"), "publish.workspace = true\n", "publish.workspace = true\nautobins = false\n")?;
        Ok(copied)
    }

    /// Agent, controller and what both share as they stood at a release's commit, in a workspace that has this one's dependencies and what
    /// an edit of its manifest adds. `None`, with the reason, where this workspace is no git repository with that commit.
    ///
    /// # Errors
    /// If a file cannot be copied.
    pub fn of_release(commit: &str, version: &str) -> Result<std::result::Result<Self, String>> {
        let mut copied = Self::with_version(version)?;
        copied.same_dependencies = false;
        let archive = copied.folder.path().join("release.tar");
        let parts = ["proto", "common", "agent", "controller", "deploy/systemd"];
        let mut git = limited(BUILD_LIMIT, "git");
        git.arg("-c").arg(format!("safe.directory={}", workspace().display())).arg("-C").arg(workspace());
        let taken = finish(git.args(["archive", "--output"]).arg(&archive).arg(commit).args(parts))?;
        if !taken.status.success() {
            return Ok(Err(format!("git has no commit {commit} here: {} (hint: clone with the whole history)", taken.stderr.trim())));
        }
        for part in parts {
            std::fs::remove_dir_all(copied.folder.path().join(part))?;
        }
        let mut tar = limited(BUILD_LIMIT, "tar");
        // With the present as their time, since cargo looks at that to see what is new.
        finish(tar.args(["--extract", "--touch", "--file"]).arg(&archive).arg("--directory").arg(copied.folder.path()))?
            .into_stdout("tar")?;
        copied.empty_tests()?;
        for (part, name) in [("controller", "patchwave"), ("agent", "patchwave-agent")] {
            let manifest = PathBuf::from(part).join("Cargo.toml");
            copied.edit(&manifest, &format!("[[bin]]\nname = \"{name}\"\n"), &format!("[[bin]]\nname = \"older-{name}\"\n"))?;
        }
        Ok(Ok(copied))
    }

    /// Leaves of the tests' package only its dependencies, which give all others the features that they were compiled with.
    fn empty_tests(&self) -> Result<()> {
        let tests = self.folder.path().join("tests");
        for folder in ["src", "tests", "benches"] {
            std::fs::remove_dir_all(tests.join(folder))?;
        }
        let files = [("src/lib.rs", "//! Nothing.\n"), ("tests/nothing.rs", "//! Nothing.\n"), ("benches/cost/main.rs", "fn main() {}\n")];
        for (file, text) in files {
            let path = tests.join(file);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, text)?;
        }
        Ok(())
    }

    /// A file or folder of the copy.
    #[must_use]
    pub fn path(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    /// Adds text at the end of a file.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn append(&self, file: &str, text: &str) -> Result<()> {
        self.change(file, |before| before.to_owned() + text)
    }

    /// Replaces a text that stands exactly once in the file.
    ///
    /// # Errors
    /// If it stands there never or more than once, or the file cannot be read or written.
    pub fn edit(&self, file: &Path, find: &str, replace: &str) -> Result<()> {
        let path = self.folder.path().join(file);
        let before = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", file.display()))?;
        let times = before.matches(find).count();
        ensure!(times == 1, "{} has {times} times: {find}", file.display());
        std::fs::write(&path, before.replace(find, replace)).with_context(|| format!("cannot write {}", file.display()))
    }

    fn change(&self, file: &str, change: impl FnOnce(&str) -> String) -> Result<()> {
        let path = self.folder.path().join(file);
        let before = std::fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        std::fs::write(&path, change(&before)).with_context(|| format!("cannot write {file}"))
    }

    /// Builds one test of `patchwave-tests`; where it lies.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn build_test(&self, test: &str) -> Result<PathBuf> {
        self.build(&["--test", test])?.remove(test).with_context(|| format!("cargo names no executable of {test}"))
    }

    /// Builds the programs of a copy that is an older release.
    ///
    /// # Errors
    /// If they cannot be built.
    pub fn build_programs(&self) -> Result<Binaries> {
        // A test among the targets counts the dependencies of tests in, as every other build does: else features would differ.
        let mut built = self.build(&["--bin", "older-patchwave", "--bin", "older-patchwave-agent", "--test", "nothing"])?;
        let mut take = |name: &str| built.remove(name).with_context(|| format!("cargo names no executable of {name}"));
        Ok(Binaries { patchwave: take("older-patchwave")?, patchwave_agent: take("older-patchwave-agent")?, patchwave_demo: None })
    }

    /// Naming the whole workspace gives every dependency the features that it was compiled with before.
    fn build(&self, targets: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
        let mut cargo = limited(BUILD_LIMIT, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--workspace", "--message-format", "json"]).args(targets);
        if self.same_dependencies {
            cargo.args(["--offline", "--locked"]);
        }
        let built = finish(cargo.current_dir(self.folder.path()).env("CARGO_TARGET_DIR", &self.target))?;
        if !built.status.success() {
            bail!("cargo build {}: {}", targets.join(" "), built.stderr);
        }
        let messages = built.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let named = messages
            .filter_map(|message| Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(message["executable"].as_str()?))));
        Ok(named.collect())
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("/"))
}

/// The first version in a part of a manifest or lock file replaced.
fn versioned(text: &str, version: &str) -> String {
    let current = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
    text.replacen(&current, &format!("version = \"{version}\""), 1)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    std::fs::create_dir(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if NO_SOURCE.iter().all(|name| entry.file_name() != *name) {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

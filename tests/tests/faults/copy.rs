//! A copy of this workspace that can be edited and built.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What is copied: the workspace without what was built from it.
const PARTS: [&str; 8] = ["Cargo.toml", "Cargo.lock", "proto", "common", "agent", "controller", "deploy", "tests"];
/// Folders that are not source.
const NO_SOURCE: [&str; 2] = ["target", ".cache"];
/// Tells which fault is on; appended to the copy's `common`.
const SWITCH: &str = r#"
/// Whether this deliberate fault is on.
pub fn fault(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("PATCHWAVE_FAULT").ok()).as_deref() == Some(name)
}
"#;
/// The copy's own crates are compiled quickly rather than well; all others are those of this workspace, compiled already.
const QUICKLY: &str = r#"
[profile.release.package."patchwave"]
opt-level = 1
[profile.release.package."patchwave-agent"]
opt-level = 1
[profile.release.package."patchwave-common"]
opt-level = 1
[profile.release.package."patchwave-proto"]
opt-level = 1
[profile.release.package."patchwave-tests"]
opt-level = 1
"#;

pub struct Copied {
    folder: tempfile::TempDir,
    target: PathBuf,
}

impl Copied {
    pub fn of_this_workspace() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for part in PARTS {
            copy(&workspace.join(part), &folder.path().join(part));
        }
        // The test's own place is TARGET/release/deps.
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        let copied = Self { folder, target };
        copied.append("common/src/lib.rs", SWITCH);
        copied.append("Cargo.toml", QUICKLY);
        // Its programs would take the place of the real ones.
        copied.edit(Path::new("tests/Cargo.toml"), "publish.workspace = true\n", "publish.workspace = true\nautobins = false\n");
        copied
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before + text).unwrap();
    }

    /// Replaces a text that stands exactly once in the file.
    pub fn edit(&self, file: &Path, find: &str, replace: &str) {
        let path = self.folder.path().join(file);
        let before = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let times = before.matches(find).count();
        assert_eq!(times, 1, "{} has {times} times: {find}", file.display());
        std::fs::write(&path, before.replace(find, replace)).unwrap();
    }

    /// Builds one test of `patchwave-tests`; where it lies. Naming the whole workspace gives every dependency the features that it was
    /// compiled with before.
    pub fn build(&self, test: &str) -> PathBuf {
        let build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--release", "--workspace", "--locked", "--no-run", "--message-format", "json", "--test", test])
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        let said = String::from_utf8(build.stdout).unwrap();
        let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut built = messages
            .filter(|message| message["target"]["name"] == test)
            .filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        built.next_back().unwrap_or_else(|| panic!("cargo names no executable:\n{said}"))
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if NO_SOURCE.iter().all(|name| entry.file_name() != *name) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    }
}

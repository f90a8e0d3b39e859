//! Finds Patchwave's own programs, building them first so that a test never runs yesterday's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command::{finish, limited};

/// Names a directory with the built programs; nothing is built then. `tests/run` sets it.
const DIRECTORY_VARIABLE: &str = "PATCHWAVE_TESTS_BINARIES";

/// Longest build: a cold one in the release profile takes some minutes on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(1_200);

/// Where the built programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The controller and its command line.
    pub patchwave: PathBuf,
    /// The agent.
    pub patchwave_agent: PathBuf,
    /// The demo, if it was built.
    pub patchwave_demo: Option<PathBuf>,
}

impl Binaries {
    /// Builds them in the profile that this test was built in, unless `PATCHWAVE_TESTS_BINARIES` names a directory.
    ///
    /// # Errors
    /// If they cannot be built or found.
    pub fn find() -> Result<Self> {
        if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
            return Self::in_directory(Path::new(&directory));
        }
        // A test runs as TARGET/PROFILE/deps/NAME-HASH.
        let test = std::env::current_exe().context("cannot find this test's own file")?;
        let profile = test.ancestors().nth(2).context("this test does not run from cargo's target directory")?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = limited(BUILD_LIMIT, cargo);
        // The whole workspace, since selecting packages would change features and build every dependency once more.
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        build.arg("--target-dir").arg(profile.parent().context("no target directory")?);
        if profile.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        finish(build.current_dir(env!("CARGO_MANIFEST_DIR")))?.into_stdout("cargo build")?;
        Self::in_directory(profile)
    }

    fn in_directory(directory: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = directory.join(name);
            path.is_file().then_some(path).with_context(|| format!("no {name} in {}", directory.display()))
        };
        Ok(Self { patchwave: find("patchwave")?, patchwave_agent: find("patchwave-agent")?, patchwave_demo: find("patchwave-demo").ok() })
    }
}

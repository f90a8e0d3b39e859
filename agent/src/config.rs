//! The agent's settings: `/etc/patchwave/agent.toml`, the fragments in `agent.conf.d` beside it, then the command line.
//!
//! Every key is optional and an unknown one is refused. Who the host is and which mode it agreed to are not settings: they stand in the
//! identity that enrolment wrote, below the state directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use patchwave_common::domain::{Manager, parse_duration};
use patchwave_common::runtime::config::{ConfigError, Loaded, load};
use patchwave_common::runtime::retry::MAX_CEILING;
use patchwave_common::runtime::telemetry::LogFormat;
use serde::Deserialize;

/// Where the configuration is looked for; absent there, the defaults hold.
pub const DEFAULT_CONFIG_PATH: &str = "/etc/patchwave/agent.toml";
/// Where the agent keeps identity, journal, receipts and originals.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/patchwave-agent";
/// Where health checks that are executables stand.
pub const DEFAULT_CHECKS_DIR: &str = "/etc/patchwave/checks.d";
/// Where hooks stand.
pub const DEFAULT_HOOKS_DIR: &str = "/etc/patchwave/hooks.d";
/// Staged files and originals: a kernel, a libc and a browser with their originals are about 600 MB.
const DEFAULT_STAGE_LIMIT_MIB: u64 = 4096;
/// Left free on the disk of the state directory while staging: unpacking needs more than the files themselves.
const DEFAULT_KEEP_FREE_MIB: u64 = 512;
/// A bound beyond this is a slip of the keyboard: 16 TiB.
const MAX_MIB: u64 = 16 * 1024 * 1024;

/// A fleet that tries more often keeps a controller busy that has just come back.
const RETRY_LEAST: Duration = Duration::from_secs(1);
/// A host that tries less often is taken for lost.
const RETRY_MOST: Duration = Duration::from_secs(3600);

/// The file's form. See [`Settings`] for what each key means.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Inputs {
    name: Option<String>,
    state_dir: Option<PathBuf>,
    checks_dir: Option<PathBuf>,
    hooks_dir: Option<PathBuf>,
    controller: ControllerInputs,
    packages: PackagesInputs,
    log: LogInputs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ControllerInputs {
    url: Option<String>,
    retry_within: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PackagesInputs {
    manager: Option<String>,
    root: Option<PathBuf>,
    stage_limit_mib: Option<u64>,
    keep_free_mib: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogInputs {
    format: Option<LogFormat>,
    filter: Option<String>,
}

/// Validated settings of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name that the host reports, where it shall be another than the machine's: several sandbox hosts share one machine.
    pub name: Option<String>,
    /// Identity, journal, receipts, originals, status; only its owner may enter.
    pub state_dir: PathBuf,
    /// Executables that a policy's checks may name.
    pub checks_dir: PathBuf,
    /// Executables that a policy's hooks may name.
    pub hooks_dir: PathBuf,
    /// The controller's address, where it shall be another than at enrolment (a moved controller).
    pub controller_url: Option<String>,
    /// Longest pause between two tries to reach the controller.
    pub retry_within: Duration,
    /// How packages are reached.
    pub packages: PackagesSettings,
    /// How the log looks.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: String,
}

/// Settings about packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagesSettings {
    /// The package manager; `None` looks for one.
    pub manager: Option<Manager>,
    /// Root directory of the packages; `None` for the machine's own.
    pub root: Option<PathBuf>,
    /// Bound on staged files and originals, in bytes.
    pub stage_limit_bytes: u64,
    /// Bytes that staging leaves free.
    pub keep_free_bytes: u64,
}

/// What the command line says over the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
}

impl Settings {
    /// Reads and validates. `path` is what the user named; without it, the default file, which may be absent.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, a value that cannot be: each names file and key.
    pub fn load(path: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let loaded: Loaded<Inputs> = load(path.unwrap_or(Path::new(DEFAULT_CONFIG_PATH)), path.is_some())?;
        let inputs = &loaded.inputs;
        let directory = |key: &str, given: &Option<PathBuf>, default: &str| match given {
            Some(path) if !path.is_absolute() => Err(loaded.invalid(key, "a directory is named from the root, e.g. \"/var/lib/…\"")),
            Some(path) => Ok(path.clone()),
            None => Ok(PathBuf::from(default)),
        };
        if inputs.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 253 || name.contains(char::is_control)) {
            return Err(loaded.invalid("name", "a host name of 1 to 253 characters"));
        }
        Ok(Self {
            name: inputs.name.clone(),
            state_dir: match overrides.state_dir {
                Some(path) => path,
                None => directory("state_dir", &inputs.state_dir, DEFAULT_STATE_DIR)?,
            },
            checks_dir: directory("checks_dir", &inputs.checks_dir, DEFAULT_CHECKS_DIR)?,
            hooks_dir: directory("hooks_dir", &inputs.hooks_dir, DEFAULT_HOOKS_DIR)?,
            controller_url: controller_url(&loaded)?,
            retry_within: retry_within(&loaded)?,
            packages: packages(&loaded)?,
            log_format: inputs.log.format.unwrap_or_default(),
            log_filter: inputs.log.filter.clone().unwrap_or_else(|| "info".to_owned()),
        })
    }
}

fn controller_url(loaded: &Loaded<Inputs>) -> Result<Option<String>, ConfigError> {
    match &loaded.inputs.controller.url {
        Some(url) if !url.starts_with("https://") => Err(loaded.invalid("controller.url", "it begins with https://; no port is plaintext")),
        url => Ok(url.clone()),
    }
}

fn retry_within(loaded: &Loaded<Inputs>) -> Result<Duration, ConfigError> {
    let Some(text) = &loaded.inputs.controller.retry_within else { return Ok(MAX_CEILING) };
    match parse_duration(text) {
        Ok(span) if (RETRY_LEAST..=RETRY_MOST).contains(&span) => Ok(span),
        Ok(_) => Err(loaded.invalid("controller.retry_within", "from \"1s\" to \"1h\"")),
        Err(error) => Err(loaded.invalid("controller.retry_within", error.to_string())),
    }
}

fn packages(loaded: &Loaded<Inputs>) -> Result<PackagesSettings, ConfigError> {
    let inputs = &loaded.inputs.packages;
    let manager = match inputs.manager.as_deref() {
        None | Some("auto") => None,
        Some(name) => {
            let parsed = Manager::parse(name);
            Some(parsed.map_err(|_| loaded.invalid("packages.manager", format!("\"{name}\" is none of auto, dpkg and simulated")))?)
        }
    };
    if inputs.root.as_ref().is_some_and(|root| !root.is_absolute()) {
        return Err(loaded.invalid("packages.root", "a directory is named from the root, e.g. \"/srv/sandbox\""));
    }
    let mebibytes = |key: &str, given: Option<u64>, default: u64| match given.unwrap_or(default) {
        count if count > MAX_MIB => Err(loaded.invalid(key, format!("at most {MAX_MIB} (MiB)"))),
        count => Ok(count * 1024 * 1024),
    };
    Ok(PackagesSettings {
        manager,
        root: inputs.root.clone(),
        stage_limit_bytes: mebibytes("packages.stage_limit_mib", inputs.stage_limit_mib, DEFAULT_STAGE_LIMIT_MIB)?,
        keep_free_bytes: mebibytes("packages.keep_free_mib", inputs.keep_free_mib, DEFAULT_KEEP_FREE_MIB)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(text: &str) -> Result<Settings, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(Some(&path), Overrides::default())
    }

    #[test]
    fn an_empty_file_gives_the_defaults_and_the_command_line_wins_over_the_file() {
        let defaults = settings("").unwrap();
        assert_eq!(defaults.state_dir, Path::new(DEFAULT_STATE_DIR));
        assert_eq!(defaults.packages.manager, None);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.toml");
        std::fs::write(&path, "state_dir = \"/a\"\n[packages]\nstage_limit_mib = 3\nmanager = \"simulated\"").unwrap();
        let overrides = Overrides { state_dir: Some("/b".into()) };
        let settings = Settings::load(Some(&path), overrides).unwrap();
        assert_eq!((settings.state_dir.as_path(), settings.packages.stage_limit_bytes), (Path::new("/b"), 3 << 20));
        assert_eq!(settings.packages.manager, Some(Manager::Simulated));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_one_that_was_meant() {
        let error = settings("[packages]\nstage_limit_mb = 3").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("stage_limit_mib"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_its_key() {
        for (text, key) in [
            ("state_dir = \"here\"", "state_dir"),
            ("[controller]\nurl = \"http://c:7443\"", "controller.url"),
            ("[controller]\nretry_within = \"0s\"", "controller.retry_within"),
            ("[controller]\nretry_within = \"soon\"", "controller.retry_within"),
            ("[packages]\nmanager = \"yum\"", "packages.manager"),
            ("[packages]\nroot = \"x\"", "packages.root"),
            ("[packages]\nkeep_free_mib = 99999999", "packages.keep_free_mib"),
        ] {
            let error = settings(text).unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }

    #[test]
    fn the_example_file_shows_the_defaults_and_knows_every_key() {
        let example = include_str!("../../deploy/config/agent.toml");
        assert_eq!(settings(example).unwrap(), settings("").unwrap());
        // Uncommented, too, except for what has no default.
        let without_default = ["#url", "#root", "#name"];
        let uncommented: String = example
            .lines()
            .filter(|line| !without_default.iter().any(|key| line.starts_with(key)))
            .map(|line| {
                line.strip_prefix('#').filter(|rest| rest.contains(" = ") && !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n"
            })
            .collect();
        assert!(uncommented.contains("\nkeep_free_mib = 512\n"));
        assert_eq!(settings(&uncommented).unwrap(), settings("").unwrap());
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        assert!(Settings::load(Some(Path::new("/nonexistent/agent.toml")), Overrides::default()).is_err());
    }
}

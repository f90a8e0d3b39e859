//! The controller's settings file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use patchwave_common::domain::parse_duration;
use patchwave_common::runtime::{atomic_file, config};
use serde::Deserialize;

use super::RestoreRequest;
use crate::app::AppSettings;
use crate::conductor::ConductorSettings;
use crate::pki::ServerNames;

/// Name of the file in a state directory.
pub const SETTINGS_FILE: &str = "controller.toml";

/// Why the settings cannot be used.
pub type SettingsError = config::ConfigError;

/// Validated settings.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// Where everything is.
    pub state_dir: PathBuf,
    /// Where agents and operators connect.
    pub listen: SocketAddr,
    /// Names in the controller's certificate.
    pub names: Vec<String>,
    /// Kind of store.
    pub store: String,
    /// Spans.
    pub app: AppSettings,
    /// Spans of the conductor.
    pub conductor: ConductorSettings,
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    state_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    names: Option<Vec<String>>,
    store: Option<String>,
    heartbeat: Option<String>,
    grace: Option<String>,
    lease: Option<String>,
    host_certificate_life: Option<String>,
}

impl ControllerSettings {
    /// Reads a settings file and its fragments. A relative `state_dir`, or none, is the file's own folder.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        let loaded = config::load::<Inputs>(file, true)?;
        let invalid = |key: &str, reason: String| loaded.invalid(key, reason);
        let inputs = &loaded.inputs;
        let span = |key: &str, value: &Option<String>, default: Duration, least: Duration, most: Duration| match value {
            None => Ok(default),
            Some(text) => match parse_duration(text) {
                Ok(span) if span >= least && span <= most => Ok(span),
                Ok(_) => Err(invalid(key, format!("\"{text}\" must be between {least:?} and {most:?}"))),
                Err(error) => Err(invalid(key, error.to_string())),
            },
        };
        let (app, conductor) = (AppSettings::default(), ConductorSettings::default());
        let (second, hour, day) = (Duration::from_secs(1), Duration::from_secs(3600), Duration::from_secs(86_400));
        let folder = file.parent().unwrap_or(Path::new("."));
        let settings = Self {
            state_dir: inputs.state_dir.as_ref().map_or_else(|| folder.to_owned(), |dir| folder.join(dir)),
            listen: inputs.listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 7443))),
            names: inputs.names.clone().unwrap_or_default(),
            store: inputs.store.clone().unwrap_or_else(|| "redb".to_owned()),
            app: AppSettings {
                heartbeat: span("heartbeat", &inputs.heartbeat, app.heartbeat, second, hour)?,
                grace: span("grace", &inputs.grace, app.grace, Duration::ZERO, hour)?,
                host_certificate_life: span(
                    "host_certificate_life",
                    &inputs.host_certificate_life,
                    app.host_certificate_life,
                    second,
                    day * 365,
                )?,
            },
            conductor: ConductorSettings { lease: span("lease", &inputs.lease, conductor.lease, second, hour)? },
        };
        if settings.names.is_empty() {
            return Err(invalid("names", "at least one DNS name or address under which hosts reach the controller".to_owned()));
        }
        Ok(settings)
    }

    /// Reads the settings of a state directory.
    pub fn of_state_dir(state_dir: &Path) -> Result<Self, SettingsError> {
        let mut settings = Self::load(&state_dir.join(SETTINGS_FILE))?;
        state_dir.clone_into(&mut settings.state_dir);
        Ok(settings)
    }
}

/// Writes the file that `init` leaves.
pub(super) fn write(state_dir: &Path, names: &[String], listen: SocketAddr, store: &str) -> anyhow::Result<()> {
    atomic_file::write(&state_dir.join(SETTINGS_FILE), text(names, listen, store).as_bytes(), atomic_file::MODE_SECRET)?;
    Ok(())
}

/// The file that `restore` leaves: what is asked for now, and everything else as the backup's file has it.
pub(super) fn restored(then: Option<&str>, request: &RestoreRequest<'_>) -> anyhow::Result<String> {
    let mut then: toml::Table = then.unwrap_or_default().parse().context("reading the settings in the backup")?;
    let names_then = then.remove("names").map_or(Ok(Vec::new()), toml::Value::try_into::<Vec<String>>);
    let names = if request.names.is_empty() { names_then.context("reading the names in the backup")? } else { request.names.to_vec() };
    if names.is_empty() {
        anyhow::bail!("the backup does not say under which names the controller is reached (hint: give them with --name)");
    }
    ServerNames::parse(&names)?;
    for key in ["state_dir", "listen", "store"] {
        then.remove(key);
    }
    Ok(text(&names, request.listen, request.store) + &then.to_string())
}

fn text(names: &[String], listen: SocketAddr, store: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| toml::Value::String(name.clone()).to_string()).collect();
    format!(
        "# Settings of this controller; `patchwave serve --state-dir` reads them. Fragments in controller.conf.d/*.toml are read too.\n\
         listen = \"{listen}\"\n\
         # DNS names and addresses under which hosts and operators reach it; the certificate is made for these.\n\
         names = [{}]\n\
         # redb or sled\n\
         store = \"{store}\"\n\
         # heartbeat = \"30s\"             time between two signs of life of an agent\n\
         # grace = \"90s\"                 after a start, absent hosts are unknown, not offline, for this long\n\
         # lease = \"60s\"                 leave to begin a transaction is good for this long\n\
         # host_certificate_life = \"30d\" renewed at two thirds\n",
        quoted.join(", ")
    )
}

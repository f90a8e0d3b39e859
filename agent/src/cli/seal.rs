//! `patchwave-agent seal`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use patchwave_common::domain::HostMode;
use serde::Serialize;

use super::CliError;
use super::output::Output;
use crate::config::Settings;
use crate::identity::IdentityStore;
use crate::patching;
use crate::run::lock::InstanceLock;
use crate::run::open;

/// What belongs to this one host: who it is, what it was told and what it recorded. A local hold stays, and so do simulated packages.
const OF_THIS_HOST: [&str; 6] = ["identity.toml", "session", "patching", "status.json", "cache", "agent.lock"];

/// Prepare this machine's disk to be cloned: forget who it is
///
/// Removes identity, key, journal, receipts and originals, and lifts quarantine pins. Every clone is then enrolled anew and is a host of
/// its own. Refused while the agent runs or a directive is open.
#[derive(Debug, Args)]
pub struct SealArgs {}

#[derive(Serialize)]
struct Sealed {
    was_host: Option<String>,
    removed: Vec<PathBuf>,
}

pub fn seal(settings: &Settings, _args: &SealArgs, output: &Output) -> Result<ExitCode, CliError> {
    let state_dir = &settings.state_dir;
    if !state_dir.exists() {
        return done(None, Vec::new(), output);
    }
    // Held to the end, so that no agent starts meanwhile.
    let _lock = InstanceLock::take(state_dir)
        .map_err(|error| CliError::failed(error).hint("stop the agent first: systemctl disable --now patchwave-agent"))?;
    refuse_open_directive(state_dir)?;
    let identity = IdentityStore::new(state_dir).load().ok();
    if identity.as_ref().is_some_and(|identity| identity.mode == HostMode::Managed) {
        let unpinned = open::open_packages(settings).and_then(|manager| manager.set_quarantine(&[]));
        unpinned.map_err(|error| CliError::failed(format!("the quarantine's pins cannot be lifted: {error}")))?;
    }
    let mut removed = Vec::new();
    for path in OF_THIS_HOST.map(|name| state_dir.join(name)) {
        if remove(&path).map_err(|error| CliError::failed(format!("cannot remove {}: {error}", path.display())))? {
            removed.push(path);
        }
    }
    done(identity.map(|identity| identity.id.to_string()), removed, output)
}

fn refuse_open_directive(state_dir: &Path) -> Result<(), CliError> {
    match patching::read_status(state_dir)? {
        Some(status) if status.state != "idle" => {
            let hint = "let the agent finish it first (`patchwave-agent status`), or have the rollout aborted";
            Err(CliError::failed(format!("a directive is open ({}): its receipt would be lost", status.state)).hint(hint))
        }
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<bool> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn done(was_host: Option<String>, removed: Vec<PathBuf>, output: &Output) -> Result<ExitCode, CliError> {
    let sealed = Sealed { was_host, removed };
    output.show(&sealed, || match &sealed.was_host {
        Some(host) => format!("Sealed: this machine is no longer {host}\n"),
        None => "Sealed: this machine was not enrolled\n".to_owned(),
    })?;
    if let Some(host) = &sealed.was_host {
        output.say(&format!("Retire it at its controller (patchwave host retire {host}), and enrol every clone anew."));
    }
    Ok(ExitCode::SUCCESS)
}

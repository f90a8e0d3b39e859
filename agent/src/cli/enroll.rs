//! `patchwave-agent enroll`.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use patchwave_common::domain::{Digest, HostMode};
use patchwave_common::runtime::atomic_file;
use serde::Serialize;

use super::CliError;
use super::output::Output;
use crate::config::Settings;
use crate::identity::{Enrolment, HostIdentity, IdentityStore, enrol};
use crate::run::{lock, open};
use crate::session::contents::ReadOnly;

/// A token is about 60 characters; a file much longer is another file.
const TOKEN_MAX_BYTES: u64 = 4096;

/// Make this machine a host of a controller, with a join token
///
/// The machine makes its own key, which never leaves it. The token is best handed over in a file or typed in: an argument is readable by
/// every process of the machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    patchwave-agent enroll --controller https://patchwave.example:7443 --fingerprint 1A:2B:… --token-file join-token\n  \
    patchwave-agent enroll --controller https://patchwave.example:7443 --fingerprint 1A:2B:… --token-file -     (reads standard input)")]
pub struct EnrollArgs {
    /// The controller's address, https://NAME:PORT
    #[arg(long, value_name = "URL")]
    controller: String,
    /// SHA-256 fingerprint of the controller's authority, as `patchwave token create` shows it
    #[arg(long, visible_alias = "ca-fingerprint", value_name = "FINGERPRINT")]
    fingerprint: String,
    /// File that holds the join token; - for standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    token_file: Option<PathBuf>,
    /// The join token itself; every process of this machine can read it here
    #[arg(long, value_name = "TOKEN", env = "PATCHWAVE_TOKEN", hide_env_values = true, group = "secret")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Enrolled {
    host: String,
    mode: &'static str,
    controller: String,
    trust_domain: String,
    certificate_until: String,
}

pub fn enroll(settings: &Settings, args: EnrollArgs, output: &Output) -> Result<ExitCode, CliError> {
    let fingerprint = Digest::parse(&args.fingerprint)
        .map_err(|error| CliError::wrong_use(error).hint("copy the fingerprint that `patchwave token create` shows"))?;
    if lock::is_running(&settings.state_dir) {
        return Err(CliError::failed("an agent runs on this state directory").hint("it is enrolled already: `patchwave-agent status`"));
    }
    let store = IdentityStore::new(&settings.state_dir);
    let token = token(&args, output)?;
    atomic_file::private_directory(&settings.state_dir)?;
    let manager = open::open_packages(settings).map_err(CliError::failed)?;
    let facts = crate::run::read_facts(&ReadOnly::new(manager), settings);
    let enrolment = Enrolment { url: args.controller, token, fingerprint, facts };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let identity = runtime.block_on(enrol(&store, enrolment)).map_err(CliError::failed)?;
    show(&identity, output)?;
    Ok(ExitCode::SUCCESS)
}

fn show(identity: &HostIdentity, output: &Output) -> Result<(), CliError> {
    let enrolled = Enrolled {
        host: identity.id.to_string(),
        mode: identity.mode.as_str(),
        controller: identity.url.clone(),
        trust_domain: identity.authority.trust_domain.as_str().to_owned(),
        certificate_until: identity.certificate.not_after.to_string(),
    };
    output.show(&enrolled, || format!("Enrolled as {} ({}) at {}\n", enrolled.host, enrolled.mode, enrolled.controller))?;
    let reports = match identity.mode {
        HostMode::Managed => "Start the agent: systemctl enable --now patchwave-agent",
        HostMode::ReportOnly => "This host reports and nothing more. Start the agent: systemctl enable --now patchwave-agent",
    };
    output.say(reports);
    Ok(())
}

fn token(args: &EnrollArgs, output: &Output) -> Result<String, CliError> {
    let token = match (&args.token_file, &args.token) {
        (Some(path), _) if path == Path::new("-") => from_standard_input(output)?,
        (Some(path), _) => from_file(path, output)?,
        (None, Some(token)) => {
            if std::env::var_os("PATCHWAVE_TOKEN").is_none() {
                output.say("warning: every process of this machine could read the token in the arguments; use --token-file next time");
            }
            token.clone()
        }
        (None, None) => {
            return Err(CliError::wrong_use("no join token given")
                .hint("--token-file FILE, or --token-file - to type it in; an operator makes one with `patchwave token create`"));
        }
    };
    let token = token.trim().to_owned();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            CliError::wrong_use("the join token is empty or holds blanks").hint("give exactly what `patchwave token create` showed")
        );
    }
    Ok(token)
}

fn from_file(path: &Path, output: &Output) -> Result<String, CliError> {
    let text = atomic_file::read_text(path, TOKEN_MAX_BYTES)?;
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
        output.say(&format!("warning: others can read {0}; remove it when all hosts are enrolled, or chmod 600 {0}", path.display()));
    }
    Ok(text)
}

fn from_standard_input(output: &Output) -> Result<String, CliError> {
    let input = std::io::stdin();
    if input.is_terminal() {
        output.say("Join token:");
    }
    let mut line = String::new();
    input.lock().take(TOKEN_MAX_BYTES).read_line(&mut line).map_err(|error| CliError::failed(format!("cannot read the token: {error}")))?;
    Ok(line)
}

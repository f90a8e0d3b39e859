//! `patchwave-agent doctor`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use patchwave_common::runtime::config::ConfigError;

use super::CliError;
use super::output::Output;
use crate::config::Settings;
use crate::doctor::{Finding, Severity, Subject, examine, unreadable_configuration};
use crate::identity::IdentityStore;
use crate::run::open;

/// Find what will hurt: other hands, held packages, broken sources, little disk, clock, route, certificate
///
/// Fetches the archive's indexes, as the agent does by itself, and tries the controller. Exit status 1 where an error was found.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Ask neither the archive nor the controller
    #[arg(long)]
    offline: bool,
}

pub fn doctor(settings: Result<Settings, ConfigError>, args: &DoctorArgs, output: &Output) -> Result<ExitCode, CliError> {
    let findings = match settings {
        Err(error) => vec![unreadable_configuration(error)],
        Ok(settings) => examine(&Subject {
            machine: PathBuf::from("/"),
            identity: IdentityStore::new(&settings.state_dir).load(),
            packages: open::open_packages(&settings),
            now: SystemClock::new().now(),
            offline: args.offline,
            settings,
        }),
    };
    output.show(&findings, || text(&findings))?;
    let bad = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "Nothing found that would hurt\n".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{severity}: {}: {}\n  hint: {}", finding.check, finding.what, finding.hint);
    }
    text
}

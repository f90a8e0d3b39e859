//! `patchwave-agent status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use patchwave_common::domain::{DirectiveProgress, show_duration};
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use serde::Serialize;

use super::CliError;
use super::output::Output;
use crate::config::Settings;
use crate::hold::{self, Hold};
use crate::identity::{HostIdentity, IdentityStore};
use crate::patching::{self, PatchingStatus};
use crate::run::lock;
use crate::run::status_file::{self, AgentStatus};
use crate::session::status::LinkState;

/// Show who this host is, how its agent is and what it does
#[derive(Debug, Args)]
pub struct StatusArgs {}

#[derive(Serialize)]
struct Shown {
    host: String,
    mode: &'static str,
    controller: String,
    running: bool,
    certificate_until: String,
    /// What the running agent, or the last one, said about itself.
    agent: Option<AgentStatus>,
    hold: Option<Hold>,
    directive: Option<Directive>,
}

#[derive(Serialize)]
struct Directive {
    state: String,
    rollout: Option<String>,
    generation: Option<String>,
    progress: Vec<&'static str>,
    detail: Option<String>,
}

pub fn status(settings: &Settings, _args: &StatusArgs, output: &Output) -> Result<ExitCode, CliError> {
    let identity = IdentityStore::new(&settings.state_dir).load().map_err(CliError::failed)?;
    let shown = gather(settings, &identity)?;
    output.show(&shown, || text(&shown))?;
    Ok(ExitCode::SUCCESS)
}

fn gather(settings: &Settings, identity: &HostIdentity) -> Result<Shown, CliError> {
    let directive = patching::read_status(&settings.state_dir)?.map(|status| directive(&status));
    Ok(Shown {
        host: identity.id.to_string(),
        mode: identity.mode.as_str(),
        controller: settings.controller_url.clone().unwrap_or_else(|| identity.url.clone()),
        running: lock::is_running(&settings.state_dir),
        certificate_until: identity.certificate.not_after.to_string(),
        agent: status_file::read(&settings.state_dir)?,
        hold: hold::read(&settings.state_dir),
        directive,
    })
}

fn directive(status: &PatchingStatus) -> Directive {
    let history = status.history.as_ref();
    let progress = history.map(|history| history.progress.as_slice()).unwrap_or_default();
    Directive {
        state: status.state.clone(),
        rollout: history.map(|history| history.rollout.to_string()),
        generation: history.map(|history| history.generation.to_string()),
        progress: progress.iter().map(name).collect(),
        detail: progress.iter().rev().find_map(detail),
    }
}

fn name(progress: &DirectiveProgress) -> &'static str {
    match progress {
        DirectiveProgress::Accepted => "accepted",
        DirectiveProgress::Refused { .. } => "refused",
        DirectiveProgress::Ready => "ready",
        DirectiveProgress::Applying => "applying",
        DirectiveProgress::Verifying => "verifying",
        DirectiveProgress::Healthy => "healthy",
        DirectiveProgress::Harmed { .. } => "harmed",
        DirectiveProgress::TakingBack => "taking-back",
        DirectiveProgress::TakenBack => "taken-back",
        DirectiveProgress::NeedsAttention { .. } => "needs-attention",
    }
}

fn detail(progress: &DirectiveProgress) -> Option<String> {
    match progress {
        DirectiveProgress::Refused { reason, detail } => Some(format!("{reason}: {detail}")),
        DirectiveProgress::Harmed { reason, detail } => Some(format!("{reason}: {detail}")),
        DirectiveProgress::NeedsAttention { detail } => Some(detail.clone()),
        _ => None,
    }
}

fn text(shown: &Shown) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{:<12} {value}", format!("{name}:"));
    };
    line("Host", &format!("{} ({})", shown.host, shown.mode));
    line("Controller", &shown.controller);
    line("Agent", &agent(shown));
    if shown.running
        && let Some(agent) = &shown.agent
    {
        line("Connection", &connection(&agent.session.link));
        if let Some(ahead_ms) = agent.session.clock_ahead_ms.filter(|ahead_ms| ahead_ms.abs() >= 1000) {
            line("Clock", &format!("{} s {} the controller's", (ahead_ms / 1000).abs(), if ahead_ms > 0 { "ahead of" } else { "behind" }));
        }
    }
    line("Certificate", &format!("until {}, renewed by itself", shown.certificate_until));
    if let Some(hold) = &shown.hold {
        line("Hold", &format!("changes are held since {}: {}", hold.since, hold.reason));
    }
    if let Some(directive) = &shown.directive {
        line("Patching", &patching_line(directive));
        if let Some(detail) = &directive.detail {
            line("", detail);
        }
    }
    lines
}

fn agent(shown: &Shown) -> String {
    match &shown.agent {
        Some(agent) if shown.running => {
            let up = SystemClock::new().now().since(agent.started);
            format!("{} runs as process {} for {}", agent.version, agent.pid, show_duration(up))
        }
        _ if shown.running => "runs".to_owned(),
        _ => "does not run (hint: systemctl start patchwave-agent)".to_owned(),
    }
}

fn connection(link: &LinkState) -> String {
    match link {
        LinkState::Connecting => "connecting for the first time".to_owned(),
        LinkState::Connected { since } => format!("connected since {since}"),
        LinkState::Waiting { why, since, next_try } => format!("none since {since}: {why} (next try {next_try})"),
        LinkState::Stopped { why, next_try, .. } => format!("STOPPED BY THE CONTROLLER: {why} (next try {next_try})"),
    }
}

fn patching_line(directive: &Directive) -> String {
    match (&directive.rollout, &directive.generation) {
        (Some(rollout), Some(generation)) => {
            format!("{} (rollout {rollout}, directive {generation}: {})", directive.state, directive.progress.join(", "))
        }
        _ => directive.state.clone(),
    }
}

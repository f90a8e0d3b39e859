//! The way to the controller, and how far its clock and ours are apart.

use patchwave_common::runtime::tls::connect;

use super::{Finding, Subject};
use crate::run::lock;
use crate::run::status_file;
use crate::session::status::LinkState;

/// A clock further off gets no directive (rule 28).
const CLOCK_LIMIT_MS: u64 = 5 * 60 * 1000;
/// Further off than any line's delay: the clock is not kept right.
const CLOCK_WARN_MS: u64 = 30 * 1000;

pub(super) fn clock(subject: &Subject) -> Vec<Finding> {
    let Ok(Some(status)) = status_file::read(subject.state_dir()) else {
        return Vec::new();
    };
    let Some(ahead_ms) = status.session.clock_ahead_ms else {
        return Vec::new();
    };
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let off_ms = ahead_ms.unsigned_abs();
    let what = format!("this machine's clock was {} s {direction} the controller's when they last spoke", off_ms / 1000);
    let hint = "have the clock kept right (systemd-timesyncd or chrony); if this one is right, look at the controller's";
    if off_ms > CLOCK_LIMIT_MS {
        vec![Finding::error("clock", format!("{what}; beyond five minutes it gets no order"), hint)]
    } else if off_ms > CLOCK_WARN_MS {
        vec![Finding::warning("clock", what, hint)]
    } else {
        Vec::new()
    }
}

pub(super) fn route(subject: &Subject) -> Vec<Finding> {
    let mut findings = stopped(subject);
    let (Ok(identity), false) = (&subject.identity, subject.offline) else {
        return findings;
    };
    let url = subject.settings.controller_url.as_deref().unwrap_or(&identity.url);
    let connected = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(connect(url, identity.tls())),
        Err(error) => return vec![Finding::error("controller", format!("the controller cannot be tried: {error}"), "see ulimit -a")],
    };
    if let Err(error) = connected {
        findings.push(Finding::error("controller", error, "check name, port and firewall; the controller listens on 7443 by default"));
    }
    findings
}

/// What the running agent was told.
fn stopped(subject: &Subject) -> Vec<Finding> {
    match status_file::read(subject.state_dir()) {
        Ok(Some(status)) if lock::is_running(subject.state_dir()) => match status.session.link {
            LinkState::Stopped { why, .. } => {
                vec![Finding::error(
                    "controller",
                    format!("the controller stopped this agent: {why}"),
                    "an operator of the controller must act",
                )]
            }
            LinkState::Waiting { why, .. } => {
                vec![Finding::warning("controller", format!("the agent is not connected: {why}"), "journalctl -u patchwave-agent")]
            }
            LinkState::Connecting | LinkState::Connected { .. } => Vec::new(),
        },
        _ => Vec::new(),
    }
}

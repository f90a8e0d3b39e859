//! What changed between two states of a rollout, one line for each change: for logs and pipes, where nothing can be drawn over.

use patchwave_proto::operator::v1::{RolloutDetail, WaveProgress};

use super::bar::counts;
use super::draw::is_harmed;
use crate::cli::text::{elapsed, one_line};

/// The lines that tell what is new; everything is new where there is no `before`.
#[must_use]
pub fn changes(before: Option<&RolloutDetail>, now: &RolloutDetail) -> Vec<String> {
    let mut lines = Vec::new();
    let (old, rollout) = (before.and_then(|before| before.rollout.clone()).unwrap_or_default(), now.rollout.clone().unwrap_or_default());
    if old.state != rollout.state {
        let why = if rollout.reason.is_empty() { String::new() } else { format!(": {}", one_line(&rollout.reason)) };
        lines.push(format!("{}{why}", one_line(&rollout.state)));
    }
    for wave in &now.waves {
        let earlier = before.and_then(|before| before.waves.iter().find(|earlier| earlier.name == wave.name));
        if earlier.is_none_or(|earlier| story(earlier) != story(wave)) {
            lines.push(story(wave));
        }
    }
    for host in now.hosts.iter().filter(|host| is_harmed(&host.state)) {
        let earlier = before.and_then(|before| before.hosts.iter().find(|earlier| earlier.host == host.host));
        if earlier.is_none_or(|earlier| earlier.state != host.state) {
            let name = one_line(if host.name.is_empty() { &host.host } else { &host.name });
            let why = one_line(if host.detail.is_empty() { &host.reason } else { &host.detail });
            lines.push(format!("host {name} {}: {why}", one_line(&host.state)));
        }
    }
    let (id, at) = (one_line(&rollout.id), elapsed(now.elapsed_ms));
    lines.into_iter().map(|line| format!("{at}  {id}  {line}")).collect()
}

/// One wave as a line, without its running time, which always changes.
fn story(wave: &WaveProgress) -> String {
    let counts: Vec<String> = counts(wave).into_iter().map(|(text, _)| text).collect();
    let counts = if counts.is_empty() { "no host".to_owned() } else { counts.join(" ") };
    let waits = if wave.waiting_for.is_empty() || wave.state == "waiting" {
        String::new()
    } else {
        format!("; waits for: {}", timeless(&wave.waiting_for))
    };
    format!("wave {} {}: {}{waits}", one_line(&wave.name), one_line(&wave.state), counts)
}

/// A reason is told once, though the time that it names may count down in it.
fn timeless(reason: &str) -> String {
    one_line(reason)
}

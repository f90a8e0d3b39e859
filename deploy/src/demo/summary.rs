//! What happened, for programs and for people.

use std::time::Duration;

use anyhow::Context as _;
use patchwave_proto::operator::v1 as wire;
use serde::Serialize;

/// The demo in numbers.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Managed hosts.
    hosts: usize,
    /// In the order run.
    rollouts: Vec<RolloutSummary>,
}

/// One rollout in numbers. Only managed hosts count.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RolloutSummary {
    pub(super) name: String,
    pub(super) state: String,
    /// Hosts on which something was applied, those taken back included.
    pub(super) hosts_changed: usize,
    /// Hosts that were taken back to exactly what they had.
    pub(super) hosts_restored: usize,
    /// Hosts that were never ordered to apply.
    pub(super) hosts_untouched: usize,
    pub(super) duration_seconds: f64,
}

impl Summary {
    pub(super) fn new(hosts: usize) -> Self {
        Self { hosts, rollouts: Vec::new() }
    }

    /// Adds a rollout that ended.
    pub(super) fn add(&mut self, name: &str, detail: &wire::RolloutDetail) -> anyhow::Result<RolloutSummary> {
        let rollout = detail.rollout.as_ref().context("a rollout without itself")?;
        let outside = self.hosts.saturating_sub(usize::try_from(rollout.hosts)?);
        let summary = RolloutSummary {
            name: name.to_owned(),
            state: rollout.state.clone(),
            hosts_changed: usize::try_from(rollout.changed)?,
            hosts_restored: usize::try_from(rollout.taken_back)?,
            hosts_untouched: usize::try_from(rollout.untouched)? + outside,
            duration_seconds: Duration::from_millis(detail.elapsed_ms).as_secs_f64(),
        };
        self.rollouts.push(summary.clone());
        Ok(summary)
    }

    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

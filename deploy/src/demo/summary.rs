//! What happened, for programs and for people.

use std::time::Duration;

use anyhow::Context as _;
use patchwave_proto::operator::v1 as wire;
use serde::Serialize;

use super::controller::Controller;
use super::hosts::Fleet;

/// The demo in numbers.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    hosts: usize,
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

    pub(super) async fn add(&mut self, _: &Controller, name: &str, detail: &wire::RolloutDetail, fleet: &Fleet) -> anyhow::Result<()> {
        let rollout = detail.rollout.as_ref().context("a rollout without itself")?;
        let restored = usize::try_from(rollout.taken_back)?;
        let planned_untouched = usize::try_from(rollout.untouched)?;
        let outside = fleet.managed().saturating_sub(usize::try_from(rollout.hosts)?);
        self.rollouts.push(RolloutSummary {
            name: name.to_owned(),
            state: rollout.state.clone(),
            hosts_changed: usize::try_from(rollout.changed)?,
            hosts_restored: restored,
            hosts_untouched: planned_untouched + outside,
            duration_seconds: Duration::from_millis(detail.elapsed_ms).as_secs_f64(),
        });
        Ok(())
    }

    pub(super) fn last(&self) -> Option<&RolloutSummary> {
        self.rollouts.last()
    }

    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn in_plain_words(&self, took: Duration) -> String {
        let mut text = String::from("\nIn short:\n");
        for rollout in &self.rollouts {
            text.push_str(&format!(
                "  {:<5} {}: changed {} hosts, took {} back to exactly what they had, never touched {}; {:.1} s.\n",
                rollout.name,
                rollout.state,
                rollout.hosts_changed,
                rollout.hosts_restored,
                rollout.hosts_untouched,
                rollout.duration_seconds
            ));
        }
        text.push_str(&format!(
            "The bad version reached the test ring and the canaries, nobody else; it is in quarantine. All of it took {:.0} s.",
            took.as_secs_f64()
        ));
        text
    }
}

//! The summary, as programs read it.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    hosts: u32,
    rollouts: Vec<Rollout>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollout {
    name: String,
    state: String,
    hosts_changed: u32,
    hosts_restored: u32,
    hosts_untouched: u32,
    duration_seconds: f64,
}

impl Summary {
    pub fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    pub fn assert_good_to_all_and_bad_taken_back(&self) {
        assert_eq!(self.hosts, 12, "the report-only host counts in none");
        let told: Vec<_> = self
            .rollouts
            .iter()
            .map(|it| (it.name.as_str(), it.state.as_str(), it.hosts_changed, it.hosts_restored, it.hosts_untouched))
            .collect();
        assert_eq!(told, [("good", "completed", 12, 0, 0), ("bad", "stopped", 4, 2, 8)]);
        for rollout in &self.rollouts {
            assert_eq!(rollout.hosts_changed + rollout.hosts_untouched, self.hosts, "every managed host counts once: {rollout:?}");
            assert!(rollout.duration_seconds > 0.0, "{rollout:?}");
        }
    }
}

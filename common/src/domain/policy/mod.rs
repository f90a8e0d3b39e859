//! A policy: which patches, which hosts, approval, waves, health, taking back. These types hold validated settings; [`file`] reads TOML.

pub mod file;
mod filter;

use std::time::Duration;

pub use file::{PolicyError, parse_policy};
pub use filter::{PatchFilter, PatchKind};

use super::{HealthCheck, PolicyName, Selector};

/// How long receipts and originals stay on a host where no policy says otherwise (rule 12).
pub const KEEP_ORIGINALS_DEFAULT: Duration = Duration::from_secs(14 * 86_400);

/// A validated policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// What it is for, in the owner's words.
    pub description: String,
    /// Hosts that it is about.
    pub hosts: Selector,
    /// Patches that it allows.
    pub patches: PatchFilter,
    /// Approvals by others than the planner that a plan needs before it may start; 0 for none.
    pub approvals: u32,
    /// What a transaction may do beyond the plan.
    pub transaction: TransactionRules,
    /// What counts as healthy.
    pub health: HealthRules,
    /// Whether harmed hosts are taken back at once.
    pub automatic_rollback: bool,
    /// The waves, in order; never empty.
    pub waves: Vec<WaveRule>,
    /// Bounds over the whole rollout.
    pub limits: RolloutLimits,
    /// What happens to hosts that are offline when their wave comes.
    pub offline: OfflineRules,
}

/// A count of hosts, absolute or as a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Every host left.
    All,
    /// So many hosts.
    Count(u32),
    /// Percent (1 to 100) of the hosts that it is asked about.
    Percent(u8),
}

impl Amount {
    /// How many of `total`. Percentages round down (rule 7).
    #[must_use]
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::All => total,
            Self::Count(count) => count.min(total),
            Self::Percent(percent) => u32::try_from(u64::from(total) * u64::from(percent) / 100).unwrap_or(total),
        }
    }
}

/// What a transaction may do beyond the plan's exact versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TransactionRules {
    /// Packages may be removed.
    pub allow_removals: bool,
    /// New packages may be installed where a target depends on them.
    pub allow_new_packages: bool,
    /// Apply even where the way back is not certain (rule 12).
    pub allow_no_way_back: bool,
    /// Other tools that change packages are only observed (rule 16); otherwise such a host is left out.
    pub observe_other_hands: bool,
    /// How long to wait for the package manager's lock.
    pub lock_wait: Duration,
    /// How long the package manager may run.
    pub time_limit: Duration,
}

/// What counts as healthy on a host.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HealthRules {
    /// Checks to run.
    pub checks: Vec<HealthCheck>,
    /// A check must fail for this long before it is harm.
    pub patience: Duration,
    /// Time between two rounds of checks.
    pub interval: Duration,
    /// Everything must have passed for this long before the host is proved healthy.
    pub settle: Duration,
    /// Silence after `applying` for this long is harm (rule 1).
    pub silence: Duration,
}

/// Which part of the fleet a wave stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaveKind {
    /// The test ring.
    Test,
    /// The first production hosts.
    Canary,
    /// Production.
    Production,
}

/// One wave of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveRule {
    /// Name in reports.
    pub name: String,
    /// What it stands for.
    pub kind: WaveKind,
    /// Hosts that may be in it.
    pub hosts: Selector,
    /// How many of those that no earlier wave took.
    pub size: Amount,
    /// How many hosts must be proved healthy before its gate may pass.
    pub minimum: u32,
    /// How long the proved hosts must stay healthy.
    pub soak: Duration,
    /// So many harmed hosts in this wave stop the rollout; at least 1.
    pub failure_limit: u32,
    /// At most so many hosts carry a directive at once; at least 1.
    pub max_in_flight: u32,
    /// The wave must pass its gate within this time, or the rollout waits for an operator.
    pub time_limit: Duration,
}

/// Bounds over the whole rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutLimits {
    /// So many harmed hosts stop the rollout; never refunded (rule 3); at least 1.
    pub failures: u32,
    /// At most so many hosts may be unproved at once over all waves (the disruption budget, refunded when healthy).
    pub max_unavailable: Amount,
    /// At most so many hosts of one site carry a directive at once (rule 9).
    pub max_in_flight_per_site: u32,
    /// The label that names a host's site.
    pub site_label: String,
    /// So many hosts that could not stage pause the rollout (rule 18).
    pub not_staged: Amount,
    /// Downloads that may be asked for per minute (rule 17: all waves stage from the start, within rate bounds).
    pub staging_per_minute: u32,
    /// Originals are kept so long after the rollout is closed.
    pub keep_originals: Duration,
}

/// Hosts that are offline when their wave comes (rules 1 and 32).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineRules {
    /// So many offline hosts of a wave do not keep its gate from passing.
    pub budget: Amount,
    /// A host offline for this long after its wave began is left to catch-up, and the wave goes on without it.
    pub grace: Duration,
    /// How long after the start a returning host still gets the patch.
    pub deadline: Duration,
    /// Returning hosts that are released per minute.
    pub catch_up_per_minute: u32,
}

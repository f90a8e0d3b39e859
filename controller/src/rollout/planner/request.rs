//! What a planner is asked for.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{Generation, HostId, PackageName, PackageVersion, ParseError, RolloutId, Selector, TargetSet};

use crate::records::Actor;

/// A request for a plan.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The rollout to be planned; also the salt of every choice.
    pub rollout: RolloutId,
    /// Who asks.
    pub by: Actor,
    /// The policy's revision.
    pub policy_revision: u64,
    /// The hosts asked for, among those of the policy.
    pub selector: Selector,
    /// Only these hosts (a successor of an earlier rollout); `None` for all.
    pub only: Option<BTreeSet<HostId>>,
    /// The updates asked for; empty for all that the policy allows.
    pub updates: Vec<UpdateRequest>,
    /// Forward or back.
    pub kind: RequestKind,
}

/// Forward or back.
#[derive(Debug, Clone)]
pub enum RequestKind {
    /// To newer versions.
    Apply,
    /// Back from what a rollout applied; see [`Rollout::reversible`](crate::rollout::Rollout::reversible).
    Reverse {
        /// That rollout.
        of: RolloutId,
        /// The hosts on which it changed something that stands.
        hosts: BTreeMap<HostId, ReverseTarget>,
    },
}

/// What a host returns to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReverseTarget {
    /// The directive that wrote the receipt.
    pub generation: Generation,
    /// From the applied versions back to those before.
    pub targets: TargetSet,
}

/// One update that was asked for: `NAME`, `NAME=VERSION`, `src:NAME` or `src:NAME=VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateRequest {
    /// The name is a source package's: all of its binary packages are meant.
    pub source: bool,
    /// The package.
    pub name: PackageName,
    /// The exact version; `None` for whatever each host could get. With `src:` it is the source's version.
    pub version: Option<PackageVersion>,
}

impl std::str::FromStr for UpdateRequest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (source, rest) = text.strip_prefix("src:").map_or((false, text), |rest| (true, rest));
        let (name, version) = rest.split_once('=').map_or((rest, None), |(name, version)| (name, Some(version)));
        Ok(Self { source, name: PackageName::parse(name)?, version: version.map(PackageVersion::parse).transpose()? })
    }
}

impl std::fmt::Display for UpdateRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = if self.source { "src:" } else { "" };
        match &self.version {
            Some(version) => write!(formatter, "{prefix}{}={version}", self.name),
            None => write!(formatter, "{prefix}{}", self.name),
        }
    }
}

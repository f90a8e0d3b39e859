//! What is kept per host: arrays by field, tens of bytes a host, so that a plan may have a million. What only few hosts have (details,
//! orders to take back) is kept sparsely.

use std::collections::BTreeMap;

use patchwave_common::domain::{Generation, HarmReason, NotStagedReason, RefusalReason, Timestamp, clean_text};

use super::{Phase, Staging};
use crate::rollout::event::AbsenceCause;
use crate::rollout::plan::HostIndex;

/// Details are what tools and people wrote; more than this helps nobody and a fleet of refusals must stay small.
const MAX_DETAIL_CHARS: usize = 500;

/// Why a host is in its phase, where the phase alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rollout) enum Cause {
    None,
    Refused(RefusalReason),
    Harmed(HarmReason),
    Absent(AbsenceCause),
}

impl Cause {
    /// Stable name; empty for none.
    pub(in crate::rollout) fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Refused(reason) => reason.as_str(),
            Self::Harmed(reason) => reason.as_str(),
            Self::Absent(cause) => cause.as_str(),
        }
    }
}

/// A failure of this host was charged. Never cleared.
pub(in crate::rollout) const CHARGED: u8 = 1;
/// It fell silent after it had begun, and has not been heard since.
pub(in crate::rollout) const SILENT: u8 = 2;
/// It was away when its wave was released and came back.
pub(in crate::rollout) const RETURNED: u8 = 4;
/// The order to take it back stands.
pub(in crate::rollout) const TAKE_BACK: u8 = 8;
/// An operator resumed the rollout knowing that this host could not stage.
pub(in crate::rollout) const NOT_STAGED_KNOWN: u8 = 16;
/// By its own word something was applied.
pub(in crate::rollout) const CHANGED: u8 = 32;
/// It was ordered at least once.
pub(in crate::rollout) const ORDERED: u8 = 64;

/// An order to take back, or the memory of one that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rollout) struct TakeBack {
    /// The directive that was applied and whose receipt is meant.
    pub of: Generation,
    /// How often it was ordered.
    pub tries: u8,
}

/// The arrays.
#[derive(Debug, Clone)]
pub(in crate::rollout) struct HostStates {
    phase: Vec<Phase>,
    staging: Vec<Staging>,
    cause: Vec<Cause>,
    not_staged: Vec<Option<NotStagedReason>>,
    flags: Vec<u8>,
    tries: Vec<u8>,
    generation: Vec<Generation>,
    since: Vec<Timestamp>,
    staging_since: Vec<Timestamp>,
    details: BTreeMap<HostIndex, String>,
    pub(in crate::rollout) take_backs: BTreeMap<HostIndex, TakeBack>,
}

/// Reads and writes one array; a host that is not there reads as the default and is not written, so that no index can panic.
macro_rules! columns {
    ($($(#[$doc:meta])* $field:ident / $set:ident : $type:ty = $default:expr;)+) => {
        $($(#[$doc])* pub(in crate::rollout) fn $field(&self, host: HostIndex) -> $type { self.$field.get(host.usize()).copied().unwrap_or($default) }
        pub(in crate::rollout) fn $set(&mut self, host: HostIndex, value: $type) {
            if let Some(cell) = self.$field.get_mut(host.usize()) { *cell = value; }
        })+
    };
}

impl HostStates {
    pub(in crate::rollout) fn new(hosts: u32) -> Self {
        let count = hosts as usize;
        Self {
            phase: vec![Phase::Pending; count],
            staging: vec![Staging::NotAsked; count],
            cause: vec![Cause::None; count],
            not_staged: vec![None; count],
            flags: vec![0; count],
            tries: vec![0; count],
            generation: vec![Generation::default(); count],
            since: vec![Timestamp::default(); count],
            staging_since: vec![Timestamp::default(); count],
            details: BTreeMap::new(),
            take_backs: BTreeMap::new(),
        }
    }

    columns! {
        /// Where it stands. Written through [`Rollout::set_phase`](crate::rollout::Rollout) only, which keeps the tallies.
        phase / write_phase: Phase = Phase::Retired;
        /// How far its download is.
        staging / write_staging: Staging = Staging::NotAsked;
        /// Why it is in its phase.
        cause / set_cause: Cause = Cause::None;
        /// Why it could not stage.
        not_staged / set_not_staged: Option<NotStagedReason> = None;
        /// Flags.
        flags / set_flags: u8 = 0;
        /// Orders that it refused for a reason that may pass.
        tries / set_tries: u8 = 0;
        /// The newest directive that this rollout gave it.
        generation / set_generation: Generation = Generation::default();
        /// When it entered its phase, or was last heard in it.
        since / set_since: Timestamp = Timestamp(0);
        /// When its download entered its state.
        staging_since / set_staging_since: Timestamp = Timestamp(0);
    }

    pub(in crate::rollout) fn has(&self, host: HostIndex, flag: u8) -> bool {
        self.flags(host) & flag != 0
    }

    pub(in crate::rollout) fn raise(&mut self, host: HostIndex, flag: u8) {
        self.set_flags(host, self.flags(host) | flag);
    }

    pub(in crate::rollout) fn lower(&mut self, host: HostIndex, flag: u8) {
        self.set_flags(host, self.flags(host) & !flag);
    }

    /// What was told about the host last.
    pub(in crate::rollout) fn detail(&self, host: HostIndex) -> &str {
        self.details.get(&host).map_or("", String::as_str)
    }

    pub(in crate::rollout) fn set_detail(&mut self, host: HostIndex, detail: &str) {
        if detail.is_empty() {
            self.details.remove(&host);
        } else if host.usize() < self.phase.len() {
            self.details.insert(host, clean_text(detail, MAX_DETAIL_CHARS));
        }
    }

    pub(in crate::rollout) fn len(&self) -> usize {
        self.phase.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_takes_tens_of_bytes() {
        let one = HostStates::new(1);
        // Every field by name, so that a new one is counted.
        let HostStates { phase, staging, cause, not_staged, flags, tries, generation, since, staging_since, details, take_backs } = &one;
        let columns = [
            size_of_val(phase.as_slice()),
            size_of_val(staging.as_slice()),
            size_of_val(cause.as_slice()),
            size_of_val(not_staged.as_slice()),
            size_of_val(flags.as_slice()),
            size_of_val(tries.as_slice()),
            size_of_val(generation.as_slice()),
            size_of_val(since.as_slice()),
            size_of_val(staging_since.as_slice()),
        ];
        assert_eq!((columns.iter().sum::<usize>(), details.len(), take_backs.len()), (39, 0, 0));
    }
}

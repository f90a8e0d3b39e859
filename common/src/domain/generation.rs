//! The fence around directives.

use std::fmt;

/// Orders directives for a host: (store epoch, counter). Restoring a backup raises the epoch, so whatever the restored store gives out
/// is newer than anything the lost one gave. An agent refuses a generation older than the newest that it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Generation {
    /// The store's epoch.
    pub epoch: u32,
    /// Counts up within an epoch, over all hosts.
    pub counter: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.epoch, self.counter)
    }
}

//! What a host runs, as its agent saw it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a host runs beside what it has installed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// Whether every process was looked into. An agent that may not look, or does not tell, proves nothing by finding nothing.
    pub complete: bool,
    /// The version of the booted kernel; none where the kernel is not the host's, as in a container.
    pub kernel: Option<Arc<str>>,
    /// Processes that use replaced files, by the source package of the files.
    pub holders: BTreeMap<Arc<str>, Vec<Holder>>,
}

/// A process that still uses the old code of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its number on the host.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// The unit that it belongs to, if any.
    pub unit: Option<String>,
}

/// Holders that evidence names; all are counted.
const NAMED: usize = 3;

impl Running {
    /// Why the old code of a source package may still run; `None` where nothing of it does.
    #[must_use]
    pub fn still_uses(&self, source: &str) -> Option<String> {
        match self.holders.get(source).filter(|holders| !holders.is_empty()) {
            Some(holders) => Some(format!("still used by {}", listed(holders))),
            None if !self.complete => Some("nobody can tell what still uses the old one: the agent did not look into every process".into()),
            None => None,
        }
    }
}

fn listed(holders: &[Holder]) -> String {
    let named = holders.iter().take(NAMED).map(|holder| match &holder.unit {
        Some(unit) => format!("{} (process {}, {unit})", holder.name, holder.pid),
        None => format!("{} (process {})", holder.name, holder.pid),
    });
    let mut text = named.collect::<Vec<_>>().join(", ");
    if holders.len() > NAMED {
        text.push_str(&format!(" and {} more", holders.len() - NAMED));
    }
    text
}

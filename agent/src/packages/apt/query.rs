//! Questions to apt: version tables, origins, index records. Bounded, and never changing anything.

use std::collections::HashMap;

use patchwave_common::domain::{Origin, PackageId};

use super::layout::{Layout, option};
use super::policy::{self, Record, Table};
use crate::packages::{PackageError, process};

/// How urgent a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Nobody waits: lowest CPU and disk priority.
    Background,
    /// A rollout waits.
    Ordinary,
}

/// How long one question may take: building apt's cache of all of Debian takes about a second of CPU. A busy host lets one at the lowest
/// priority wait for most of the time (fifteen seconds were seen on a machine with five times the load that it has CPUs for).
const BACKGROUND_LIMIT_SECS: u64 = 900;
const ORDINARY_LIMIT_SECS: u64 = 180;
/// Names in one command line: 30 bytes each stay far below the kernel's 2 MB.
const NAMES_MAX: usize = 4000;

/// A package as apt's command line takes it. Apt knows a package for all architectures by its plain name.
pub(crate) fn apt_name(id: &PackageId) -> String {
    if id.architecture.as_str() == "all" { id.name.to_string() } else { id.to_string() }
}

fn query(layout: &Layout, urgency: Urgency, purpose: &str, arguments: Vec<String>) -> Result<String, PackageError> {
    let limit = if urgency == Urgency::Background { BACKGROUND_LIMIT_SECS } else { ORDINARY_LIMIT_SECS };
    let mut spec = layout.apt("apt-cache", purpose, limit, arguments);
    if urgency == Urgency::Background {
        let priority = ["-n", "19", "ionice", "-c", "3", "apt-cache"].map(str::to_owned);
        spec.arguments.splice(0..0, priority);
        "nice".clone_into(&mut spec.program);
    }
    Ok(process::run(&spec)?.successful("apt-cache")?.stdout)
}

/// Apt's version tables of these packages, by the name asked for. `extra` are .deb files that apt is to know as well.
pub(crate) fn tables<'a>(
    layout: &Layout,
    urgency: Urgency,
    ids: impl Iterator<Item = &'a PackageId>,
    extra: &[String],
) -> Result<HashMap<PackageId, Table>, PackageError> {
    let ids: Vec<&PackageId> = ids.collect();
    let mut found = HashMap::new();
    for some in ids.chunks(NAMES_MAX) {
        // Patchwave's waves replace phasing (rule 19).
        let mut arguments: Vec<String> = option("APT::Get::Always-Include-Phased-Updates=true").into();
        arguments.push("policy".to_owned());
        arguments.extend(extra.iter().map(|file| format!("--with-source={file}")));
        arguments.extend(some.iter().map(|id| apt_name(id)));
        let text = query(layout, urgency, "ask apt for versions", arguments)?;
        let mut tables: HashMap<String, Table> = policy::parse_tables(&text).into_iter().map(|table| (table.name.clone(), table)).collect();
        for &id in some {
            let native = tables.remove(&id.to_string()).or_else(|| tables.get(id.name.as_str()).cloned());
            found.extend(native.map(|table| (id.clone(), table)));
        }
    }
    Ok(found)
}

/// The origin of each index.
pub(crate) fn origins(layout: &Layout, urgency: Urgency) -> Result<HashMap<String, Origin>, PackageError> {
    Ok(policy::parse_indexes(&query(layout, urgency, "ask apt for origins", vec!["policy".to_owned()])?))
}

/// What the indexes say about exact versions that they are known to have.
pub(crate) fn records(layout: &Layout, urgency: Urgency, versions: &[(PackageId, String)]) -> Result<Vec<Record>, PackageError> {
    let mut found = Vec::new();
    for some in versions.chunks(NAMES_MAX) {
        let mut arguments = vec!["show".to_owned()];
        arguments.extend(some.iter().map(|(id, version)| format!("{}={version}", apt_name(id))));
        found.extend(policy::parse_records(&query(layout, urgency, "ask apt for hashes", arguments)?));
    }
    Ok(found)
}

/// The record of one version among several.
pub(crate) fn record_of<'a>(records: &'a [Record], id: &PackageId, version: &str) -> Option<&'a Record> {
    let mut named = records.iter().filter(|record| record.name == id.name && record.version.as_str() == version);
    // Installed versions appear a second time, without a hash, where no index has them in the same form.
    let exact = |record: &&Record| record.architecture == id.architecture && record.sha256.is_some();
    named.clone().find(exact).or_else(|| named.clone().find(|record| record.sha256.is_some())).or_else(|| named.next())
}

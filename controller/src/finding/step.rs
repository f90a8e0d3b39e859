//! From the findings before to the findings now.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave_common::domain::AdvisoryId;
use patchwave_common::domain::version::{self, Ecosystem};

use super::{Finding, FindingKey, FindingSet, FindingState, Running};
use crate::advisory::matching::{AdvisorySet, Match, PackageKey};

/// Everything that decides about a host's findings.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The advisories in use.
    pub advisories: &'a AdvisorySet,
    /// What is installed, with what speaks of it: each key once.
    pub installed: &'a [(&'a PackageKey, &'a [Match])],
    /// Versions that the host could get, by source package.
    pub available: &'a BTreeMap<Arc<str>, Vec<Available>>,
    /// Versions that rollouts will bring, by source package, with the rollout's name.
    pub scheduled: &'a BTreeMap<Arc<str>, (Arc<str>, String)>,
    /// What it runs.
    pub running: &'a Running,
    /// What people excepted on this host and what has not expired, the strongest first.
    pub exceptions: &'a [Exception],
}

/// A version that a host could get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// The source version.
    pub version: Arc<str>,
    /// Why the host may not get it all the same, in plain words.
    pub blocked: Option<String>,
}

/// What people excepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// In which way.
    pub kind: ExceptionKind,
    /// Of this advisory, by any of its names; none: of all.
    pub advisory: Option<AdvisoryId>,
    /// Of this source package; none: of all.
    pub source: Option<Arc<str>>,
    /// Who answers for it and why, in plain words.
    pub reason: String,
}

/// In which way a finding is excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExceptionKind {
    /// Left open, and somebody answers for it.
    Waived,
    /// Something else keeps the hole from being used.
    Mitigated,
    /// The hole cannot be used here.
    NotAffected,
}

/// What is installed of one source package.
#[derive(Debug, Default)]
struct Source<'a> {
    ecosystem: Option<Ecosystem>,
    versions: Vec<&'a Arc<str>>,
    holes: BTreeMap<&'a AdvisoryId, Hole<'a>>,
}

/// What one advisory says of a source package: of several versions with the hole the last looked at is told.
#[derive(Debug)]
struct Hole<'a> {
    found: &'a Match,
    /// Installed versions that have it.
    versions: BTreeSet<&'a Arc<str>>,
}

/// The findings of a host as it is viewed, from those before. What was once a finding stays one, closed.
#[must_use]
pub fn step(before: &FindingSet, view: &View<'_>) -> FindingSet {
    let sources = sources(view);
    let mut after = FindingSet::default();
    for (name, source) in &sources {
        for (advisory, hole) in &source.holes {
            let key = FindingKey { advisory: (*advisory).clone(), source: (*name).clone() };
            let finding = if is_kernel(name) { kernel(&key, source, hole, view) } else { Some(open(&key, source, hole, view)) };
            if let Some(finding) = finding {
                after.0.insert(key, finding);
            }
        }
    }
    for (key, finding) in &before.0 {
        if !after.0.contains_key(key) {
            after.0.insert(key.clone(), without_hole(key, finding, sources.get(&key.source), view));
        }
    }
    after
}

fn sources<'a>(view: &View<'a>) -> BTreeMap<&'a Arc<str>, Source<'a>> {
    let mut sources: BTreeMap<&Arc<str>, Source<'_>> = BTreeMap::new();
    for (key, matches) in view.installed {
        let source = sources.entry(&key.name).or_default();
        source.ecosystem = Some(key.space.ecosystem());
        source.versions.push(&key.version);
        for found in *matches {
            let hole = source.holes.entry(&found.advisory.id).or_insert_with(|| Hole { found, versions: BTreeSet::new() });
            hole.found = found;
            hole.versions.insert(&key.version);
        }
    }
    sources
}

/// A kernel's source package: its binaries stand beside one another in several versions, of which one is booted.
fn is_kernel(source: &str) -> bool {
    source == "linux"
        || source.strip_prefix("linux-").is_some_and(|flavour| {
            flavour.starts_with(|first: char| first.is_ascii_digit()) || KERNEL_FLAVOURS.iter().any(|known| flavour.starts_with(known))
        })
}

/// Ubuntu's kernels that are built from sources of their own.
const KERNEL_FLAVOURS: [&str; 10] = ["hwe", "aws", "azure", "gcp", "gke", "ibm", "kvm", "lowlatency", "oracle", "raspi"];

/// A finding whose hole is in what is installed.
fn open(key: &FindingKey, source: &Source<'_>, hole: &Hole<'_>, view: &View<'_>) -> Finding {
    let installed = hole.versions.iter().next_back().map_or_else(|| Arc::from(""), |version| (*version).clone());
    let fixed = hole.found.hit.fixed.clone();
    let told = |state, evidence: String| Finding { state, installed: installed.clone(), fixed: fixed.clone(), evidence };
    let excepted = view.exceptions.iter().find(|exception| {
        exception.advisory.as_ref().is_none_or(|name| hole.found.advisory.is_named(name))
            && exception.source.as_ref().is_none_or(|source| *source == key.source)
    });
    if let Some(exception) = excepted {
        let state = match exception.kind {
            ExceptionKind::Waived => FindingState::Waived,
            ExceptionKind::Mitigated => FindingState::Mitigated,
            ExceptionKind::NotAffected => FindingState::NotAffected,
        };
        return told(state, exception.reason.clone());
    }
    let Some(fix) = &fixed else { return told(FindingState::Open, format!("{installed} is installed, and there is no fix yet")) };
    let closes = |version: &Arc<str>| source.ecosystem.is_some_and(|ecosystem| reaches(ecosystem, version, fix));
    if let Some((version, rollout)) = view.scheduled.get(&key.source).filter(|(version, _)| closes(version)) {
        return told(FindingState::Scheduled, format!("{installed} is installed; rollout {rollout} brings {version}"));
    }
    let offered = view.available.get(&key.source).into_iter().flatten().filter(|offer| closes(&offer.version));
    let (free, blocked): (Vec<_>, Vec<_>) = offered.partition(|offer| offer.blocked.is_none());
    match (free.first(), blocked.first()) {
        (Some(offer), _) => told(FindingState::FixAvailable, format!("{installed} is installed; the host can get {}", offer.version)),
        (None, Some(offer)) => {
            let why = offer.blocked.as_deref().unwrap_or_default();
            told(FindingState::Open, format!("{installed} is installed; the host may not get {}: {why}", offer.version))
        }
        (None, None) => {
            told(FindingState::Open, format!("{installed} is installed; {fix} has the fix, and nothing offers it to this host"))
        }
    }
}

/// A finding of a kernel of which at least one installed version has the hole; `None` where that one does not count.
fn kernel(key: &FindingKey, source: &Source<'_>, hole: &Hole<'_>, view: &View<'_>) -> Option<Finding> {
    let has_hole = |version: &Arc<str>| hole.versions.contains(version);
    let fixed_installed = newest(source.ecosystem, source.versions.iter().copied().filter(|version| !has_hole(version)));
    let booted = view.running.kernel.as_ref();
    // Where it was booted and is removed since, what its version says counts.
    let booted_has_it = booted.map(|booted| if source.versions.contains(&booted) { has_hole(booted) } else { booted_hole(hole, booted) });
    match (booted_has_it, fixed_installed) {
        (Some(false), _) => None,
        (Some(true), Some(fixed)) => Some(Finding {
            state: FindingState::RestartPending,
            installed: booted.cloned().unwrap_or_else(|| Arc::from("")),
            fixed: hole.found.hit.fixed.clone(),
            evidence: format!("kernel {} is booted; {fixed} is installed and waits for a reboot", booted.map_or("", AsRef::as_ref)),
        }),
        // The host boots no kernel of its own: the newest is the one that it would boot.
        (None, Some(fixed)) if newest(source.ecosystem, source.versions.iter().copied()) == Some(fixed) => None,
        _ => Some(open(key, source, hole, view)),
    }
}

/// Whether an advisory speaks of the booted version.
fn booted_hole(hole: &Hole<'_>, booted: &str) -> bool {
    let affected = hole.found.advisory.affected.get(hole.found.affected);
    // What cannot be compared may have it.
    affected.is_none_or(|affected| affected.hit(booted).map_or(true, |hit| hit.is_some()))
}

/// A finding whose hole is in nothing that is installed any more.
fn without_hole(key: &FindingKey, before: &Finding, source: Option<&Source<'_>>, view: &View<'_>) -> Finding {
    let told = |state, evidence| Finding { state, evidence, ..before.clone() };
    let speaks = view.advisories.get(&key.advisory).is_some_and(|advisory| advisory.withdrawn.is_none());
    let installed = source.and_then(|source| newest(source.ecosystem, source.versions.iter().copied()));
    if before.state.is_closed() {
        return before.clone();
    }
    // The same version as before, and no hole in it any more: not the host changed, but what is said of it.
    if !speaks
        || source.is_some_and(|source| source.versions.iter().any(|version| **version == before.installed)) && !is_kernel(&key.source)
    {
        return told(FindingState::Withdrawn, "the advisory no longer speaks of what is installed".into());
    }
    if !is_kernel(&key.source)
        && let Some(why) = view.running.still_uses(&key.source)
    {
        let now = installed.map_or_else(|| "the package is removed".to_owned(), |version| format!("{version} is installed"));
        return told(FindingState::RestartPending, format!("{now}; {} is {why}", before.installed));
    }
    match installed {
        None => told(FindingState::Removed, "the package is removed, and nothing of it runs".into()),
        Some(version) if is_kernel(&key.source) => {
            let booted = view.running.kernel.as_ref().unwrap_or(version);
            told(FindingState::Fixed, format!("kernel {booted} is booted"))
        }
        Some(version) => told(FindingState::Fixed, format!("{version} is installed, and nothing uses an older one")),
    }
}

/// The newest of versions; one that cannot be compared is older than any other.
fn newest<'a>(ecosystem: Option<Ecosystem>, versions: impl Iterator<Item = &'a Arc<str>>) -> Option<&'a Arc<str>> {
    versions.reduce(|left, right| if ecosystem.is_some_and(|ecosystem| reaches(ecosystem, left, right)) { left } else { right })
}

/// Whether a version is at least another; what cannot be compared is not.
fn reaches(ecosystem: Ecosystem, version: &str, wanted: &str) -> bool {
    version::compare(ecosystem, version, wanted).is_ok_and(Ordering::is_ge)
}

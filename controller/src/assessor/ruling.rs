//! How soon findings must be closed, and why.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Timestamp, version};

use super::look::{fix_key, space_of};
use super::{Assessor, Coverage};
use crate::advisory::decision::Outcome;
use crate::advisory::matching::PackageKey;
use crate::advisory::priority::{Deadline, FixHistory, HostClass, deadline, decide};
use crate::advisory::record::{Advisory, Space};
use crate::finding::{Finding, FindingKey};
use crate::fleet::FleetHost;
use crate::metrics::Holes;

/// What was decided about a finding on a host.
#[derive(Debug, Clone)]
pub struct Ruling {
    /// How soon.
    pub outcome: Outcome,
    /// Every step, in plain words.
    pub why: Arc<str>,
    /// When any host could first get a fix; `None` where there is none.
    pub fix_seen: Option<Timestamp>,
    /// By when it must be closed; `None` without a fix, or where it goes with the next upgrade.
    pub deadline: Option<Deadline>,
}

impl Ruling {
    /// Whether the finding must be closed by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline.due <= now)
    }
}

/// What closes a finding in a space.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fixing {
    space: Space,
    source: Arc<str>,
    fixed: Option<Arc<str>>,
}

/// Rules many findings. What hosts share is decided once.
pub struct Rulings<'a> {
    assessor: &'a Assessor,
    outcomes: HashMap<(AdvisoryId, HostClass), (Outcome, Arc<str>)>,
    fixes: HashMap<Fixing, Option<Timestamp>>,
    /// The log of fixes by the name that advisories know a source by, in the spaces asked for.
    by_source: BTreeMap<Arc<str>, Vec<(Arc<str>, Timestamp)>>,
}

impl<'a> Rulings<'a> {
    /// Of the fleet as it is.
    #[must_use]
    pub fn new(assessor: &'a Assessor) -> Self {
        let mut by_source: BTreeMap<Arc<str>, Vec<(Arc<str>, Timestamp)>> = BTreeMap::new();
        for (key, seen) in &assessor.fixes {
            let name = PackageKey::name_of_source(key.source.as_str());
            by_source.entry(name).or_default().push((key.version.as_str().into(), *seen));
        }
        Self { assessor, outcomes: HashMap::new(), fixes: HashMap::new(), by_source }
    }

    /// The advisory that a finding is about.
    #[must_use]
    pub fn advisory(&self, id: &AdvisoryId) -> Option<&'a Arc<Advisory>> {
        self.assessor.matcher().advisories().get(id)
    }

    /// Rules one finding; nothing where no feed has its advisory any more.
    pub fn rule(&mut self, host: &FleetHost, key: &FindingKey, finding: &Finding) -> Option<Ruling> {
        let advisory = self.advisory(&key.advisory)?;
        let class = HostClass::of(|label| host.record.labels.get(label));
        let assessor = self.assessor;
        let (outcome, why) = self.outcomes.entry((key.advisory.clone(), class)).or_insert_with(|| {
            let decision = decide(&assessor.settings.scheme, advisory, assessor.knowledge(), class);
            (decision.outcome, decision.to_string().into())
        });
        let (outcome, why) = (*outcome, why.clone());
        let fix_seen = self.fix_seen(host, key, finding);
        let settings = &assessor.settings;
        let deadline = fix_seen.and_then(|first_seen| {
            let history = FixHistory { first_seen, test_passed: None, enrolled: host.record.enrolled_at };
            deadline(outcome, history, settings.test_limit, settings.new_host_grace)
        });
        Some(Ruling { outcome, why, fix_seen, deadline })
    }

    /// When a version that closes the finding could first be had: from where this host gets it, or, where it has it already, from anywhere.
    fn fix_seen(&mut self, host: &FleetHost, key: &FindingKey, finding: &Finding) -> Option<Timestamp> {
        let fixed = finding.fixed.as_deref()?;
        let space = space_of(host)?;
        let closes = |version: &str| version::compare(space.ecosystem(), version, fixed).is_ok_and(std::cmp::Ordering::is_ge);
        let offered = host.candidates.iter().flat_map(|set| &set.candidates);
        let own = offered
            .filter(|candidate| PackageKey::name_of_source(candidate.source.as_str()) == key.source)
            .filter(|candidate| closes(&PackageKey::of_candidate(&space, candidate).version))
            .filter_map(|candidate| self.assessor.fixes.get(&fix_key(candidate)).copied())
            .min();
        own.or_else(|| {
            let known = Fixing { space: space.clone(), source: key.source.clone(), fixed: finding.fixed.clone() };
            *self.fixes.entry(known).or_insert_with(|| {
                let seen = self.by_source.get(&key.source).into_iter().flatten();
                seen.filter(|(version, _)| closes(version)).map(|(_, seen)| *seen).min()
            })
        })
    }
}

impl Assessor {
    /// Findings of active hosts, counted.
    #[must_use]
    pub fn holes(&self) -> Holes {
        let (mut holes, mut rulings, now) = (Holes::default(), Rulings::new(self), self.now());
        for (id, assessed) in self.hosts() {
            let Some(host) = self.fleet.get(id).filter(|host| host.is_active()) else { continue };
            holes.unknown += u64::from(assessed.coverage != Coverage::Known);
            for (key, finding) in &assessed.findings.0 {
                *holes.findings.entry(finding.state.as_str()).or_default() += 1;
                let counts = !finding.state.is_closed() && !finding.state.is_excepted();
                let late = counts && rulings.rule(&host, key, finding).is_some_and(|ruling| ruling.is_overdue(now));
                holes.overdue += u64::from(late);
            }
        }
        holes
    }
}

//! Looks at hosts: from what the fleet, the feeds and the rollouts say to findings, and into the log.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use patchwave_common::domain::{Blocked, Candidate, Digest, DigestBuilder, HostId, QuarantineKey};

use super::{Assessed, Assessor, Coverage, LOOKS_PER_TURN};
use crate::advisory::matching::{Match, PackageKey, package_keys};
use crate::advisory::record::Space;
use crate::finding::{Available, FindingSet, Running, View, step};
use crate::finding_log;
use crate::fleet::FleetHost;
use crate::records::{FixKey, FixRecord};
use crate::store::{Change, MAX_CHANGES, Result, Write};

/// What hosts of one turn share.
#[derive(Default)]
struct Turn {
    quarantine: BTreeSet<QuarantineKey>,
    /// Findings by those before (their address, held in here) and the batch that leads from there: hosts that are alike share them.
    shared: HashMap<(usize, Digest), (Arc<FindingSet>, Arc<FindingSet>)>,
    /// Sets of candidates whose fixes were noted.
    noted: BTreeSet<Digest>,
    /// What is to be stored, and what then is true.
    changes: Vec<Change>,
    outcomes: Vec<(HostId, Assessed)>,
}

impl Assessor {
    /// Looks at some of the hosts that wait. What changed is stored first; where that fails, they wait on.
    pub(super) fn look_at_some(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut turn = Turn { quarantine: self.conductor.quarantine(), ..Turn::default() };
        let hosts: Vec<HostId> = self.waiting.iter().take(LOOKS_PER_TURN).cloned().collect();
        for host in &hosts {
            self.look(host, &mut turn);
        }
        let fixes: Vec<FixRecord> =
            turn.changes.iter().filter_map(|change| if let Change::NoteFix(fix) = change { Some(fix.clone()) } else { None }).collect();
        let mut changes = turn.changes.into_iter().peekable();
        while changes.peek().is_some() {
            let some: Vec<Change> = changes.by_ref().take(MAX_CHANGES).collect();
            tokio::runtime::Handle::current().block_on(self.store.write(Write::new(some)))?;
        }
        self.fixes.extend(fixes.into_iter().map(|fix| (fix.key, fix.first_seen)));
        self.hosts.extend(turn.outcomes);
        for host in &hosts {
            self.waiting.remove(host);
        }
        Ok(())
    }

    fn look(&mut self, id: &HostId, turn: &mut Turn) {
        let Some(host) = self.fleet.get(id) else { return };
        let number = self.number_of(id);
        let before = self.hosts.get(id).cloned();
        let before = before.unwrap_or_else(|| Assessed { next: 0, findings: Arc::default(), coverage: Coverage::NoInventory });
        let stays = |coverage| Assessed { coverage, ..before.clone() };
        if !host.is_active() {
            self.matcher.remove_host(number);
            turn.outcomes.push((id.clone(), stays(Coverage::Left)));
            return;
        }
        let Some(space) = space_of(&host) else {
            turn.outcomes.push((id.clone(), stays(Coverage::NoSystem)));
            return;
        };
        let Some(inventory) = &host.inventory else {
            turn.outcomes.push((id.clone(), stays(Coverage::NoInventory)));
            return;
        };
        self.note_fixes(&host, turn);
        if !self.matcher.advisories().covers(&space) {
            // Nothing could match: the packages of such hosts are not held a second time.
            self.matcher.remove_host(number);
            turn.outcomes.push((id.clone(), stays(Coverage::NoAdvisories(space))));
            return;
        }
        let image = self.matcher.set_host(number, image_digest(&space, &inventory.digest()), || package_keys(&space, inventory));
        let installed: Vec<(&PackageKey, &[Match])> =
            self.matcher.packages_of(image).map(|(key, matches)| (key, matches.found.as_slice())).collect();
        let view = View {
            advisories: self.matcher.advisories(),
            installed: &installed,
            available: &available(&space, &host, &turn.quarantine),
            scheduled: &self.scheduled_for(&space, &host),
            running: &running(&host),
            exceptions: &[],
        };
        let after = step(&before.findings, &view);
        let outcome = match finding_log::changes(&before.findings, &after) {
            None => Assessed { coverage: Coverage::Known, ..before },
            Some(transitions) => {
                let transitions = Bytes::from(transitions);
                let key = (Arc::as_ptr(&before.findings) as usize, Digest::of(&transitions));
                turn.changes.push(Change::AppendFindings { host: id.clone(), number: before.next, at: self.clock.now(), transitions });
                let (_, findings) = turn.shared.entry(key).or_insert_with(|| (before.findings.clone(), Arc::new(after)));
                Assessed { next: before.next + 1, findings: findings.clone(), coverage: Coverage::Known }
            }
        };
        turn.outcomes.push((id.clone(), outcome));
    }

    /// The number that the matcher knows a host by.
    pub(super) fn number_of(&mut self, id: &HostId) -> u32 {
        if let Some(number) = self.number_of_host.get(id) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.push(id.clone());
        self.number_of_host.insert(id.clone(), number);
        number
    }

    /// Notes the versions that nobody could get before (rule 34).
    fn note_fixes(&self, host: &FleetHost, turn: &mut Turn) {
        let Some(candidates) = &host.candidates else { return };
        if !turn.noted.insert(candidates.digest()) {
            return;
        }
        let keys: BTreeSet<FixKey> = candidates.candidates.iter().map(fix_key).collect();
        let at = self.clock.now();
        let new = keys.into_iter().filter(|key| !self.fixes.contains_key(key));
        turn.changes.extend(new.map(|key| Change::NoteFix(FixRecord { key, first_seen: at })));
    }
}

/// How the log of fixes names a candidate.
pub(super) fn fix_key(candidate: &Candidate) -> FixKey {
    FixKey { origin: candidate.origin.short(), source: candidate.source.clone(), version: candidate.source_version.clone() }
}

/// Where a host's packages are looked for.
pub(super) fn space_of(host: &FleetHost) -> Option<Space> {
    Space::of_host(&host.record.facts.os, &host.record.facts.release)
}

/// Names the packages of an inventory in a space.
fn image_digest(space: &Space, inventory: &Digest) -> Digest {
    let mut builder = DigestBuilder::default();
    builder.field(space.to_string().as_bytes()).field(&inventory.0);
    builder.finish()
}

/// The versions that a host could get, by source package.
fn available(space: &Space, host: &FleetHost, quarantine: &BTreeSet<QuarantineKey>) -> BTreeMap<Arc<str>, Vec<Available>> {
    let mut available: BTreeMap<Arc<str>, Vec<Available>> = BTreeMap::new();
    let (Some(candidates), Some(inventory)) = (&host.candidates, &host.inventory) else { return available };
    for candidate in &candidates.candidates {
        let key = PackageKey::of_candidate(space, candidate);
        let quarantine_key = QuarantineKey {
            manager: inventory.manager(),
            origin: candidate.origin.short(),
            source: candidate.source.clone(),
            version: candidate.to.clone(),
            architecture: candidate.id.architecture.clone(),
        };
        let blocked = match candidate.blocked {
            Some(Blocked::Held) => Some(format!("{} is held on the host", candidate.id.name)),
            Some(Blocked::Pinned) => Some(format!("{} is pinned on the host", candidate.id.name)),
            None => quarantine.contains(&quarantine_key).then(|| "it is in quarantine".to_owned()),
        };
        let offer = Available { version: key.version, blocked };
        let offers = available.entry(key.name).or_default();
        if !offers.contains(&offer) {
            offers.push(offer);
        }
    }
    available
}

/// What a host runs, as far as its agent tells.
fn running(_host: &FleetHost) -> Running {
    Running::default()
}

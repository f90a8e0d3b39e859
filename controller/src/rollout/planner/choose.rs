//! What one host gets, or why it gets nothing.

use std::collections::BTreeSet;

use patchwave_common::domain::policy::Policy;
use patchwave_common::domain::{
    Blocked, Candidate, Generation, HostMode, Inventory, PackageName, PackageTarget, PackageVersion, QuarantineKey, TargetSet,
};

use super::offers::{Offers, is_asked_for, is_request_for};
use super::{PlanRequest, PlanningHost, RequestKind, UpdateRequest};
use crate::rollout::plan::ExclusionReason;
use crate::rollout::view::Standing;

/// What a chosen host gets.
pub(super) struct Choice {
    pub targets: TargetSet,
    /// In a reverse plan: the receipt.
    pub of: Option<Generation>,
    /// Updates that were asked for and are left out on this host.
    pub omitted: Vec<(PackageName, ExclusionReason)>,
}

/// Why a host or an update is left out, and the detail.
pub(super) type Left = (ExclusionReason, String);

/// What a planner looks at for each host.
pub(super) struct Chooser<'a> {
    pub request: &'a PlanRequest,
    pub policy: &'a Policy,
    pub quarantine: &'a BTreeSet<QuarantineKey>,
    pub offers: Offers<'a>,
}

impl Chooser<'_> {
    /// Chooses for one host.
    pub(super) fn choose(&self, host: &PlanningHost<'_>) -> Result<Choice, Left> {
        self.check_scope(host)?;
        let choice = match &self.request.kind {
            RequestKind::Apply => self.choose_updates(host)?,
            RequestKind::Reverse { hosts, .. } => match hosts.get(host.id) {
                Some(target) => Choice { targets: target.targets.clone(), of: Some(target.generation), omitted: Vec::new() },
                None => return Err(plain(ExclusionReason::NothingToTakeBack)),
            },
        };
        self.check_free(host)?;
        Ok(choice)
    }

    /// Whether the host is one of those that are meant, and may take part.
    fn check_scope(&self, host: &PlanningHost<'_>) -> Result<(), Left> {
        let reverse = matches!(self.request.kind, RequestKind::Reverse { .. });
        if host.standing == Standing::Retired {
            return Err(plain(ExclusionReason::Retired));
        }
        let only = self.request.only.as_ref().is_none_or(|only| only.contains(host.id));
        if !only || !host.is_selected_by(&self.request.selector) {
            return Err(plain(ExclusionReason::NotAskedFor));
        }
        if !reverse && !host.is_selected_by(&self.policy.hosts) {
            return Err((ExclusionReason::NotSelected, format!("hosts = \"{}\"", self.policy.hosts)));
        }
        if host.mode == HostMode::ReportOnly {
            return Err(plain(ExclusionReason::ReportOnly));
        }
        match host.standing {
            Standing::Cloned => Err(plain(ExclusionReason::Cloned)),
            Standing::Stale => Err(plain(ExclusionReason::Stale)),
            Standing::ClockOff => Err(plain(ExclusionReason::ClockOff)),
            Standing::Eligible | Standing::Retired => Ok(()),
        }
    }

    /// Whether nobody else's word stands against it. Asked last, so that a host with nothing to do is told that first.
    fn check_free(&self, host: &PlanningHost<'_>) -> Result<(), Left> {
        if let Some(reason) = &host.facts.hold {
            return Err((ExclusionReason::LocalHold, reason.clone()));
        }
        let reversed = if let RequestKind::Reverse { of, .. } = &self.request.kind { Some(of) } else { None };
        if let Some(other) = host.claimed_by.filter(|other| reversed != Some(*other) && **other != self.request.rollout) {
            return Err((ExclusionReason::Claimed, format!("rollout {other}")));
        }
        if reversed.is_none() && !self.policy.transaction.observe_other_hands && !host.facts.other_hands.is_empty() {
            let detail = format!("{}; mask them, or set transaction.observe_other_hands", host.facts.other_hands.join(", "));
            return Err((ExclusionReason::OtherHands, detail));
        }
        Ok(())
    }

    fn choose_updates(&self, host: &PlanningHost<'_>) -> Result<Choice, Left> {
        let (Some(inventory), Some(candidates)) = (host.inventory, host.candidates) else {
            return Err(plain(ExclusionReason::NoInventory));
        };
        let (mut picked, mut left): (Vec<&Candidate>, Vec<(PackageName, Left)>) = (Vec::new(), Vec::new());
        for candidate in candidates.candidates.iter().filter(|candidate| is_asked_for(&self.request.updates, candidate)) {
            match self.judge(candidate, inventory) {
                Ok(()) => picked.push(candidate),
                Err(why) => left.push((candidate.id.name.clone(), why)),
            }
        }
        drop_torn_siblings(&mut picked, &mut left, inventory);
        let targets = picked.into_iter().map(target).collect();
        match TargetSet::new(inventory.manager(), targets) {
            Some(targets) => Ok(Choice { targets, of: None, omitted: self.omitted(left) }),
            None => Err(self.why_nothing(host, inventory, left)),
        }
    }

    /// Whether a candidate that was asked for may be applied on the host.
    fn judge(&self, candidate: &Candidate, inventory: &Inventory) -> Result<(), Left> {
        let shown = format!("{} {}", candidate.id, candidate.to);
        if inventory.get(&candidate.id).is_some_and(|package| package.version == candidate.to) {
            return Err((ExclusionReason::AlreadyAtVersion, shown));
        }
        if let Some(wanted) = self.unmet_version(candidate) {
            let has = inventory.get(&candidate.id).is_some_and(|package| package.version == *wanted || package.source_version == *wanted);
            let reason = if has { ExclusionReason::AlreadyAtVersion } else { ExclusionReason::NotOffered };
            return Err((reason, format!("{shown} is offered, {wanted} was asked for")));
        }
        if let Err(setting) = self.policy.patches.allows(candidate) {
            return Err((ExclusionReason::NotAllowed, format!("{shown}: {setting}")));
        }
        match candidate.blocked {
            Some(Blocked::Held) => return Err((ExclusionReason::Held, shown)),
            Some(Blocked::Pinned) => return Err((ExclusionReason::Pinned, shown)),
            None => {}
        }
        let key = QuarantineKey {
            manager: inventory.manager(),
            origin: candidate.origin.short(),
            source: candidate.source.clone(),
            version: candidate.to.clone(),
            architecture: candidate.id.architecture.clone(),
        };
        if self.quarantine.contains(&key) { Err((ExclusionReason::Quarantined, shown)) } else { Ok(()) }
    }

    /// The version asked for, where the candidate meets no request for its name.
    fn unmet_version(&self, candidate: &Candidate) -> Option<&PackageVersion> {
        let meets = |request: &UpdateRequest| {
            let version = if request.source { &candidate.source_version } else { &candidate.to };
            request.version.as_ref().is_none_or(|wanted| wanted == version)
        };
        let named = || self.request.updates.iter().filter(|request| is_asked_for(std::slice::from_ref(request), candidate));
        if named().any(meets) { None } else { named().find_map(|request| request.version.as_ref()) }
    }

    /// What is worth telling on a host that gets other updates: with no request, what the policy does not allow was never meant.
    fn omitted(&self, left: Vec<(PackageName, Left)>) -> Vec<(PackageName, ExclusionReason)> {
        let told = |reason: ExclusionReason| {
            let meant = !self.request.updates.is_empty() || reason != ExclusionReason::NotAllowed;
            meant && reason != ExclusionReason::AlreadyAtVersion
        };
        let omitted: BTreeSet<_> = left.into_iter().map(|(name, (reason, _))| (name, reason)).filter(|(_, reason)| told(*reason)).collect();
        omitted.into_iter().collect()
    }

    /// The most telling of all reasons.
    fn why_nothing(&self, host: &PlanningHost<'_>, inventory: &Inventory, left: Vec<(PackageName, Left)>) -> Left {
        use ExclusionReason::{AlreadyAtVersion, Held, NotAllowed, NotOffered, Pinned, Quarantined, Sibling};
        for wanted in [Quarantined, Held, Pinned, Sibling, NotAllowed, NotOffered, AlreadyAtVersion] {
            if let Some((_, why)) = left.iter().find(|(_, (reason, _))| *reason == wanted) {
                return why.clone();
            }
        }
        let refresh = "other hosts of its release are offered a newer version: refresh its package lists".to_owned();
        match self.is_current(host, inventory) {
            None => plain(ExclusionReason::NotInstalled),
            Some(true) => plain(ExclusionReason::AlreadyAtVersion),
            Some(false) => (ExclusionReason::NoCandidate, refresh),
        }
    }

    /// Whether the host has what was asked for: the exact version, or else the newest that any host of its release is offered; `None`
    /// where it has none of the packages.
    fn is_current(&self, host: &PlanningHost<'_>, inventory: &Inventory) -> Option<bool> {
        let requests = &self.request.updates;
        if requests.is_empty() {
            return self.offers.is_current(host, inventory, requests);
        }
        let one = |request: &UpdateRequest| {
            let only = std::slice::from_ref(request);
            let Some(wanted) = &request.version else {
                return self.offers.is_current(host, inventory, only);
            };
            let packages: Vec<_> = inventory.iter().filter(|package| package.is_installed() && is_request_for(only, package)).collect();
            let at = |version: &PackageVersion, source: &PackageVersion| wanted == if request.source { source } else { version };
            (!packages.is_empty()).then(|| packages.iter().all(|package| at(&package.version, &package.source_version)))
        };
        requests.iter().filter_map(one).reduce(|left, right| left && right)
    }
}

/// Siblings of several architectures that have one version now move together or not at all (rule 20): apt could not do otherwise.
fn drop_torn_siblings(picked: &mut Vec<&Candidate>, left: &mut Vec<(PackageName, Left)>, inventory: &Inventory) {
    let moves: BTreeSet<_> = picked.iter().map(|candidate| (candidate.id.clone(), candidate.to.clone())).collect();
    let names: BTreeSet<&PackageName> = picked.iter().map(|candidate| &candidate.id.name).collect();
    let same_name: Vec<_> = inventory.iter().filter(|package| names.contains(&package.id.name) && package.is_installed()).collect();
    let torn = |candidate: &Candidate| {
        same_name.iter().find(|package| {
            package.id.name == candidate.id.name
                && package.id.architecture != candidate.id.architecture
                && package.version == candidate.from
                && !moves.contains(&(package.id.clone(), candidate.to.clone()))
        })
    };
    let mut torn_names = BTreeSet::new();
    for candidate in picked.iter() {
        if let Some(sibling) = torn(candidate) {
            torn_names.insert(candidate.id.name.clone());
            let detail = format!("{} cannot move to {} too", sibling.id, candidate.to);
            left.push((candidate.id.name.clone(), (ExclusionReason::Sibling, detail)));
        }
    }
    picked.retain(|candidate| !torn_names.contains(&candidate.id.name));
}

fn target(candidate: &Candidate) -> PackageTarget {
    PackageTarget {
        id: candidate.id.clone(),
        from: candidate.from.clone(),
        to: candidate.to.clone(),
        source: candidate.source.clone(),
        origin: candidate.origin.short(),
        sha256: candidate.sha256,
        size_bytes: candidate.size_bytes,
    }
}

fn plain(reason: ExclusionReason) -> Left {
    (reason, String::new())
}

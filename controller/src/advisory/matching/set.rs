//! The advisories in use, found by the packages of which they speak.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave_common::domain::AdvisoryId;

use super::PackageKey;
use crate::advisory::record::{Advisory, Hit, Space};

/// Advisories by their id, and by the packages of which they speak.
#[derive(Debug, Clone, Default)]
pub struct AdvisorySet {
    records: BTreeMap<AdvisoryId, Arc<Advisory>>,
    spaces: BTreeMap<Space, BTreeMap<Arc<str>, BTreeSet<AdvisoryId>>>,
    /// Ids of the advisories that have this name beside their own.
    named: BTreeMap<AdvisoryId, BTreeSet<AdvisoryId>>,
}

/// An advisory that speaks of a package key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The advisory.
    pub advisory: Arc<Advisory>,
    /// Which of its packages, counted from 0.
    pub affected: usize,
    /// Why, and what closes it.
    pub hit: Hit,
}

/// The answer for one package key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// Ordered by the advisories' ids; each advisory once.
    pub found: Vec<Match>,
    /// The installed version is none in its space, so that nothing can be said of it: unknown, never clean.
    pub unreadable: bool,
}

impl AdvisorySet {
    /// Takes an advisory in, in the place of one of the same id.
    pub fn insert(&mut self, advisory: Arc<Advisory>) -> Option<Arc<Advisory>> {
        let before = self.remove(&advisory.id);
        for affected in &advisory.affected {
            let names = self.spaces.entry(affected.space.clone()).or_default();
            names.entry(affected.package.clone()).or_default().insert(advisory.id.clone());
        }
        for alias in &advisory.aliases {
            self.named.entry(alias.clone()).or_default().insert(advisory.id.clone());
        }
        self.records.insert(advisory.id.clone(), advisory);
        before
    }

    /// Takes an advisory out.
    pub fn remove(&mut self, id: &AdvisoryId) -> Option<Arc<Advisory>> {
        let advisory = self.records.remove(id)?;
        for affected in &advisory.affected {
            let Some(names) = self.spaces.get_mut(&affected.space) else { continue };
            if let Some(ids) = names.get_mut(&affected.package) {
                ids.remove(id);
                if ids.is_empty() {
                    names.remove(&affected.package);
                }
            }
            if names.is_empty() {
                self.spaces.remove(&affected.space);
            }
        }
        for alias in &advisory.aliases {
            if let Some(ids) = self.named.get_mut(alias) {
                ids.remove(id);
                if ids.is_empty() {
                    self.named.remove(alias);
                }
            }
        }
        Some(advisory)
    }

    /// One advisory.
    #[must_use]
    pub fn get(&self, id: &AdvisoryId) -> Option<&Arc<Advisory>> {
        self.records.get(id)
    }

    /// Every advisory that has this name, its own or another.
    pub fn named(&self, name: &AdvisoryId) -> impl Iterator<Item = &Arc<Advisory>> {
        let others = self.named.get(name).into_iter().flatten();
        self.records.get(name).into_iter().chain(others.filter_map(|id| self.records.get(id)))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Advisory>> {
        self.records.values()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether any advisory speaks of this space: without one, a host of it is unknown, never clean (rule 24).
    #[must_use]
    pub fn covers(&self, space: &Space) -> bool {
        self.spaces.contains_key(space)
    }

    /// The advisories that speak of a package key.
    #[must_use]
    pub fn matches(&self, key: &PackageKey) -> Matches {
        let mut matches = Matches::default();
        let ids = self.spaces.get(&key.space).and_then(|names| names.get(&key.name));
        let advisories = ids.into_iter().flatten().filter_map(|id| self.records.get(id)).filter(|advisory| advisory.withdrawn.is_none());
        for advisory in advisories {
            let of_key = advisory.affected.iter().enumerate().filter(|(_, it)| it.space == key.space && it.package == key.name);
            for (affected, it) in of_key {
                match it.hit(&key.version) {
                    Ok(Some(hit)) => {
                        matches.found.push(Match { advisory: advisory.clone(), affected, hit });
                        break;
                    }
                    Ok(None) => {}
                    Err(_) => matches.unreadable = true,
                }
            }
        }
        matches
    }
}

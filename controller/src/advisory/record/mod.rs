//! An advisory: one record of a hole, with the packages that have it.
//!
//! Terms: a *space* is where a package name means something, e.g. Debian 12 or PyPI; a name of one space is never looked for in another, so
//! that a fix ported back by a distribution is no false alarm. *Affected* says of one package of one space which versions have the hole, by
//! *ranges* of versions and by naming versions one by one. Names and texts are bounded and clean; versions are versions of their space.

mod range;
mod space;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, Timestamp, version};

pub use range::{Event, Range};
pub use space::{Space, System};

use super::cvss::{Cvss, Severity};

/// One advisory. Serialised nowhere: what is kept is the record as its feed wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its name in its database.
    pub id: AdvisoryId,
    /// Other names of the same hole, ordered: aliases, and for a distribution's record the records that it follows.
    pub aliases: Vec<AdvisoryId>,
    /// One line about it; empty where the record has none.
    pub summary: String,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// When it was withdrawn; a withdrawn advisory affects nothing.
    pub withdrawn: Option<Timestamp>,
    /// The scored vectors, as the record has them.
    pub scores: Vec<(Arc<str>, Cvss)>,
    /// How bad the feed says it is, in its own word.
    pub rating: Option<Severity>,
    /// What has the hole.
    pub affected: Vec<Affected>,
}

/// The versions of one package that have the hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Where the name means something.
    pub space: Space,
    /// The package; the source package where the space speaks of sources. In the space's normal form.
    pub package: Arc<str>,
    /// Ranges of affected versions.
    pub ranges: Vec<Range>,
    /// Affected versions that no range holds, ordered as texts.
    pub versions: Vec<Arc<str>>,
}

/// Why a version has the hole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Which range holds it, counted from 0; none where it is named by itself.
    pub range: Option<usize>,
    /// The first version without the hole, if the record knows one.
    pub fixed: Option<Arc<str>>,
}

impl Advisory {
    /// How bad the hole is: the worst band of its newest kind of vector, or the feed's word where it has no vector.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.score().map(|(_, cvss)| cvss.severity()).or(self.rating)
    }

    /// The vector that counts: of the newest version of CVSS, and of those the highest score.
    #[must_use]
    pub fn score(&self) -> Option<&(Arc<str>, Cvss)> {
        self.scores.iter().max_by_key(|(_, cvss)| (cvss.version(), cvss.score()))
    }

    /// The CVE that it is about: its own id, or the one CVE among its other names; `None` where there is none or more than one.
    #[must_use]
    pub fn cve(&self) -> Option<&AdvisoryId> {
        let mut cves = std::iter::once(&self.id).chain(&self.aliases).filter(|id| is_cve(id));
        cves.next().filter(|first| is_cve(&self.id) || cves.all(|other| other == *first))
    }

    /// Every CVE that it speaks of.
    pub fn cves(&self) -> impl Iterator<Item = &AdvisoryId> {
        std::iter::once(&self.id).chain(&self.aliases).filter(|id| is_cve(id))
    }

    /// Whether this is a name of it.
    #[must_use]
    pub fn is_named(&self, id: &AdvisoryId) -> bool {
        self.id == *id || self.aliases.binary_search(id).is_ok()
    }
}

fn is_cve(id: &AdvisoryId) -> bool {
    id.as_str().starts_with("CVE-")
}

impl Affected {
    /// Whether `installed` has the hole, and what closes it; `None` where it has not. An error names a version that is none.
    pub fn hit(&self, installed: &str) -> Result<Option<Hit>, version::InvalidVersion> {
        let ecosystem = self.space.ecosystem();
        let mut hit: Option<Hit> = None;
        for (index, range) in self.ranges.iter().enumerate() {
            if !range.contains(ecosystem, installed)? {
                continue;
            }
            let fixed = range.fixed_after(ecosystem, installed)?;
            hit = Some(match hit {
                None => Hit { range: Some(index), fixed },
                // In several ranges at once: closed by what closes all of them.
                Some(first) => Hit { range: first.range, fixed: later(ecosystem, first.fixed, fixed)? },
            });
        }
        if hit.is_none() && self.names(ecosystem, installed)? {
            let fixed = self.fixed_after(ecosystem, installed)?;
            hit = Some(Hit { range: None, fixed });
        }
        Ok(hit)
    }

    /// Whether the version is named by itself: by its text, or by another text of the same version.
    fn names(&self, ecosystem: version::Ecosystem, installed: &str) -> Result<bool, version::InvalidVersion> {
        if self.versions.binary_search_by(|known| known.as_ref().cmp(installed)).is_ok() {
            return Ok(true);
        }
        for known in &self.versions {
            // Pacman takes a version without a release for all of its releases; a list means the very one.
            if version::compare(ecosystem, known, installed)? == Ordering::Equal && ecosystem != version::Ecosystem::Alpm {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first fix in any range that is later than a version outside of all of them.
    fn fixed_after(&self, ecosystem: version::Ecosystem, installed: &str) -> Result<Option<Arc<str>>, version::InvalidVersion> {
        let mut first: Option<Arc<str>> = None;
        for range in &self.ranges {
            if let Some(fixed) = range.fixed_after(ecosystem, installed)?
                && match &first {
                    None => true,
                    Some(known) => version::compare(ecosystem, &fixed, known)? == Ordering::Less,
                }
            {
                first = Some(fixed);
            }
        }
        Ok(first)
    }
}

/// The later of two fixes; none where one of them is missing.
fn later(
    ecosystem: version::Ecosystem,
    left: Option<Arc<str>>,
    right: Option<Arc<str>>,
) -> Result<Option<Arc<str>>, version::InvalidVersion> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
    let order = version::compare(ecosystem, &left, &right)?;
    Ok(Some(if order == Ordering::Less { right } else { left }))
}

//! How soon a hole must be closed on a host, and why.
//!
//! A *scheme* is a decision table ([`Table`]) that a policy names. Its points are answered from what is known of the hole and of the host
//! ([`points`]): a point that nobody answers stays unknown, and the table says what that means. `deadline` makes an instant of the outcome.

mod deadline;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use patchwave_common::domain::AdvisoryId;

pub use deadline::{Basis, Deadline, FixHistory, deadline};

use super::cvss::Severity;
use super::decision::{Decision, Table};
use super::knowledge::{Epss, Exploitation, Facts, Kev, Ssvc, TechnicalImpact};
use super::record::Advisory;

/// A forecast from which on a hole counts as likely to be exploited, in hundred-thousandths: a tenth. FIRST's own figures: it takes in some
/// 4 % of all vulnerabilities and two of three that are then exploited.
const LIKELY: u32 = 10_000;

/// What feeds tell of vulnerabilities; a feed that there is none of leaves its points unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Knowledge {
    /// Known exploitation.
    pub kev: Option<Facts<Kev>>,
    /// Forecasts.
    pub epss: Option<Facts<Epss>>,
    /// Decision points.
    pub ssvc: Option<Facts<Ssvc>>,
}

/// What an operator said of a host, by its labels; `None` where nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostClass {
    /// Whether it can be reached from the internet: label `exposure`, `internet` or another.
    pub exposed: Option<bool>,
    /// Whether it is one that must not fall: label `criticality`, `high` or another.
    pub critical: Option<bool>,
}

impl HostClass {
    /// The class of a host by its labels.
    #[must_use]
    pub fn of<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self { exposed: label("exposure").map(|value| value == "internet"), critical: label("criticality").map(|value| value == "high") }
    }
}

/// The answers to the points that schemes ask for. An advisory about several vulnerabilities has the worst answer of any of them.
#[must_use]
pub fn points(advisory: &Advisory, knowledge: &Knowledge, host: HostClass) -> BTreeMap<String, String> {
    let ssvc: Vec<Ssvc> = facts_of(advisory, knowledge.ssvc.as_ref()).map(|(_, ssvc)| *ssvc).collect();
    let exploitation = ssvc.iter().filter_map(|ssvc| ssvc.exploitation).max();
    let in_catalogue = knowledge.kev.as_ref().map(|_| facts_of(advisory, knowledge.kev.as_ref()).next().is_some());
    let exploited = if exploitation == Some(Exploitation::Active) { Some(true) } else { in_catalogue };
    let likely = facts_of(advisory, knowledge.epss.as_ref()).map(|(_, epss)| epss.probability >= LIKELY).max();
    let answers = [
        ("severity", advisory.severity().map(Severity::as_str)),
        ("known-exploited", exploited.map(yes_or_no)),
        ("likely-exploited", likely.map(yes_or_no)),
        ("exploitation", exploitation.map(Exploitation::as_str)),
        ("automatable", ssvc.iter().filter_map(|ssvc| ssvc.automatable).max().map(|it| it.as_str())),
        ("technical-impact", ssvc.iter().filter_map(|ssvc| ssvc.technical_impact).max().map(TechnicalImpact::as_str)),
        ("publicly-exposed", host.exposed.map(yes_or_no)),
        ("critical-host", host.critical.map(yes_or_no)),
    ];
    answers.into_iter().filter_map(|(point, value)| Some((point.to_owned(), value?.to_owned()))).collect()
}

/// What a scheme decides about an advisory on a host.
#[must_use]
pub fn decide<'a>(scheme: &'a Table, advisory: &Advisory, knowledge: &Knowledge, host: HostClass) -> Decision<'a> {
    scheme.decide(&points(advisory, knowledge, host))
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// What a feed tells of the vulnerabilities of an advisory.
fn facts_of<'a, T>(advisory: &'a Advisory, facts: Option<&'a Facts<T>>) -> impl Iterator<Item = (&'a AdvisoryId, &'a T)> {
    advisory.cves().filter_map(move |cve| Some((cve, facts?.by_cve.get(cve)?)))
}

//! Findings: which hole is open where, by when it must be closed, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchwave_common::domain::{AdvisoryId, HostId, Selector, Timestamp};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time, store_status, wrong};
use super::stream::Rows;
use crate::advisory::cvss::Severity;
use crate::advisory::decision::Due;
use crate::advisory::priority::Basis;
use crate::advisory::record::Advisory;
use crate::assessor::{Assessor, Coverage, Gone, Ruling, Rulings};
use crate::feeds::Content;
use crate::finding::{Finding, FindingKey, FindingState};
use crate::finding_log;
use crate::fleet::FleetHost;
use crate::store::MAX_PAGE;

/// Most findings of one answer, some 50 MB of them; a larger fleet is asked by advisory, by host or for a part.
const LIST_MAX: usize = 100_000;
/// Hosts that are named as examples.
const EXAMPLES: usize = 5;
/// Changes of one finding that are told: the newest.
const HISTORY_MAX: usize = 200;

/// Which findings are asked for.
#[derive(Debug, Clone)]
struct Filter {
    selector: Selector,
    advisory: Option<AdvisoryId>,
    package: Option<String>,
    states: BTreeSet<FindingState>,
    severity: Option<Severity>,
    known_exploited: bool,
    overdue: bool,
    due_soon: bool,
    all: bool,
}

impl Filter {
    fn parse(request: &wire::ListFindingsRequest) -> Result<Self, Status> {
        let mut states = BTreeSet::new();
        for name in &request.states {
            let known = || FindingState::ALL.map(FindingState::as_str).join(", ");
            states.insert(FindingState::of_name(name).ok_or_else(|| wrong("--state", format!("is none of {}", known())))?);
        }
        let severity = match request.severity.as_str() {
            "" => None,
            name => Some(Severity::of_name(name).ok_or_else(|| wrong("--severity", "is none of low, medium, high, critical"))?),
        };
        let advisory = match request.advisory.as_str() {
            "" => None,
            name => Some(parsed("--advisory", AdvisoryId::parse(name))?),
        };
        Ok(Self {
            selector: parsed("selector", Selector::parse(&request.selector))?,
            advisory,
            package: Some(request.package.clone()).filter(|package| !package.is_empty()),
            states,
            severity,
            known_exploited: request.known_exploited,
            overdue: request.overdue,
            due_soon: request.due_soon,
            all: request.all,
        })
    }

    /// Whether a finding is asked for, as far as that can be told without its ruling.
    fn takes(&self, key: &FindingKey, finding: &Finding) -> bool {
        let state = if self.states.is_empty() { self.all || !finding.state.is_closed() } else { self.states.contains(&finding.state) };
        state && self.package.as_deref().is_none_or(|package| package == key.source.as_ref())
    }

    fn takes_advisory(&self, advisory: Option<&Advisory>, key: &FindingKey) -> bool {
        let named = |name: &AdvisoryId| advisory.map_or(key.advisory == *name, |advisory| advisory.is_named(name));
        self.advisory.as_ref().is_none_or(named) && self.severity.is_none_or(|least| advisory.and_then(Advisory::severity) >= Some(least))
    }

    fn takes_row(&self, row: &wire::Finding) -> bool {
        (!self.known_exploited || row.known_exploited) && (!self.overdue || row.overdue) && (!self.due_soon || row.due_soon)
    }
}

/// Shows each finding that is asked for, with its host, until `take` has enough.
fn each(assessor: &Assessor, filter: &Filter, take: &mut dyn FnMut(&FleetHost, wire::Finding, FindingState) -> bool) {
    let mut rulings = Rulings::new(assessor);
    let now = assessor.now();
    for host in assessor.fleet.all().iter().filter(|host| host.is_active() && host.matches(&filter.selector)) {
        let Some(assessed) = assessor.host(&host.record.id) else { continue };
        for (key, finding) in assessed.findings.0.iter().filter(|(key, finding)| filter.takes(key, finding)) {
            let advisory = rulings.advisory(&key.advisory).cloned();
            if !filter.takes_advisory(advisory.as_deref(), key) {
                continue;
            }
            let ruling = rulings.rule(host, key, finding);
            let row = view(assessor, host, (key, finding), advisory.as_deref(), ruling.as_ref(), now);
            if filter.takes_row(&row) && !take(host, row, finding.state) {
                return;
            }
        }
    }
}

fn view(
    assessor: &Assessor,
    host: &FleetHost,
    (key, finding): (&FindingKey, &Finding),
    advisory: Option<&Advisory>,
    ruling: Option<&Ruling>,
    now: Timestamp,
) -> wire::Finding {
    // A finding that is closed, or that people answer for, is not late.
    let due = ruling.and_then(|ruling| ruling.deadline).filter(|_| !finding.state.is_closed() && !finding.state.is_excepted());
    let overdue = due.is_some_and(|deadline| deadline.due <= now);
    wire::Finding {
        host: host.record.id.to_string(),
        host_name: host.record.facts.hostname.clone(),
        advisory: key.advisory.to_string(),
        aliases: advisory.iter().flat_map(|advisory| &advisory.aliases).map(ToString::to_string).collect(),
        package: key.source.to_string(),
        installed: finding.installed.to_string(),
        fixed: finding.fixed.as_ref().map_or_else(String::new, ToString::to_string),
        state: finding.state.as_str().to_owned(),
        severity: advisory.and_then(Advisory::severity).map_or("", Severity::as_str).to_owned(),
        known_exploited: advisory.is_some_and(|advisory| is_exploited(assessor, advisory)),
        epss: advisory.map_or_else(String::new, |advisory| epss(assessor, advisory)),
        within_secs: ruling.and_then(|ruling| match ruling.outcome.due {
            Due::Within(span) => Some(span.as_secs()),
            Due::NextUpgrade => None,
        }),
        investigate: ruling.is_some_and(|ruling| ruling.outcome.investigate),
        due: show_time(due.map(|deadline| deadline.due)),
        overdue,
        due_soon: due.is_some_and(|deadline| deadline.due <= now.plus(assessor.settings.due_soon)),
        evidence: finding.evidence.clone(),
    }
}

fn is_exploited(assessor: &Assessor, advisory: &Advisory) -> bool {
    let kev = assessor.knowledge().kev.as_ref();
    kev.is_some_and(|kev| advisory.cves().any(|cve| kev.by_cve.contains_key(cve)))
}

/// The highest forecast of its vulnerabilities, in percent.
fn epss(assessor: &Assessor, advisory: &Advisory) -> String {
    let epss = assessor.knowledge().epss.as_ref();
    let highest = advisory.cves().filter_map(|cve| Some(epss?.by_cve.get(cve)?.probability)).max();
    highest.map_or_else(String::new, |probability| format!("{}.{:03}", probability / 1_000, probability % 1_000))
}

fn gone(error: Gone) -> Status {
    Status::unavailable(error.to_string())
}

pub(super) async fn list(call: &Call, request: wire::ListFindingsRequest) -> Result<Rows<wire::Finding>, Status> {
    let filter = Filter::parse(&request)?;
    let found = call.app.assessor.ask(move |assessor| {
        let mut rows = Vec::new();
        each(assessor, &filter, &mut |_, row, _| {
            rows.push(row);
            rows.len() <= LIST_MAX
        });
        rows
    });
    let mut rows = found.await.map_err(gone)?;
    if rows.len() > LIST_MAX {
        let hint = "hint: `--by advisory` counts them; a selector or another filter narrows them";
        return Err(Status::out_of_range(format!("there are more than {LIST_MAX} findings ({hint})")));
    }
    rows.sort_by(|left, right| order(left).cmp(&order(right)));
    Ok(Rows::of(rows))
}

/// The most urgent first; what has no deadline last.
fn order(row: &wire::Finding) -> (bool, &str, u64, &str, &str, &str) {
    (row.due.is_empty(), &row.due, row.within_secs.unwrap_or(u64::MAX), &row.advisory, &row.host_name, &row.package)
}

pub(super) async fn count(call: &Call, request: wire::ListFindingsRequest) -> Result<wire::FindingCounts, Status> {
    let filter = Filter::parse(&request)?;
    let by_host = match request.by.as_str() {
        "" | "advisory" => false,
        "host" => true,
        _ => return Err(wrong("--by", "is none of advisory, host, finding")),
    };
    let mut answer = call.app.assessor.ask(move |assessor| counts(assessor, &filter, by_host)).await.map_err(gone)?;
    let feeds = call.app.feeds.list().await.map_err(|error| store_status(&error))?;
    let stale = feeds.iter().filter(|feed| super::feeds::is_stale(feed, call.at));
    answer.stale_feeds = stale.map(|feed| feed.name.to_string()).collect();
    Ok(answer)
}

fn counts(assessor: &Assessor, filter: &Filter, by_host: bool) -> wire::FindingCounts {
    let mut groups: BTreeMap<String, (wire::FindingCount, BTreeSet<HostId>)> = BTreeMap::new();
    each(assessor, filter, &mut |host, row, state| {
        let key = if by_host { row.host.clone() } else { row.advisory.clone() };
        let (group, hosts) = groups.entry(key.clone()).or_insert_with(|| {
            let name = if by_host { row.host_name.clone() } else { row.aliases.join(" ") };
            (wire::FindingCount { key, name, ..wire::FindingCount::default() }, BTreeSet::new())
        });
        hosts.insert(host.record.id.clone());
        add(group, &row, state);
        true
    });
    let counts = groups.into_values().map(|(group, hosts)| wire::FindingCount { hosts: hosts.len() as u32, ..group });
    let mut counts: Vec<wire::FindingCount> = counts.collect();
    counts.sort_by(|left, right| (left.due.is_empty(), &left.due, &left.key).cmp(&(right.due.is_empty(), &right.due, &right.key)));
    wire::FindingCounts { counts, unknown: unknown(assessor, &filter.selector), stale_feeds: Vec::new() }
}

fn add(group: &mut wire::FindingCount, row: &wire::Finding, state: FindingState) {
    group.findings += 1;
    let count = match state {
        FindingState::Open => &mut group.open,
        FindingState::FixAvailable => &mut group.fix_available,
        FindingState::Scheduled => &mut group.scheduled,
        FindingState::RestartPending => &mut group.restart_pending,
        FindingState::Waived | FindingState::Mitigated | FindingState::NotAffected => &mut group.excepted,
        FindingState::Fixed | FindingState::Removed | FindingState::Withdrawn => &mut group.closed,
    };
    *count += 1;
    group.overdue += u32::from(row.overdue);
    group.known_exploited |= row.known_exploited;
    if Severity::of_name(&row.severity) > Severity::of_name(&group.severity) {
        group.severity.clone_from(&row.severity);
    }
    if !row.due.is_empty() && (group.due.is_empty() || row.due < group.due) {
        group.due.clone_from(&row.due);
    }
}

/// Hosts of which nothing can be said (rule 24).
fn unknown(assessor: &Assessor, selector: &Selector) -> Vec<wire::UnknownHosts> {
    let mut unknown: BTreeMap<String, wire::UnknownHosts> = BTreeMap::new();
    for host in assessor.fleet.all().iter().filter(|host| host.is_active() && host.matches(selector)) {
        let reason = match assessor.host(&host.record.id).map(|assessed| &assessed.coverage) {
            Some(Coverage::Known | Coverage::Left) => continue,
            Some(Coverage::NoAdvisories(space)) => format!("no feed speaks of {space}"),
            Some(Coverage::NoSystem) => format!("{} {} is not matched", host.record.facts.os, host.record.facts.release),
            Some(Coverage::NoInventory) | None => "it has not told what is installed".to_owned(),
        };
        let entry = unknown.entry(reason.clone()).or_insert_with(|| wire::UnknownHosts { reason, ..wire::UnknownHosts::default() });
        entry.hosts += 1;
        if entry.examples.len() < EXAMPLES {
            entry.examples.push(host.record.facts.hostname.clone());
        }
    }
    unknown.into_values().collect()
}

pub(super) async fn show(call: &Call, request: wire::FindingRequest) -> Result<wire::FindingDetail, Status> {
    let name = parsed("ADVISORY", AdvisoryId::parse(&request.advisory))?;
    let host = call.app.fleet.find(&request.host).map_err(|error| Status::not_found(error.to_string()))?;
    let (id, package) = (host.record.id.clone(), request.package.clone());
    let found = call.app.assessor.ask(move |assessor| detail(assessor, &host, &name, &package));
    let (mut detail, key) = found.await.map_err(gone)??;
    detail.history = call.read(move |store| history(store, &id, &key)).await?;
    Ok(detail)
}

/// The one finding of an advisory on a host.
fn detail(assessor: &Assessor, host: &FleetHost, name: &AdvisoryId, package: &str) -> Result<(wire::FindingDetail, FindingKey), Status> {
    let hostname = &host.record.facts.hostname;
    let assessed = assessor.host(&host.record.id).ok_or_else(|| Status::not_found(format!("{hostname} has not been looked at yet")))?;
    let mut rulings = Rulings::new(assessor);
    let is_it = |key: &FindingKey| rulings.advisory(&key.advisory).map_or(key.advisory == *name, |advisory| advisory.is_named(name));
    let mut found = assessed.findings.0.iter().filter(|(key, _)| is_it(key) && (package.is_empty() || package == key.source.as_ref()));
    let hint = format!("hint: `patchwave finding list --by finding id={}` shows its findings", host.record.id);
    let (key, finding) = found.next().ok_or_else(|| Status::not_found(format!("{hostname} has no finding of {name} ({hint})")))?;
    if let Some((other, _)) = found.next() {
        let (one, other) = (&key.source, &other.source);
        return Err(wrong("--package", format!("{name} speaks of several packages of {hostname}, such as {one} and {other}; name one")));
    }
    let advisory = rulings.advisory(&key.advisory).cloned();
    let ruling = rulings.rule(host, key, finding);
    let row = view(assessor, host, (key, finding), advisory.as_deref(), ruling.as_ref(), assessor.now());
    let score = advisory.as_ref().and_then(|advisory| advisory.score());
    let detail = wire::FindingDetail {
        summary: advisory.as_ref().map_or_else(String::new, |advisory| advisory.summary.clone()),
        vector: score.map_or_else(String::new, |(vector, _)| vector.to_string()),
        score: score.map_or_else(String::new, |(_, cvss)| cvss.score().to_string()),
        published: show_time(advisory.as_ref().and_then(|advisory| advisory.published)),
        modified: show_time(advisory.as_ref().and_then(|advisory| advisory.modified)),
        feeds: feeds_of(assessor, &key.advisory),
        matched: matched(assessor, host, key),
        why: ruling.as_ref().map_or_else(|| "no feed has its advisory any more".to_owned(), |ruling| ruling.why.to_string()),
        deadline_basis: basis(assessor, ruling.as_ref()),
        fix_seen: show_time(ruling.as_ref().and_then(|ruling| ruling.fix_seen)),
        closes: closes(finding),
        finding: Some(row),
        history: Vec::new(),
    };
    Ok((detail, key.clone()))
}

/// The feeds that have an advisory.
fn feeds_of(assessor: &Assessor, id: &AdvisoryId) -> Vec<String> {
    let has_it = |content: &Content| matches!(content, Content::Advisories(advisories) if advisories.contains_key(id));
    assessor.contents().filter(|(_, content)| has_it(content)).map(|(name, _)| name.to_string()).collect()
}

/// Which record and range matched.
fn matched(assessor: &Assessor, host: &FleetHost, key: &FindingKey) -> String {
    let Some(image) = assessor.image_of(&host.record.id) else { return String::new() };
    let mut told = Vec::new();
    for (package, matches) in assessor.matcher().packages_of(image).filter(|(package, _)| package.name == key.source) {
        for found in matches.found.iter().filter(|found| found.advisory.id == key.advisory) {
            let how = match found.hit.range {
                Some(range) => format!("range {} of its package {}", range + 1, found.affected + 1),
                None => format!("its package {} names the version", found.affected + 1),
            };
            told.push(format!("{} {} of {}: {how}", package.name, package.version, package.space));
        }
    }
    told.sort();
    told.join("; ")
}

fn basis(assessor: &Assessor, ruling: Option<&Ruling>) -> String {
    let Some(ruling) = ruling else { return String::new() };
    let limit = patchwave_common::domain::show_duration(assessor.settings.test_limit);
    match (ruling.deadline.map(|deadline| deadline.basis), ruling.fix_seen, ruling.outcome.due) {
        (_, _, Due::NextUpgrade) => "it goes with the next upgrade".into(),
        (None, None, _) => "no host could get a fix yet; the time runs from then".into(),
        (None, Some(_), _) => String::new(),
        (Some(Basis::TestPassed), ..) => "counted from the end of the test".into(),
        (Some(Basis::TestLimit), ..) => format!("counted from {limit} after the fix was first seen: by then a test should have ended"),
        (Some(Basis::NewHost), ..) => "the host is new, and has its time to settle".into(),
    }
}

fn closes(finding: &Finding) -> String {
    let version = finding.fixed.as_deref();
    match finding.state {
        FindingState::Open => match version {
            Some(version) => format!("{version} or newer, which the host cannot get now"),
            None => "nothing yet: there is no fix. A mitigation or a waiver can answer for it".into(),
        },
        FindingState::FixAvailable => format!("a rollout that brings {} or newer", version.unwrap_or("a fixed version")),
        FindingState::Scheduled => "the rollout that brings it, once the host runs it".into(),
        FindingState::RestartPending => "a restart of what still runs the old code, or a reboot".into(),
        FindingState::Waived | FindingState::Mitigated | FindingState::NotAffected => "its exception's end opens it again".into(),
        FindingState::Fixed | FindingState::Removed | FindingState::Withdrawn => "it is closed".into(),
    }
}

/// The changes of one finding, oldest first, from the log of its host.
fn history(
    store: &dyn crate::store::StoreRead,
    host: &HostId,
    key: &FindingKey,
) -> Result<Vec<wire::FindingChange>, crate::store::StoreError> {
    let (mut next, mut changes) = (0, Vec::new());
    loop {
        let page = store.finding_log(host, next, MAX_PAGE)?;
        for entry in &page {
            next = entry.number + 1;
            let Some(batch) = store.finding_batch(&entry.batch)? else { continue };
            let damaged = |detail| crate::store::StoreError::Damaged { path: format!("findings of host {host}").into(), detail };
            for told in finding_log::read(&batch).map_err(damaged)?.into_iter().filter(|told| told.key == *key) {
                changes.push(wire::FindingChange {
                    at: show_time(Some(entry.at)),
                    from: told.from.map_or_else(String::new, |from| from.as_str().to_owned()),
                    to: told.finding.state.as_str().to_owned(),
                    evidence: told.finding.evidence,
                });
            }
        }
        if page.len() < MAX_PAGE {
            let old = changes.len().saturating_sub(HISTORY_MAX);
            return Ok(changes.split_off(old));
        }
    }
}

pub(super) async fn advisory(call: &Call, request: wire::AdvisoryRequest) -> Result<wire::AdvisoryDetail, Status> {
    let name = parsed("ADVISORY", AdvisoryId::parse(&request.advisory))?;
    call.app.assessor.ask(move |assessor| advisory_detail(assessor, &name)).await.map_err(gone)?
}

fn advisory_detail(assessor: &Assessor, name: &AdvisoryId) -> Result<wire::AdvisoryDetail, Status> {
    let records: Vec<Arc<Advisory>> = assessor.matcher().advisories().named(name).cloned().collect();
    if records.is_empty() {
        let hint = "hint: `patchwave feed list` shows which feeds are in use and how old they are";
        return Err(Status::not_found(format!("no feed in use has an advisory {name} ({hint})")));
    }
    let cves: BTreeSet<&AdvisoryId> = records.iter().flat_map(|record| record.cves()).collect();
    let kev = assessor.knowledge().kev.as_ref().and_then(|kev| cves.iter().find_map(|cve| kev.by_cve.get(*cve)));
    let filter = Filter {
        selector: Selector::default(),
        advisory: Some(name.clone()),
        package: None,
        states: BTreeSet::new(),
        severity: None,
        known_exploited: false,
        overdue: false,
        due_soon: false,
        all: true,
    };
    let mut counts = wire::FindingCount { key: name.to_string(), ..wire::FindingCount::default() };
    let (mut hosts, mut affected) = (BTreeSet::new(), BTreeMap::<(String, String, String), u32>::new());
    each(assessor, &filter, &mut |host, row, state| {
        add(&mut counts, &row, state);
        hosts.insert(host.record.id.clone());
        if !state.is_closed() {
            *affected.entry((row.package, row.installed, row.fixed)).or_default() += 1;
        }
        true
    });
    counts.hosts = hosts.len() as u32;
    Ok(wire::AdvisoryDetail {
        known_exploited_since: show_time(kev.map(|kev| kev.added)),
        ransomware: kev.is_some_and(|kev| kev.ransomware),
        required_action: kev.map_or_else(String::new, |kev| kev.action.clone()),
        epss: records.iter().map(|record| epss(assessor, record)).max().unwrap_or_default(),
        counts: Some(counts),
        affected: affected
            .into_iter()
            .map(|((package, version, fixed), hosts)| wire::PackageVersions { package, version, fixed, hosts })
            .collect(),
        records: records.iter().map(|record| record_view(assessor, record)).collect(),
    })
}

fn record_view(assessor: &Assessor, advisory: &Advisory) -> wire::AdvisoryRecord {
    wire::AdvisoryRecord {
        id: advisory.id.to_string(),
        aliases: advisory.aliases.iter().map(ToString::to_string).collect(),
        summary: advisory.summary.clone(),
        severity: advisory.severity().map_or("", Severity::as_str).to_owned(),
        vector: advisory.score().map_or_else(String::new, |(vector, _)| vector.to_string()),
        score: advisory.score().map_or_else(String::new, |(_, cvss)| cvss.score().to_string()),
        published: show_time(advisory.published),
        modified: show_time(advisory.modified),
        withdrawn: show_time(advisory.withdrawn),
        feeds: feeds_of(assessor, &advisory.id),
    }
}

//! Records to store in tests, and an engine whose commits a test can hold back.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use patchwave_common::domain::{
    Architecture, Blocked, Candidate, CandidateSet, Digest, FeedName, HostFacts, HostId, HostMode, InstallState, InstalledPackage,
    Inventory, Labels, Manager, Mark, OperatorName, Origin, PackageId, PackageName, PackageVersion, PolicyName, QuarantineKey, RolloutId,
    Timestamp, TokenId,
};

use super::embedded::Embedded;
use super::embedded::engine::{Engine, RowChange, Rows, Visit};
use super::embedded::keys::Table;
use super::memory::MemoryEngine;
use super::{Change, Result, Store, StoreError};
use crate::records::{
    Actor, AuditEntry, AuditOutcome, CertificateRecord, FeedContent, FeedKind, FeedRecord, FeedTry, FixKey, FixRecord, FleetEvent,
    HaltRecord, HostRecord, HostState, OperatorRecord, OperatorRole, PolicyRecord, QuarantineRecord, RolloutHead, Serial, Subject,
    TokenRecord,
};

pub(crate) const NOW: Timestamp = Timestamp(1_795_000_000_000);

pub(crate) fn host_id(text: &str) -> HostId {
    HostId::parse(text).unwrap()
}
pub(crate) fn rollout_id(text: &str) -> RolloutId {
    RolloutId::parse(text).unwrap()
}
pub(crate) fn token_id(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}
pub(crate) fn alice() -> Actor {
    Actor::Operator(OperatorName::parse("alice").unwrap())
}

pub(crate) fn host(id: &str) -> HostRecord {
    let labels = ["ring=test", "site=a"].into_iter().map(|pair| Labels::parse_pair(pair).unwrap());
    HostRecord {
        id: host_id(id),
        revision: 0,
        mode: HostMode::Managed,
        labels: Labels(labels.collect()),
        state: HostState::Active,
        enrolled_at: NOW,
        token: token_id("t1"),
        certificate: Serial::parse("ab01").unwrap(),
        replaces: None,
        facts: HostFacts {
            hostname: format!("{id}.example"),
            os: "debian".into(),
            cpus: 2,
            hold: Some("why".into()),
            ..HostFacts::default()
        },
        last_seen: Some(NOW),
        instance: None,
        clock_offset_ms: -3,
        inventory: None,
        candidates: None,
    }
}

pub(crate) fn token(id: &str, uses_limit: u32) -> TokenRecord {
    TokenRecord {
        id: token_id(id),
        secret_hash: Digest::of(id.as_bytes()),
        mode: HostMode::ReportOnly,
        labels: Labels::default(),
        uses: 0,
        uses_limit,
        created_at: NOW,
        created_by: Actor::Local,
        expires_at: Timestamp(NOW.0 + 1),
        revoked_at: None,
    }
}

pub(crate) fn operator(name: &str) -> OperatorRecord {
    OperatorRecord {
        name: OperatorName::parse(name).unwrap(),
        revision: 0,
        role: OperatorRole::Approver,
        created_at: NOW,
        created_by: Actor::Local,
        revoked_at: None,
        certificates: vec![Serial::parse("01").unwrap(), Serial::parse("02").unwrap()],
    }
}

pub(crate) fn policy(name: &str, toml: &str) -> PolicyRecord {
    PolicyRecord { name: PolicyName::parse(name).unwrap(), revision: 0, toml: toml.into(), by: alice(), at: NOW }
}

pub(crate) fn head(id: &str) -> RolloutHead {
    RolloutHead {
        id: rollout_id(id),
        policy: PolicyName::parse("web").unwrap(),
        policy_revision: 3,
        created_at: NOW,
        created_by: alice(),
        updated_at: NOW,
        state: "running".into(),
        reason: "waits for the test ring".into(),
        plan_root: Digest::of(b"plan"),
        kind: "update".into(),
        counts: BTreeMap::from([("healthy".into(), 3), ("pending".into(), 9)]),
        log_revision: 2,
    }
}

pub(crate) fn package(name: &str, version: &str) -> InstalledPackage {
    InstalledPackage {
        id: PackageId { name: PackageName::parse(name).unwrap(), architecture: Architecture::parse("amd64").unwrap() },
        version: PackageVersion::parse(version).unwrap(),
        source: PackageName::parse(name).unwrap(),
        source_version: PackageVersion::parse(version).unwrap(),
        state: InstallState::Installed,
        mark: Mark::Auto,
        held: false,
    }
}

pub(crate) fn inventory(packages: &[(&str, &str)]) -> Arc<Inventory> {
    Arc::new(Inventory::new(Manager::Dpkg, packages.iter().map(|(name, version)| package(name, version))))
}

pub(crate) fn candidates(names: &[&str]) -> Arc<CandidateSet> {
    let candidate = |name: &&str| Candidate {
        id: package(name, "1").id,
        from: PackageVersion::parse("1").unwrap(),
        to: PackageVersion::parse("2").unwrap(),
        source: PackageName::parse(name).unwrap(),
        source_version: PackageVersion::parse("2").unwrap(),
        origin: Origin { label: format!("Label of {}", name.len()), suite: "stable".into(), ..Origin::default() },
        sha256: Some(Digest::of(name.as_bytes())),
        size_bytes: 7,
        blocked: (name.len() > 4).then_some(Blocked::Pinned),
    };
    Arc::new(CandidateSet::new(names.iter().map(candidate).collect()))
}

pub(crate) fn quarantine(source: &str, origin: &str) -> QuarantineRecord {
    QuarantineRecord {
        key: QuarantineKey {
            manager: Manager::Dpkg,
            origin: origin.into(),
            source: PackageName::parse(source).unwrap(),
            version: PackageVersion::parse("2-1").unwrap(),
            architecture: Architecture::parse("amd64").unwrap(),
        },
        reason: "its check failed on 2 of 2 canaries".into(),
        rollout: Some(rollout_id("r-1")),
        since: NOW,
        lifted: None,
    }
}

pub(crate) fn halt(on: bool) -> HaltRecord {
    HaltRecord { on, by: alice(), reason: "fire".into(), at: NOW }
}

pub(crate) fn certificate(serial: &str) -> CertificateRecord {
    CertificateRecord {
        serial: Serial::parse(serial).unwrap(),
        subject: Subject::Host(host_id("h-1")),
        issued_at: NOW,
        not_after: Timestamp(NOW.0 + 9),
        revoked: None,
    }
}

pub(crate) fn audit(action: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: alice(),
        action: action.into(),
        subject: "r-1".into(),
        outcome: AuditOutcome::Done,
        detail: "as asked".into(),
    }
}

pub(crate) fn event(text: &str) -> Change {
    let event = FleetEvent { at: NOW, kind: "test".into(), host: Some(host_id("h-1")), rollout: None, text: text.into() };
    Change::AppendEvent(event)
}

pub(crate) fn feed_name(name: &str) -> FeedName {
    FeedName::parse(name).unwrap()
}

/// A feed with one segment of content.
pub(crate) fn feed(name: &str, generation: u64) -> FeedRecord {
    let content = FeedContent {
        generation,
        segments: 1,
        records: 3,
        dated: Some(Timestamp(7)),
        refreshed_at: NOW,
        added: 3,
        changed: 1,
        removed: 2,
        bad: 1,
        bad_shown: vec![("a.json".into(), "not a record".into())],
        validator: "\"abc\"".into(),
    };
    FeedRecord {
        name: feed_name(name),
        kind: FeedKind::Osv,
        source: "https://feeds.example/all.zip".into(),
        every: Duration::from_secs(3600),
        max_age: Duration::from_secs(86_400),
        added_by: alice(),
        added_at: NOW,
        configured: false,
        content: Some(content),
        last_try: Some(FeedTry { at: NOW, error: Some("cut off".into()) }),
    }
}

pub(crate) fn fix(source: &str, first_seen: i64) -> FixRecord {
    let key = FixKey {
        origin: "Debian/stable\0security".into(),
        source: PackageName::parse(source).unwrap(),
        version: PackageVersion::parse("2-1").unwrap(),
    };
    FixRecord { key, first_seen: Timestamp(first_seen) }
}

/// A store in memory whose reads fail while the switch is on.
pub(crate) fn store_with_failing_reads() -> (Arc<dyn Store>, Arc<AtomicBool>) {
    let engine = FailingReads::default();
    let switch = engine.fails.clone();
    (Arc::new(Embedded::open(engine, || Digest::of(b"id")).unwrap()), switch)
}

#[derive(Default)]
struct FailingReads {
    inner: MemoryEngine,
    fails: Arc<AtomicBool>,
}

impl FailingReads {
    fn check(&self) -> Result<()> {
        let error = || StoreError::Io { path: self.path().to_owned(), detail: "as the test asked".into() };
        if self.fails.load(Ordering::SeqCst) { Err(error()) } else { Ok(()) }
    }
}

impl Rows for FailingReads {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check()?;
        self.inner.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.check()?;
        self.inner.scan(from, to, visit)
    }
}

impl Engine for FailingReads {
    fn commit(&self, batch: Vec<RowChange>) -> Result<()> {
        self.inner.commit(batch)
    }
    fn reopen(&self) -> Result<()> {
        self.inner.reopen()
    }
    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        self.inner.snapshot()
    }
    fn path(&self) -> &Path {
        self.inner.path()
    }
}

/// Holds back the commits of a store in memory until it is opened, and notes how many events each commit brought.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    open: bool,
    events_by_commit: Vec<usize>,
}

impl Gate {
    pub(crate) fn shut() -> Self {
        Self::default()
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        // The first commit makes the store and is let through.
        self.0.0.lock().unwrap().open = true;
        let store = Embedded::open(GatedEngine { inner: MemoryEngine::default(), gate: self.clone() }, || Digest::of(b"id")).unwrap();
        *self.0.0.lock().unwrap() = GateState::default();
        Arc::new(store)
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }

    /// Blocks until a commit has begun.
    pub(crate) fn wait_for_a_commit(&self) {
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| state.events_by_commit.is_empty()).unwrap());
    }

    pub(crate) fn events_by_commit(&self) -> Vec<usize> {
        self.0.0.lock().unwrap().events_by_commit.clone()
    }
}

struct GatedEngine {
    inner: MemoryEngine,
    gate: Gate,
}

impl Rows for GatedEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.inner.scan(from, to, visit)
    }
}

impl Engine for GatedEngine {
    fn commit(&self, batch: Vec<RowChange>) -> Result<()> {
        let mut state = self.gate.0.0.lock().unwrap();
        state.events_by_commit.push(batch.iter().filter(|(key, _)| key.first() == Some(&(Table::Event as u8))).count());
        self.gate.0.1.notify_all();
        drop(self.gate.0.1.wait_while(state, |state| !state.open).unwrap());
        self.inner.commit(batch)
    }
    fn reopen(&self) -> Result<()> {
        self.inner.reopen()
    }
    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        self.inner.snapshot()
    }
    fn path(&self) -> &Path {
        self.inner.path()
    }
}

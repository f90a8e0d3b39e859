//! A controller on loopback that knows one caller of every kind.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{HostFacts, HostId, HostMode, Labels, OperatorName, Timestamp, TokenId};
use patchwave_common::runtime::clock::{Clock as _, ManualClock, SystemClock};
use patchwave_common::runtime::tls::{ClientTls, KeyRequest, certified_key, connect};
use rustls::sign::CertifiedKey;
use tonic::transport::Channel;

use crate::app::AppSettings;
use crate::conductor::ConductorSettings;
use crate::pki::{Authority, Issued, PkiFiles};
use crate::records::{Actor, HostRecord, HostState, OperatorRecord, OperatorRole, Revocation, Serial};
use crate::server::Server;
use crate::setup::{ControllerSettings, InitRequest, init, pki_dir, store_path};
use crate::store::{self, Change, Write};

pub const DAY: Duration = Duration::from_secs(86_400);
/// Far beyond what anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Every caller, by the name that the tests use.
pub const CALLERS: [&str; 18] = [
    "anonymous",
    "expired",
    "report-only",
    "managed",
    "viewer",
    "operator",
    "approver",
    "admin",
    // From here on: nobody, whatever the method.
    "long-expired",
    "revoked-host",
    "retired-host",
    "replaced-host",
    "cloned-host",
    "unknown-host",
    "revoked-operator",
    "expired-operator",
    "unknown-operator",
    "operator-named-like-a-host",
];

pub struct Controller {
    pub server: Server,
    pub clock: Arc<ManualClock>,
    pub url: String,
    authority: Authority,
    callers: Vec<(&'static str, Option<Arc<CertifiedKey>>)>,
    _state: tempfile::TempDir,
}

/// Makes certificates and the records that go with them.
struct Cast<'a> {
    authority: &'a Authority,
    now: Timestamp,
    changes: Vec<Change>,
    callers: Vec<(&'static str, Option<Arc<CertifiedKey>>)>,
}

impl Cast<'_> {
    fn ago(&self, days: u32) -> Timestamp {
        Timestamp(self.now.0 - i64::try_from((DAY * days).as_millis()).unwrap())
    }

    fn add(&mut self, caller: &'static str, issued: &Issued, key: &KeyRequest) -> Serial {
        let pair = certified_key(issued.chain_pem.as_bytes(), key.key_pem.as_bytes()).unwrap();
        self.callers.push((caller, Some(pair)));
        issued.record.serial.clone()
    }

    /// A host whose certificate is so many days old and lives for thirty.
    fn host(&mut self, caller: &'static str, days: u32, mode: HostMode, state: HostState) -> Serial {
        let serial = self.unknown_host(caller, days);
        self.changes.push(Change::PutHost(Box::new(HostRecord {
            id: HostId::parse(caller).unwrap(),
            revision: 0,
            mode,
            labels: Labels::default(),
            state,
            enrolled_at: self.now,
            token: TokenId::parse("t-1").unwrap(),
            certificate: serial.clone(),
            replaces: None,
            facts: HostFacts::default(),
            last_seen: None,
            instance: None,
            clock_offset_ms: 0,
            inventory: None,
            candidates: None,
        })));
        serial
    }

    fn unknown_host(&mut self, caller: &'static str, days: u32) -> Serial {
        let key = KeyRequest::new().unwrap();
        let issued = self.authority.issue_host(&key.request_der, &HostId::parse(caller).unwrap(), DAY * 30, self.ago(days)).unwrap();
        self.changes.push(Change::PutCertificate(issued.record.clone()));
        self.add(caller, &issued, &key)
    }

    fn operator(&mut self, caller: &'static str, days: u32, role: OperatorRole, revoked_at: Option<Timestamp>) {
        let serial = self.unknown_operator(caller, days);
        self.changes.push(Change::PutOperator(OperatorRecord {
            name: OperatorName::parse(caller).unwrap(),
            revision: 0,
            role,
            created_at: self.now,
            created_by: Actor::Local,
            revoked_at,
            certificates: vec![serial],
        }));
    }

    fn unknown_operator(&mut self, caller: &'static str, days: u32) -> Serial {
        let key = KeyRequest::new().unwrap();
        let name = OperatorName::parse(caller).unwrap();
        let issued = self.authority.issue_operator(&key.request_der, &name, DAY * 30, self.ago(days)).unwrap();
        self.changes.push(Change::PutCertificate(issued.record.clone()));
        self.add(caller, &issued, &key)
    }

    fn everybody(&mut self) {
        let (now, by) = (self.now, Actor::Local);
        self.callers.push(("anonymous", None));
        self.host("expired", 40, HostMode::Managed, HostState::Active);
        self.host("report-only", 1, HostMode::ReportOnly, HostState::Active);
        self.host("managed", 1, HostMode::Managed, HostState::Active);
        for role in OperatorRole::ALL {
            self.operator(role.as_str(), 1, role, None);
        }
        self.host("long-expired", 30 + 91, HostMode::Managed, HostState::Active);
        let revoked = self.host("revoked-host", 1, HostMode::Managed, HostState::Active);
        self.changes.push(Change::RevokeCertificate { serial: revoked, revocation: Revocation { at: now, reason: "stolen".into() } });
        self.host("retired-host", 1, HostMode::Managed, HostState::Retired { at: now, by: by.clone() });
        let with = HostId::parse("managed").unwrap();
        self.host("replaced-host", 1, HostMode::Managed, HostState::Replaced { with, at: now, by });
        self.host("cloned-host", 1, HostMode::Managed, HostState::Cloned { at: now, detail: "two".into() });
        self.unknown_host("unknown-host", 1);
        self.operator("revoked-operator", 1, OperatorRole::Admin, Some(now));
        self.operator("expired-operator", 31, OperatorRole::Admin, None);
        self.unknown_operator("unknown-operator", 1);
        // The host "managed" is known; no operator of that name is.
        let key = KeyRequest::new().unwrap();
        let issued = self.authority.issue_operator(&key.request_der, &OperatorName::parse("managed").unwrap(), DAY * 30, now).unwrap();
        self.add("operator-named-like-a-host", &issued, &key);
    }
}

impl Controller {
    /// Init, the cast, and a server.
    pub async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let state_dir = state.path().join("controller");
        let now = SystemClock::new().now();
        let request = InitRequest {
            state_dir: state_dir.clone(),
            trust_domain: "fleet".into(),
            names: vec!["localhost".into()],
            listen: ([127, 0, 0, 1], 0).into(),
            operator: OperatorName::parse("first").unwrap(),
            store: "redb".into(),
        };
        init(&request, now).unwrap();
        let authority = PkiFiles::new(&pki_dir(&state_dir)).load().unwrap();
        let mut cast = Cast { authority: &authority, now, changes: Vec::new(), callers: Vec::new() };
        cast.everybody();
        let Cast { changes, callers, .. } = cast;
        store::open("redb", &store_path(&state_dir, "redb")).unwrap().write(Write::new(changes)).unwrap();
        let settings = ControllerSettings {
            state_dir,
            listen: request.listen,
            names: request.names,
            store: request.store,
            app: AppSettings::default(),
            conductor: ConductorSettings::default(),
        };
        let clock = Arc::new(ManualClock::new(now));
        let server = Server::start_with_clock(settings, clock.clone()).await.unwrap();
        let url = format!("https://localhost:{}", server.address.port());
        Self { server, clock, url, authority, callers, _state: state }
    }

    pub fn tls(&self, key: Option<Arc<CertifiedKey>>) -> ClientTls {
        ClientTls::pinned(self.authority.certificate(), self.authority.trust_domain().clone(), key).unwrap()
    }

    /// A connection of one of [`CALLERS`].
    pub async fn connect_as(&self, caller: &str) -> Channel {
        let (_, key) = self.callers.iter().find(|(name, _)| *name == caller).unwrap();
        connect(&self.url, &self.tls(key.clone())).await.unwrap()
    }

    /// A host's certificate of the same trust domain, from an authority of somebody else's.
    pub fn foreign_key(&self) -> Arc<CertifiedKey> {
        let (foreign, _) = Authority::create(self.authority.trust_domain(), self.clock.now()).unwrap();
        let key = KeyRequest::new().unwrap();
        let id = HostId::parse("managed").unwrap();
        let issued = foreign.issue_host(&key.request_der, &id, DAY, self.clock.now()).unwrap();
        certified_key(issued.chain_pem.as_bytes(), key.key_pem.as_bytes()).unwrap()
    }
}

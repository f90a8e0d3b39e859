//! Enrolment and renewal against a controller in miniature, over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use patchwave_common::domain::{Digest, HostFacts, Timestamp};
use patchwave_common::runtime::clock::{Clock as _, ManualClock, SystemClock};
use patchwave_common::runtime::tls::{AcceptLimits, KeySlot, Peer, TrustDomain, accept, fingerprint, server_config};
use patchwave_proto::fleet::v1::agent_service_server::{AgentService, AgentServiceServer};
use patchwave_proto::fleet::v1::enrolment_service_server::{EnrolmentService, EnrolmentServiceServer};
use patchwave_proto::fleet::v1::{AgentMessage, ControllerMessage, EnrollRequest, EnrollResponse, RenewRequest, RenewResponse};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tonic::{Request, Response, Status};

use super::*;

const TOKEN: &str = "pw1.t-1.secret";
const HOUR: i64 = 3600;

/// How the controller in miniature behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    NamesAnotherHost,
    ShowsAnotherAuthority,
    Unavailable,
}

struct Miniature {
    authority: CertifiedIssuer<'static, KeyPair>,
    manner: Manner,
    renewals: AtomicU32,
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.subject_alt_names = vec![SanType::URI("spiffe://fleet".try_into().unwrap())];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(uri: &str, usage: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap());
    let now = SystemClock::new().now().0 / 1000;
    (params.not_before, params.not_after) = (at(now - HOUR), at(now + 30 * HOUR));
    params
}

impl Miniature {
    fn certify(&self, request: Vec<u8>, id: &str) -> String {
        let request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let params = leaf(&format!("spiffe://fleet/host/{id}"), ExtendedKeyUsagePurpose::ClientAuth);
        let own = params.signed_by(&request.public_key, &self.authority).unwrap().pem();
        own + &if self.manner == Manner::ShowsAnotherAuthority { issuer().pem() } else { self.authority.pem() }
    }
}

#[tonic::async_trait]
impl EnrolmentService for Shared {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        assert!(request.extensions().get::<Peer>().unwrap().certificate.is_none());
        let request = request.into_inner();
        if self.0.manner == Manner::Unavailable {
            return Err(Status::unavailable("the store is closing"));
        }
        if request.token != TOKEN {
            return Err(Status::permission_denied("the join token t-1 expired; hint: make a new one"));
        }
        let named = if self.0.manner == Manner::NamesAnotherHost { "h-2" } else { "h-1" };
        Ok(Response::new(EnrollResponse {
            host_id: "h-1".to_owned(),
            certificate_chain: self.0.certify(request.certificate_request, named),
            mode: "report-only".to_owned(),
            trust_domain: "fleet".to_owned(),
        }))
    }
}

#[tonic::async_trait]
impl AgentService for Shared {
    type SessionStream = tokio_stream::Empty<Result<ControllerMessage, Status>>;

    async fn session(&self, _: Request<tonic::Streaming<AgentMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let id = match &request.extensions().get::<Peer>().unwrap().certificate.as_ref().unwrap().identity {
            PeerIdentity::Host(id) => id.to_string(),
            other => panic!("{other}"),
        };
        self.0.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(RenewResponse { certificate_chain: self.0.certify(request.into_inner().certificate_request, &id) }))
    }
}

#[derive(Clone)]
struct Shared(Arc<Miniature>);

struct Controller {
    url: String,
    fingerprint: Digest,
    shared: Shared,
}

async fn controller(manner: Manner) -> Controller {
    let authority = issuer();
    let key = KeyPair::generate().unwrap();
    let server = leaf("spiffe://fleet/controller", ExtendedKeyUsagePurpose::ServerAuth).signed_by(&key, &authority).unwrap();
    let pair = certified_key((server.pem() + &authority.pem()).as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let clock = Arc::new(SystemClock::new());
    let domain = TrustDomain::parse("fleet").unwrap();
    let config = server_config(&authority.der().clone(), domain, KeySlot::new(Some(pair)), clock.clone()).unwrap();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", socket.local_addr().unwrap().port());
    let fingerprint = fingerprint(authority.der());
    let shared = Shared(Arc::new(Miniature { authority, manner, renewals: AtomicU32::new(0) }));
    let server = tonic::transport::Server::builder()
        .add_service(EnrolmentServiceServer::new(shared.clone()))
        .add_service(AgentServiceServer::new(shared.clone()))
        .serve_with_incoming(accept(socket, config, clock, AcceptLimits::for_this_process()));
    tokio::spawn(server);
    Controller { url, fingerprint, shared }
}

impl Controller {
    fn enrolment(&self) -> Enrolment {
        Enrolment { url: self.url.clone(), token: TOKEN.to_owned(), fingerprint: self.fingerprint, facts: HostFacts::default() }
    }
}

fn store() -> (tempfile::TempDir, IdentityStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = IdentityStore::new(&directory.path().join("state"));
    (directory, store)
}

#[tokio::test]
async fn enrolment_leaves_a_private_identity_that_loads_again() {
    let controller = controller(Manner::Honest).await;
    let (_directory, store) = store();
    assert!(matches!(store.load(), Err(HostIdentityError::NotEnrolled { .. })));
    let identity = enrol(&store, controller.enrolment()).await.unwrap();
    assert_eq!((identity.id.as_str(), identity.mode), ("h-1", HostMode::ReportOnly));
    let loaded = store.load().unwrap();
    assert_eq!((&loaded.id, &loaded.certificate, &loaded.url), (&identity.id, &identity.certificate, &controller.url));
    assert_eq!(loaded.authority.fingerprint, controller.fingerprint);
    assert_eq!(std::fs::metadata(store.path()).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn an_enrolled_host_does_not_enrol_again_and_a_damaged_identity_is_not_written_over() {
    let controller = controller(Manner::Honest).await;
    let (_directory, store) = store();
    enrol(&store, controller.enrolment()).await.unwrap();
    let error = enrol(&store, controller.enrolment()).await.unwrap_err().to_string();
    assert!(error.contains("enrolled already, as h-1") && error.contains("hint"), "{error}");

    let text = std::fs::read_to_string(store.path()).unwrap();
    std::fs::write(store.path(), &text[..text.len() / 2]).unwrap();
    let error = enrol(&store, controller.enrolment()).await.unwrap_err();
    assert!(matches!(error, HostIdentityError::Malformed { .. }) && !error.to_string().contains("PRIVATE"), "{error}");
}

#[tokio::test]
async fn a_refusal_a_wrong_fingerprint_and_a_dead_controller_leave_nothing_behind_and_say_why() {
    let controller = controller(Manner::Honest).await;
    let (_directory, store) = store();
    let error = enrol(&store, Enrolment { token: "pw1.t-1.old".to_owned(), ..controller.enrolment() }).await.unwrap_err();
    assert!(error.to_string().contains("expired; hint: make a new one") && !error.is_transient(), "{error}");

    let wrong = Digest::of(b"wrong");
    let error = enrol(&store, Enrolment { fingerprint: wrong, ..controller.enrolment() }).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&wrong.to_string()) && text.contains(&controller.fingerprint.to_string()) && !error.is_transient(), "{text}");

    let error = enrol(&store, Enrolment { url: "https://localhost:1".to_owned(), ..controller.enrolment() }).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("cannot reach localhost:1"), "{error}");
    assert!(!store.exists());
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_not_kept() {
    for manner in [Manner::NamesAnotherHost, Manner::ShowsAnotherAuthority, Manner::Unavailable] {
        let controller = controller(manner).await;
        let (_directory, store) = store();
        let error = enrol(&store, controller.enrolment()).await.unwrap_err();
        assert_eq!(error.is_transient(), manner == Manner::Unavailable, "{error}");
        assert!(!store.exists(), "{manner:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_when_two_thirds_are_over_and_not_before() {
    let controller = controller(Manner::Honest).await;
    let (_directory, store) = store();
    let identity = enrol(&store, controller.enrolment()).await.unwrap();
    let due = identity.certificate.renew_at();
    let clock = Arc::new(ManualClock::new(Timestamp(due.0 - 1)));
    let keeper = Keeper::new(store.clone(), identity.clone(), controller.url.clone(), clock.clone());
    let mut renewals = keeper.renewals();
    assert!(!keeper.renew_if_due().await.unwrap());
    assert!(!renewals.has_changed().unwrap());

    clock.set(due);
    assert!(keeper.renew_if_due().await.unwrap());
    renewals.changed().await.unwrap();
    let fresh = keeper.identity();
    assert_ne!(fresh.certificate.serial, identity.certificate.serial);
    assert_eq!((store.load().unwrap().certificate, fresh.id), (fresh.certificate.clone(), identity.id.clone()));
    // The connections of the identity from before present the new certificate: it is the one that the next renewal proves itself with.
    renew(&store, &identity, &controller.url).await.unwrap();
    assert_eq!(controller.shared.0.renewals.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_renewal_that_certifies_somebody_else_changes_nothing() {
    let honest = controller(Manner::Honest).await;
    let (_directory, store) = store();
    let identity = enrol(&store, honest.enrolment()).await.unwrap();
    let before = std::fs::read(store.path()).unwrap();
    let other = HostIdentity { id: HostId::parse("h-9").unwrap(), ..identity };
    let error = renew(&store, &other, &honest.url).await.unwrap_err().to_string();
    assert!(error.contains("certifies h-1 instead of h-9"), "{error}");
    assert_eq!(std::fs::read(store.path()).unwrap(), before);
}

#[tokio::test]
async fn a_running_agent_renews_by_itself_also_after_its_certificate_expired() {
    let controller = controller(Manner::Honest).await;
    let (_directory, store) = store();
    let identity = enrol(&store, controller.enrolment()).await.unwrap();
    let clock = Arc::new(ManualClock::new(identity.certificate.not_after.plus(Duration::from_secs(3600))));
    let keeper = Keeper::new(store, identity.clone(), controller.url.clone(), clock);
    assert!(keeper.expired());
    let mut renewals = keeper.renewals();
    let running = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.run().await }
    });
    tokio::time::timeout(Duration::from_secs(20), renewals.changed()).await.unwrap().unwrap();
    assert_ne!(keeper.identity().certificate.serial, identity.certificate.serial);
    running.abort();
}

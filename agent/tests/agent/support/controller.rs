//! A controller in miniature: it keeps inventories as the real one does and says what a test tells it to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use patchwave_common::domain::{
    CandidateSet, Digest, FromAgent, Generation, Hello, HostId, HostMode, Inventory, InventoryDelta, StopCause, ToAgent,
};
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use patchwave_common::runtime::tls::{
    AcceptLimits, KeySlot, Peer, PeerIdentity, TrustDomain, accept, certified_key, fingerprint, server_config,
};
use patchwave_proto::agent::{decode_from_agent, encode_to_agent};
use patchwave_proto::fleet::v1::agent_service_server::{AgentService, AgentServiceServer};
use patchwave_proto::fleet::v1::enrolment_service_server::{EnrolmentService, EnrolmentServiceServer};
use patchwave_proto::fleet::v1::{AgentMessage, ControllerMessage, EnrollRequest, EnrollResponse, RenewRequest, RenewResponse};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::PATIENCE;

const TOKEN: &str = "pw1.t-1.secret";
const HOUR: i64 = 3600;

/// How it behaves.
#[derive(Debug, Clone)]
pub struct Manner {
    pub mode: HostMode,
    /// First and last instant of certificates, in seconds from now.
    pub validity: (i64, i64),
    pub heartbeat: Duration,
    /// Ends every session with this.
    pub stop: Option<StopCause>,
    /// Says nothing after its welcome.
    pub mute: bool,
    /// How far its clock is ahead, in milliseconds.
    pub clock_ahead_ms: i64,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            mode: HostMode::Managed,
            validity: (-HOUR, 30 * HOUR),
            heartbeat: Duration::from_secs(1),
            stop: None,
            mute: false,
            clock_ahead_ms: 0,
        }
    }
}

/// What it knows.
#[derive(Default)]
pub struct State {
    pub manner: Manner,
    /// Everything heard, heartbeats aside.
    pub heard: Vec<FromAgent>,
    pub heartbeats: usize,
    pub inventory: Option<Inventory>,
    pub candidates: Option<CandidateSet>,
    pub renewals: usize,
    /// Serial number of the certificate of each session, in order.
    pub sessions: Vec<Vec<u8>>,
    stream: Option<mpsc::Sender<Result<ControllerMessage, Status>>>,
    leases: BTreeMap<Generation, ()>,
}

impl State {
    pub fn hellos(&self) -> Vec<&Hello> {
        self.heard.iter().filter_map(|heard| if let FromAgent::Hello(hello) = heard { Some(&**hello) } else { None }).collect()
    }

    pub fn deltas(&self) -> Vec<&InventoryDelta> {
        self.heard.iter().filter_map(|heard| if let FromAgent::Inventory(delta) = heard { Some(delta) } else { None }).collect()
    }

    pub fn progress(&self) -> Vec<String> {
        let name = |heard: &FromAgent| match heard {
            FromAgent::Progress { progress, .. } => {
                Some(format!("{progress:?}").split([' ', '{', '(']).next().unwrap_or_default().to_owned())
            }
            _ => None,
        };
        self.heard.iter().filter_map(name).collect()
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// Serves until dropped.
pub struct Controller {
    pub url: String,
    pub fingerprint: Digest,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

impl Controller {
    pub fn start(manner: Manner) -> Self {
        let authority = issuer();
        let key = KeyPair::generate().unwrap();
        let server = leaf("spiffe://fleet/controller", ExtendedKeyUsagePurpose::ServerAuth, (-HOUR, HOUR));
        let server = server.signed_by(&key, &authority).unwrap();
        let pair = certified_key((server.pem() + &authority.pem()).as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let clock = Arc::new(SystemClock::new());
        let domain = TrustDomain::parse("fleet").unwrap();
        let config = server_config(&authority.der().clone(), domain, KeySlot::new(Some(pair)), clock.clone()).unwrap();
        let fingerprint = fingerprint(authority.der());
        let state = Mutex::new(State { manner, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), authority });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let socket = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://localhost:{}", socket.local_addr().unwrap().port());
        let service = Service(Arc::clone(&shared));
        runtime.spawn(async move {
            let server = tonic::transport::Server::builder()
                .add_service(EnrolmentServiceServer::new(service.clone()))
                .add_service(AgentServiceServer::new(service));
            server.serve_with_incoming(accept(socket, config, clock, AcceptLimits::for_this_process())).await.unwrap();
        });
        Self { url, fingerprint, shared, _runtime: runtime }
    }

    pub fn token(&self) -> &'static str {
        TOKEN
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until `look` finds something.
    pub fn wait<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; heard: {:#?}", state.heard);
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn say(&self, message: &ToAgent) {
        let stream = self.state().stream.clone().expect("a stream is open");
        stream.blocking_send(Ok(encode_to_agent(message))).unwrap();
    }

    /// Ends the open stream as a crash would.
    pub fn cut(&self) {
        let stream = self.state().stream.take().expect("a stream is open");
        let _ = stream.blocking_send(Err(Status::unavailable("cut")));
    }
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.subject_alt_names = vec![SanType::URI("spiffe://fleet".try_into().unwrap())];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(uri: &str, usage: ExtendedKeyUsagePurpose, validity: (i64, i64)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    let now = SystemClock::new().now().0 / 1000;
    let at = |offset: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now + offset).unwrap());
    (params.not_before, params.not_after) = (at(validity.0), at(validity.1));
    params
}

#[derive(Clone)]
struct Service(Arc<Shared>);

impl Service {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock().unwrap());
        self.0.changed.notify_all();
        result
    }

    fn certify(&self, request: Vec<u8>) -> String {
        let validity = self.change(|state| state.manner.validity);
        let request = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let params = leaf("spiffe://fleet/host/h-1", ExtendedKeyUsagePurpose::ClientAuth, validity);
        params.signed_by(&request.public_key, &self.0.authority).unwrap().pem() + &self.0.authority.pem()
    }

    /// What the real controller answers, in small.
    fn answers(state: &mut State, message: &FromAgent) -> Vec<ToAgent> {
        match message {
            FromAgent::Hello(_) => {
                let clock = patchwave_common::domain::Timestamp(SystemClock::new().now().0 + state.manner.clock_ahead_ms);
                let host = HostId::parse("h-1").unwrap();
                let mut answers = vec![ToAgent::Welcome {
                    clock,
                    heartbeat: state.manner.heartbeat,
                    host,
                    mode: state.manner.mode,
                    reads_compressed: true,
                }];
                let inventory = state.inventory.as_ref().map(Inventory::digest);
                let candidates = state.candidates.as_ref().map(CandidateSet::digest);
                answers.push(ToAgent::InventoryAnswer { digest: inventory, need_full: inventory.is_none() });
                answers.push(ToAgent::CandidatesAnswer { digest: candidates, need_full: candidates.is_none() });
                if let Some(cause) = state.manner.stop {
                    answers.push(ToAgent::Stop { cause, detail: "ask Dana".to_owned() });
                }
                answers
            }
            FromAgent::Heartbeat { nonce: 0, .. } if !state.manner.mute => vec![ToAgent::Ping(0)],
            FromAgent::Inventory(delta) => match Inventory::apply(state.inventory.as_ref(), delta.clone()) {
                Ok(inventory) => {
                    let digest = Some(inventory.digest());
                    state.inventory = Some(inventory);
                    vec![ToAgent::InventoryAnswer { digest, need_full: false }]
                }
                Err(_) => vec![ToAgent::InventoryAnswer { digest: None, need_full: true }],
            },
            FromAgent::Candidates(set) => {
                state.candidates = Some(set.clone());
                vec![ToAgent::CandidatesAnswer { digest: Some(set.digest()), need_full: false }]
            }
            FromAgent::Progress { generation, progress: patchwave_common::domain::DirectiveProgress::Ready, question } => {
                state.leases.insert(*generation, ());
                vec![ToAgent::Lease(patchwave_common::domain::Lease { generation: *generation, valid_ms: 60_000, answers: *question })]
            }
            _ => vec![],
        }
    }

    async fn serve(self, mut heard: Streaming<AgentMessage>, say: mpsc::Sender<Result<ControllerMessage, Status>>) {
        while let Ok(Some(message)) = heard.message().await {
            let message = decode_from_agent(message).unwrap();
            let answers = self.change(|state| {
                let answers = Self::answers(state, &message);
                if matches!(message, FromAgent::Heartbeat { .. }) {
                    state.heartbeats += 1;
                } else {
                    state.heard.push(message);
                }
                answers
            });
            for answer in answers {
                if say.send(Ok(encode_to_agent(&answer))).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl EnrolmentService for Service {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        if request.token != TOKEN {
            return Err(Status::permission_denied("the join token t-1 expired; hint: make a new one with `patchwave token create`"));
        }
        let mode = self.change(|state| state.manner.mode).as_str().to_owned();
        let certificate_chain = self.certify(request.certificate_request);
        Ok(Response::new(EnrollResponse { host_id: "h-1".to_owned(), certificate_chain, mode, trust_domain: "fleet".to_owned() }))
    }
}

#[tonic::async_trait]
impl AgentService for Service {
    type SessionStream = ReceiverStream<Result<ControllerMessage, Status>>;

    async fn session(&self, request: Request<Streaming<AgentMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let certificate = request.extensions().get::<Peer>().unwrap().certificate.clone().unwrap();
        if certificate.expired_at(SystemClock::new().now()) {
            return Err(Status::unauthenticated("this certificate has expired and may only renew"));
        }
        let (say, said) = mpsc::channel(16);
        self.change(|state| {
            state.stream = Some(say.clone());
            state.sessions.push(certificate.serial.clone());
        });
        tokio::spawn(self.clone().serve(request.into_inner(), say));
        Ok(Response::new(ReceiverStream::new(said)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        let identity = request.extensions().get::<Peer>().unwrap().certificate.as_ref().unwrap().identity.clone();
        assert!(matches!(identity, PeerIdentity::Host(_)));
        self.change(|state| state.renewals += 1);
        Ok(Response::new(RenewResponse { certificate_chain: self.certify(request.into_inner().certificate_request) }))
    }
}

//! The demo's controller: made by `init`, run as a process of its own, spoken to as an operator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use patchwave::cli::context::{Context, Contexts};
use patchwave::setup::{InitRequest, init};
use patchwave_common::domain::OperatorName;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};
use patchwave_proto::operator::v1 as wire;
use tokio::process::Child;
use tonic::transport::Channel;
use wire::operator_service_client::OperatorServiceClient;

use super::place::Place;
use super::processes;

/// How long the controller may take to answer after its start: half a second as a rule, and a machine may be many times slower or busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Controller {
    client: OperatorServiceClient<Channel>,
    url: String,
    state_dir: PathBuf,
    contexts: PathBuf,
    /// Ends with the demo.
    _process: Child,
}

/// A join token, and what an agent needs to trust the controller.
pub(super) struct Token {
    pub(super) secret: String,
    pub(super) fingerprint: String,
}

impl Controller {
    /// Makes a fleet, starts its controller and connects as its first operator.
    pub(super) async fn start(place: &Place) -> anyhow::Result<Self> {
        let state_dir = place.path().join("controller");
        let listen = free_address()?;
        let made = init(
            &InitRequest {
                state_dir: state_dir.clone(),
                trust_domain: "demo.patchwave".into(),
                names: vec!["127.0.0.1".into(), "localhost".into()],
                listen,
                operator: OperatorName::parse("demo")?,
                store: "redb".into(),
            },
            SystemClock::new().now(),
        )?;
        let context = Context {
            url: made.url.clone(),
            authority: made.authority_pem,
            certificate: made.operator_chain_pem,
            key: made.operator_key_pem,
        };
        let contexts = place.folder("operator")?;
        let saved = Contexts::at(&contexts.join("patchwave"));
        saved.save("demo", &context)?;
        saved.select("demo")?;
        let mut command = processes::own(crate::AS_CONTROLLER)?;
        command.arg("serve").arg("--state-dir").arg(&state_dir);
        let mut process = processes::start(command, &place.path().join("controller.log"))?;
        let channel = connect(&context, &mut process, &place.path().join("controller.log")).await?;
        Ok(Self { client: OperatorServiceClient::new(channel), url: made.url, state_dir, contexts, _process: process })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// A client; clones share the connection.
    pub(super) fn client(&self) -> OperatorServiceClient<Channel> {
        self.client.clone()
    }

    pub(super) async fn token(&self, mode: &str, ring: &str, uses: u32) -> anyhow::Result<Token> {
        let request = wire::CreateTokenRequest { mode: mode.to_owned(), labels: vec![format!("ring={ring}")], ttl_ms: 3_600_000, uses };
        let made = self.client().create_token(request).await?.into_inner();
        Ok(Token { secret: made.secret, fingerprint: made.authority_fingerprint })
    }

    pub(super) async fn apply_policy(&self, toml: &str) -> anyhow::Result<()> {
        self.client().apply_policy(wire::ApplyPolicyRequest { toml: toml.to_owned() }).await?;
        Ok(())
    }

    pub(super) async fn hosts(&self) -> anyhow::Result<Vec<wire::Host>> {
        let mut rows = self.client().list_hosts(wire::ListHostsRequest::default()).await?.into_inner();
        let mut hosts = Vec::new();
        while let Some(host) = rows.message().await? {
            hosts.push(host);
        }
        Ok(hosts)
    }

    /// Asks until the answer is there; `what` says what was waited for if it does not come in time.
    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let waiting = async {
            loop {
                if let Some(found) = look(self).await? {
                    return Ok(found);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(limit, waiting).await.with_context(|| format!("waiting for {what} took more than {limit:?}"))?
    }

    /// How to reach it with the command line, as commands to type.
    pub(super) fn how_to_connect(&self) -> anyhow::Result<String> {
        let program = std::env::current_exe().context("finding this program")?;
        Ok(format!(
            "  export XDG_CONFIG_HOME={}\n  alias patchwave='{} {}'",
            self.contexts.display(),
            program.display(),
            crate::AS_CONTROLLER
        ))
    }
}

/// A loopback port that is free now.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).context("finding a free port")?;
    Ok(listener.local_addr()?)
}

async fn connect(context: &Context, process: &mut Child, log: &Path) -> anyhow::Result<Channel> {
    let trying = async {
        loop {
            if let Some(status) = process.try_wait()? {
                anyhow::bail!("the controller ended ({status}): {}", std::fs::read_to_string(log).unwrap_or_default());
            }
            match context.connect().await {
                Ok(channel) => return Ok(channel),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(START_TIMEOUT, trying)
        .await
        .with_context(|| format!("the controller did not answer: {}", std::fs::read_to_string(log).unwrap_or_default()))?
}

//! What both kinds of agent have: identity kept fresh, the session, the watch over the host, the status file, the word to systemd.

use std::sync::Arc;

use patchwave_common::domain::InstanceId;
use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::retry::Retry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::controller::Controller;
use super::notify::Notify;
use super::status_file::{self, AgentStatus};
use super::watch_host::HostWatch;
use super::{LOCAL_EVENTS, RunError, STATUS_PAUSE};
use crate::config::Settings;
use crate::identity::{HostIdentity, IdentityStore, Keeper};
use crate::session::acknowledged::AcknowledgedFiles;
use crate::session::contents::{Contents, ReadOnly};
use crate::session::hands::Hands;
use crate::session::protocol::{Event, Whoami};
use crate::session::status::{LinkState, SessionStatus};
use crate::session::task::{Session, SessionParts};

/// Everything but the hands.
pub struct Parts {
    settings: Settings,
    clock: Arc<dyn Clock>,
    url: String,
    keeper: Arc<Keeper>,
    contents: Contents,
    watch: HostWatch,
    local: mpsc::Receiver<Event>,
}

impl Parts {
    /// Makes them; nothing runs yet. Also returned: where others put events of the host.
    pub fn new(
        settings: Settings,
        store: IdentityStore,
        identity: HostIdentity,
        packages: ReadOnly,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, mpsc::Sender<Event>), RunError> {
        let url = settings.controller_url.clone().unwrap_or_else(|| identity.url.clone());
        let keeper = Keeper::new(store, identity, url.clone(), Arc::clone(&clock));
        let contents = Contents::new(packages.clone(), AcknowledgedFiles::open(&settings.state_dir)?);
        let (events, local) = mpsc::channel(LOCAL_EVENTS);
        let watch = HostWatch::new(packages, &settings, events.clone());
        Ok((Self { settings, clock, url, keeper, contents, watch, local }, events))
    }

    /// Starts everything, with these hands.
    pub async fn start<H: Hands>(self, hands: H, notify: &Arc<Notify>, tasks: &mut JoinSet<()>) -> Result<(), RunError> {
        let Self { settings, clock, url, keeper, contents, watch, local } = self;
        let status = watch::Sender::new(SessionStatus::new(contents.acknowledged()));
        let whoami = Whoami { instance: new_instance()?, agent_version: env!("CARGO_PKG_VERSION").to_owned(), features: hands.features() };
        let identity = keeper.identity();
        tracing::info!(
            host = %identity.id, mode = identity.mode.as_str(), controller = url, instance = %whoami.instance, version = whoami.agent_version,
            "the agent starts"
        );
        let account = Account {
            state_dir: settings.state_dir.clone(),
            notify: Arc::clone(notify),
            keeper: Arc::clone(&keeper),
            fixed: (whoami.instance.clone(), clock.now(), url.clone()),
        };
        tasks.spawn(account.keep(status.subscribe()));
        tasks.spawn(watchdog(Arc::clone(notify)));
        let facts = watch.facts().await;
        let session = Session::new(SessionParts {
            whoami,
            facts,
            contents,
            hands,
            dialer: Arc::new(Controller::new(Arc::clone(&keeper), url)),
            clock,
            local,
            status,
            renewed: keeper.renewals(),
            retry: Retry::within(settings.retry_within),
        });
        tasks.spawn(watch.run());
        tasks.spawn(async move { keeper.run().await });
        tasks.spawn(session.run());
        Ok(())
    }
}

/// Tells a reconnect of this process from a second running copy of the host.
fn new_instance() -> Result<InstanceId, RunError> {
    InstanceId::parse(format!("{:032x}", rand::random::<u128>())).map_err(|error| RunError::Start(std::io::Error::other(error)))
}

async fn watchdog(notify: Arc<Notify>) {
    match notify.watchdog_interval() {
        None => std::future::pending().await,
        Some(interval) => loop {
            notify.alive();
            tokio::time::sleep(interval).await;
        },
    }
}

/// Keeps the status file and systemd's line up to date.
struct Account {
    state_dir: std::path::PathBuf,
    notify: Arc<Notify>,
    keeper: Arc<Keeper>,
    fixed: (InstanceId, patchwave_common::domain::Timestamp, String),
}

impl Account {
    async fn keep(self, mut session: watch::Receiver<SessionStatus>) {
        let mut renewals = self.keeper.renewals();
        // Up means: reading and trying. A controller that is away must not keep a host's boot waiting.
        self.notify.ready("starting");
        loop {
            let status = self.status(session.borrow_and_update().clone());
            self.notify.status(&line(&status));
            let state_dir = self.state_dir.clone();
            let written = tokio::task::spawn_blocking(move || status_file::write(&state_dir, &status)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "the status file cannot be written");
            }
            tokio::time::sleep(STATUS_PAUSE).await;
            tokio::select! {
                changed = session.changed() => if changed.is_err() { return },
                Ok(()) = renewals.changed() => {}
            }
        }
    }

    fn status(&self, session: SessionStatus) -> AgentStatus {
        let identity = self.keeper.identity();
        let (instance, started, controller) = self.fixed.clone();
        AgentStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance,
            started,
            host: identity.id,
            mode: identity.mode,
            controller,
            certificate_until: identity.certificate.not_after,
            session,
        }
    }
}

/// One line for `systemctl status`.
fn line(status: &AgentStatus) -> String {
    match &status.session.link {
        LinkState::Connecting => format!("connecting to {}", status.controller),
        LinkState::Connected { .. } => format!("connected to {} as {} ({})", status.controller, status.host, status.mode.as_str()),
        LinkState::Waiting { why, .. } => format!("not connected: {why}"),
        LinkState::Stopped { why, .. } => format!("STOPPED BY THE CONTROLLER: {why}"),
    }
}

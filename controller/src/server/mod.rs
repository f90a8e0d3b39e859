//! `patchwave serve`: puts the parts together and listens. One TLS port carries agents, operators and metrics; there is no plaintext port.

mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use patchwave_common::runtime::clock::{Clock, SystemClock};
use patchwave_common::runtime::steady_clock::SteadyClock;
use patchwave_common::runtime::tls::{AcceptLimits, accept, server_config};
use tokio::net::TcpListener;

use crate::access::{AccessLayer, Directory, Refusals, record_refusals};
use crate::app::{App, Contents};
use crate::assessor::{self, AssessorParts, FindingSettings};
use crate::conductor::{self, ConductorParts};
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::pace::Paces;
use crate::pki::{PkiFiles, ServerCertificate, ServerNames};
use crate::refresh::Feeds;
use crate::services::{agent, enrolment, operator};
use crate::sessions::Sessions;
use crate::setup::{ControllerSettings, pki_dir, store_path};
use crate::store::{self, Change, StoreHandle, Write};

/// A controller that is up.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its parts.
    pub app: Arc<App>,
    stop: tokio::sync::oneshot::Sender<()>,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Opens the store, loads the fleet and every rollout, and listens.
    pub async fn start(settings: ControllerSettings) -> anyhow::Result<Self> {
        Self::start_with_clock(settings, Arc::new(SystemClock::new())).await
    }

    /// The same under another clock.
    pub async fn start_with_clock(settings: ControllerSettings, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let path = store_path(&settings.state_dir, &settings.store);
        if !path.exists() {
            anyhow::bail!(
                "there is no store at {} (hint: `patchwave init` makes one, `patchwave restore` brings back a backup)",
                path.display()
            );
        }
        let kind = settings.store.clone();
        let opened = tokio::task::spawn_blocking(move || store::open(&kind, &path)).await.context("opening the store")??;
        let store = StoreHandle::start(opened).context("starting the store's writer")?;
        let pki_files = PkiFiles::new(&pki_dir(&settings.state_dir));
        let authority = Arc::new(pki_files.load()?);
        let names = ServerNames::parse(&settings.names)?;
        let now = clock.now();
        let steady = Arc::new(SteadyClock::over(clock.clone()));
        let (certificate, issued) = ServerCertificate::open(&pki_files.server_path(), authority.clone(), names, now)?;
        if let Some(record) = issued {
            store.write(Write::new(vec![Change::PutCertificate(record)])).await?;
        }
        let certificate = Arc::new(certificate);

        let fleet = Arc::new(Fleet::new(now, settings.app.grace));
        let (loading, reader) = (fleet.clone(), store.clone());
        let directory = tokio::task::spawn_blocking(move || {
            loading.load(reader.store().as_ref())?;
            Directory::load(loading, reader.store().as_ref())
        });
        let directory = Arc::new(directory.await.context("loading the fleet")??);
        let (sessions, metrics) = (Arc::new(Sessions::default()), Arc::new(Metrics::default()));
        let parts = ConductorParts {
            store: store.clone(),
            fleet: fleet.clone(),
            sessions: sessions.clone(),
            clock: steady.clone(),
            metrics: metrics.clone(),
            settings: settings.conductor.clone(),
        };
        let conductor = conductor::start(parts).await?;
        let assessor = assessor::start(AssessorParts {
            store: store.clone(),
            fleet: fleet.clone(),
            conductor: conductor.clone(),
            clock: clock.clone(),
            settings: FindingSettings::default(),
        });
        let feeds = Arc::new(Feeds::new(store.clone(), assessor.clone(), clock.clone(), settings.state_dir.clone()));
        let app = Arc::new(App {
            store,
            fleet,
            sessions,
            clock: clock.clone(),
            steady,
            authority: authority.clone(),
            state_dir: settings.state_dir.clone(),
            directory,
            conductor,
            assessor,
            feeds,
            metrics,
            contents: Contents::default(),
            paces: Paces::default(),
            settings: settings.app.clone(),
        });
        Self::listen(app, &settings, certificate).await
    }

    async fn listen(app: Arc<App>, settings: &ControllerSettings, certificate: Arc<ServerCertificate>) -> anyhow::Result<Self> {
        let clock = app.clock.clone();
        let tls = server_config(app.authority.certificate(), app.authority.trust_domain().clone(), certificate.slot(), clock.clone())?;
        let listener = TcpListener::bind(settings.listen).await.with_context(|| {
            format!("cannot listen on {} (hint: is another controller running? see `listen` in controller.toml)", settings.listen)
        })?;
        let address = listener.local_addr()?;
        let incoming = accept(listener, tls, clock.clone(), AcceptLimits::for_this_process());
        app.metrics.listens(incoming.statistics());
        let routes = tonic::service::Routes::new(enrolment::service(app.clone()))
            .add_service(agent::service(app.clone()))
            .add_service(operator::service(app.clone()));
        let routes = tonic::service::Routes::from(routes.into_axum_router().merge(metrics::router(app.clone())));
        let (refusals, refused) = Refusals::new();
        let access = AccessLayer::new(app.directory.clone(), clock.clone(), refusals, app.metrics.clone());
        tokio::spawn(record_refusals(refused, app.store.clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tonic::transport::Server::builder()
            // HTTP/2 bounds: an agent has one stream, an operator a handful; a rapid-reset flood is cut off early.
            .max_concurrent_streams(Some(64))
            .http2_max_pending_accept_reset_streams(Some(32))
            .http2_keepalive_interval(Some(std::time::Duration::from_secs(60)))
            .http2_keepalive_timeout(Some(std::time::Duration::from_secs(20)))
            .layer(access.clone())
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, async {
                let _ = stopped.await;
            });
        let (fresh, record_to) = (certificate, app.store.clone());
        let renewal = tokio::spawn(async move {
            fresh
                .keep_fresh(clock, async move |record| record_to.write(Write::new(vec![Change::PutCertificate(record)])).await.map(drop))
                .await;
        });
        let guard = crate::revocation::guard(app.clone());
        let open_calls = tokio::spawn(async move { access.guard_open_calls().await });
        let refreshes = tokio::spawn(app.feeds.clone().keep_fresh());
        let closing = app.clone();
        let running = tokio::spawn(async move {
            let served = server.await;
            renewal.abort();
            guard.abort();
            open_calls.abort();
            refreshes.abort();
            closing.store.close().await;
            served.context("serving")
        });
        tracing::info!(%address, trust_domain = %app.authority.trust_domain(), fingerprint = %app.authority.fingerprint(), "serving");
        Ok(Self { address, app, stop, running })
    }

    /// Ends it: open streams are closed, what was acknowledged is on disk.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.app.sessions.close_all();
        match tokio::time::timeout(SHUTDOWN, self.running).await {
            Ok(ended) => ended.context("the server's task")?,
            // Streams that do not end are cut with the process; nothing is lost by that.
            Err(_) => Ok(()),
        }
    }
}

/// How long open calls may take to end.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, or until the store fails for good: then the next start finds out what is on disk.
pub async fn serve(settings: ControllerSettings) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(settings).await?;
    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = server.app.store.failed() => Some(error),
    };
    tracing::info!("shutting down");
    let stopped = server.stop().await;
    match failed {
        Some(error) => Err(anyhow::Error::new(error).context("the controller ends, since nothing more can be stored")),
        None => stopped,
    }
}

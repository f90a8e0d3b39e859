//! One agent's stream from hello to its end. What an agent says is checked, stored, then acknowledged; rollouts are the conductor's.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use patchwave_common::domain::{
    FromAgent, Hello, HostFacts, HostId, HostMode, Inventory, InventoryDelta, InventoryError, StopCause, Timestamp, ToAgent,
};
use patchwave_proto::agent::{decode_from_agent, encode_to_agent};
use patchwave_proto::fleet::v1 as wire;
use tonic::{Code, Status, Streaming};

use crate::app::App;
use crate::fleet::clock_is_off;
use crate::pace;
use crate::records::{FleetEvent, HostState, HostUpdate};
use crate::sessions::{Attached, Outbox, Reader, Session};
use crate::store::{Change, StoreError, Write};

/// A new stream says hello within this time, or it is none.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);
/// A stream that is silent for so many heartbeats is dead.
const SILENT_HEARTBEATS: u32 = 3;
/// A reader that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// What the agent is told, as its call's answer.
pub struct Answers(Reader);

impl Answers {
    pub(super) fn of(outbox: &Arc<Outbox>) -> Self {
        Self(outbox.read())
    }
}

impl tokio_stream::Stream for Answers {
    type Item = Result<wire::ControllerMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map(|message| message.map(|message| message.map(|message| encode_to_agent(&message))))
    }
}

/// Ends the answers with whoever fills them.
struct Closing(Arc<Outbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

/// Why a stream ends.
enum End {
    /// The agent or the network ended it.
    Gone,
    /// The agent broke the protocol.
    Protocol(String),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Serves one stream until it ends. What is done once or seldom is boxed: its memory would be held for as long as the stream is.
pub(super) async fn run(
    app: Arc<App>,
    host: HostId,
    mode: HostMode,
    peer: String,
    mut inbound: Streaming<wire::AgentMessage>,
    outbox: Arc<Outbox>,
) {
    let _closing = Closing(outbox.clone());
    let Some((mut stream, greeted)) = Box::pin(begin(app, host, mode, peer, &mut inbound, outbox)).await else { return };
    let end = match greeted {
        Ok(()) => stream.serve(&mut inbound).await,
        Err(end) => Err(end),
    };
    Box::pin(stream.finish(end)).await;
}

/// From the first word to the welcome; nothing where it did not come to a session.
async fn begin(
    app: Arc<App>,
    host: HostId,
    mode: HostMode,
    peer: String,
    inbound: &mut Streaming<wire::AgentMessage>,
    outbox: Arc<Outbox>,
) -> Option<(Stream, Result<(), End>)> {
    let message = match tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await {
        Ok(Ok(Some(message))) => decode_from_agent(message).map_err(|error| error.to_string()),
        Ok(Err(status)) => Err(unreadable(&status)?),
        _ => return None,
    };
    if let Some(pause) = message.as_ref().ok().and_then(|message| paced(&app, &host, pace::cost(message))) {
        tokio::time::sleep(pause).await;
    }
    let hello = match message {
        Ok(FromAgent::Hello(hello)) => hello,
        Ok(_) => return refuse(&outbox, "the first message must be a hello"),
        Err(error) => return refuse(&outbox, &error),
    };
    match app.sessions.attach(&host, hello.instance.clone(), peer.clone(), outbox.clone()).await {
        Attached::Yes(session) => {
            let stream = Stream { app, host, mode, session };
            let greeted = stream.greet(hello).await;
            Some((stream, greeted))
        }
        Attached::Cloned { other } => {
            cloned(&app, &host, &hello, &peer, &other, &outbox).await;
            None
        }
    }
}

/// Takes what a message or call costs out of the host's allowance; how long nothing more is to be read of it.
pub(super) fn paced(app: &App, host: &HostId, shares: i64) -> Option<Duration> {
    let pause = app.paces.take(host, shares, app.clock.boottime_ms(), app.settings.heartbeat)?;
    if pause.first {
        tracing::warn!(%host, "the host sends without pause; it is read more slowly from now on");
        app.metrics.slowed();
    }
    Some(pause.span)
}

/// What is wrong with a message that was not even a message, such as one that is too long; nothing where the connection broke.
fn unreadable(status: &Status) -> Option<String> {
    matches!(status.code(), Code::OutOfRange | Code::Internal).then(|| status.message().to_owned())
}

fn refuse<T>(outbox: &Outbox, detail: &str) -> Option<T> {
    outbox.end(Some(Status::invalid_argument(detail.to_owned())));
    None
}

/// Two running agents on one key: both are stopped and an operator is told (rule 25).
async fn cloned(app: &App, host: &HostId, hello: &Hello, peer: &str, other: &Session, outbox: &Outbox) {
    let at = app.clock.now();
    let detail = format!(
        "two running agents use the key of host {host}: instance {} at {} and instance {} at {peer} ({}). Both are stopped. \
         Retire the host (`patchwave host retire {host}`), run `patchwave-agent seal` on both machines and enrol each anew.",
        other.instance, other.peer, hello.instance, hello.facts.hostname
    );
    tracing::error!(%host, "{detail}");
    let state = HostState::Cloned { at, detail: detail.clone() };
    let changes = vec![
        Change::UpdateHost { host: host.clone(), update: HostUpdate::State(state.clone()) },
        Change::AppendEvent(FleetEvent { at, kind: "host-cloned".into(), host: Some(host.clone()), rollout: None, text: detail.clone() }),
    ];
    if let Err(error) = app.store.write(Write::new(changes)).await {
        tracing::error!(%host, %error, "the clone could not be recorded");
    }
    app.fleet.update_record(host, |record| record.state = state);
    app.sessions.stop(host, StopCause::Cloned, &detail);
    // Whether it still hears it or not: its certificate opens nothing any more.
    let _ = outbox.say(ToAgent::Stop { cause: StopCause::Cloned, detail }).await;
    app.conductor.world_changed();
}

struct Stream {
    app: Arc<App>,
    host: HostId,
    mode: HostMode,
    session: Arc<Session>,
}

impl Stream {
    async fn serve(&mut self, inbound: &mut Streaming<wire::AgentMessage>) -> Result<(), End> {
        let silence = self.app.settings.heartbeat * SILENT_HEARTBEATS;
        loop {
            let message = tokio::select! {
                biased;
                // What was queued before the close (why the stream ends) is still told.
                () = self.session.closed() => return Ok(()),
                message = tokio::time::timeout(silence, inbound.message()) => match message {
                    Ok(Ok(Some(message))) => decode_from_agent(message).map_err(|error| End::Protocol(error.to_string()))?,
                    Ok(Err(status)) => return Err(unreadable(&status).map_or(End::Gone, End::Protocol)),
                    Ok(Ok(None)) | Err(_) => return Err(End::Gone),
                },
            };
            let pause = paced(&self.app, &self.host, pace::cost(&message));
            match message {
                FromAgent::Heartbeat { clock, nonce } => self.heartbeat(clock, nonce).await?,
                other => Box::pin(self.take(other)).await?,
            }
            if let Some(pause) = pause {
                // Wakes this loop to look for itself: the wish to close is kept until somebody waits for it.
                let closed = Box::pin(tokio::time::timeout(pause, self.session.closed())).await;
                let _ = closed.inspect(|()| self.session.close());
            }
        }
    }

    /// A sign of life: costs no write, and wakes nobody.
    async fn heartbeat(&self, clock: Timestamp, nonce: u64) -> Result<(), End> {
        self.session.heard(nonce);
        let offset = clock.0.saturating_sub(self.app.clock.now().0);
        if self.app.fleet.note_clock(&self.host, offset) {
            Box::pin(self.tell_clock(offset)).await?;
        }
        // A heartbeat that answers a ping asks for nothing.
        if nonce == 0 { self.send(ToAgent::Ping(0)).await } else { Ok(()) }
    }

    /// Hello and welcome: records that the host is here, tells it what the controller has, and lets the conductor reconcile.
    async fn greet(&self, mut hello: Box<Hello>) -> Result<(), End> {
        let (at, clock) = (self.app.steady.now(), self.app.clock.now());
        let offset = hello.clock.0.saturating_sub(clock.0);
        let Hello { facts, agent_version, .. } = hello.as_mut();
        facts.agent_version.clone_from(agent_version);
        let seen = HostUpdate::Seen { at, instance: hello.instance.clone(), clock_offset_ms: offset };
        let mut changes = vec![Change::UpdateHost { host: self.host.clone(), update: seen }];
        let news = self.app.fleet.get(&self.host).is_none_or(|host| host.record.facts != hello.facts);
        if news {
            changes.push(Change::UpdateHost { host: self.host.clone(), update: HostUpdate::Facts(Box::new(hello.facts.clone())) });
        }
        self.app.store.write(Write::new(changes)).await?;
        if news {
            self.app.fleet.set_facts(&self.host, hello.facts.clone());
        }
        if self.app.fleet.note_clock(&self.host, offset) {
            self.tell_clock(offset).await?;
        }
        self.app.fleet.set_online(&self.host, true, at);
        self.send(ToAgent::Welcome {
            clock,
            heartbeat: self.app.settings.heartbeat,
            host: self.host.clone(),
            mode: self.mode,
            reads_compressed: true,
        })
        .await?;
        self.session.outbox.welcomed();
        let known = self.app.fleet.get(&self.host);
        let inventory = known.as_ref().and_then(|host| host.inventory.as_ref()).and(known.as_ref().and_then(|host| host.record.inventory));
        let candidates =
            known.as_ref().and_then(|host| host.candidates.as_ref()).and(known.as_ref().and_then(|host| host.record.candidates));
        self.send(ToAgent::InventoryAnswer { digest: inventory, need_full: inventory.is_none() }).await?;
        self.send(ToAgent::CandidatesAnswer { digest: candidates, need_full: candidates.is_none() }).await?;
        self.send(ToAgent::Quarantine(self.app.conductor.quarantine().into_iter().collect())).await?;
        tracing::info!(host = %self.host, instance = %hello.instance, "agent connected");
        self.app.metrics.connected();
        self.app.conductor.connected(self.host.clone(), hello).await;
        Ok(())
    }

    async fn take(&self, message: FromAgent) -> Result<(), End> {
        match message {
            FromAgent::Hello(_) => Err(End::Protocol("a second hello in one session".to_owned())),
            FromAgent::Heartbeat { clock, nonce } => self.heartbeat(clock, nonce).await,
            FromAgent::Inventory(delta) => self.inventory(delta).await,
            FromAgent::Candidates(set) => {
                let _place = self.app.contents.place(set.candidates.len()).await.ok_or(End::Gone)?;
                let digest = set.digest();
                let shared = Arc::new(set);
                let changes = vec![
                    Change::PutCandidates(shared.clone()),
                    Change::SetHostInventory { host: self.host.clone(), inventory: None, candidates: Some(digest) },
                ];
                self.app.store.write(Write::new(changes)).await?;
                self.app.fleet.set_candidates(&self.host, shared);
                self.send(ToAgent::CandidatesAnswer { digest: Some(digest), need_full: false }).await
            }
            FromAgent::Facts(facts) => self.facts(*facts).await,
            FromAgent::Stage { rollout, result } => {
                self.app.conductor.staged(self.host.clone(), rollout, result).await;
                Ok(())
            }
            FromAgent::Progress { generation, progress, question } => {
                self.session.asked(question);
                self.app.conductor.progress(self.host.clone(), generation, progress).await;
                Ok(())
            }
        }
    }

    async fn inventory(&self, delta: InventoryDelta) -> Result<(), End> {
        let fleet = &self.app.fleet;
        // Many hosts make the same step; what another host has need not be put together again.
        let inventory = match fleet.known_inventory(&delta.digest) {
            Some(known) => known,
            None => {
                // Each that is put together, stored and waited for takes memory; the others wait as they came, which is less.
                let base = fleet.get(&self.host).and_then(|host| host.inventory.clone());
                let packages = base.as_ref().map_or(0, |base| base.len()) + delta.changed.len() + delta.removed.len();
                let _place = self.app.contents.place(packages).await.ok_or(End::Gone)?;
                match Inventory::apply(base.as_deref(), delta) {
                    Ok(inventory) => return self.keep(fleet.shared_inventory(inventory)).await,
                    Err(error @ InventoryError::TooMany(_)) => return Err(End::Protocol(error.to_string())),
                    Err(error) => {
                        tracing::info!(host = %self.host, %error, "asking for the full inventory");
                        return self.send(ToAgent::InventoryAnswer { digest: None, need_full: true }).await;
                    }
                }
            }
        };
        self.keep(inventory).await
    }

    /// Stores an inventory, then says so.
    async fn keep(&self, inventory: Arc<Inventory>) -> Result<(), End> {
        let digest = inventory.digest();
        let changes = vec![
            Change::PutInventory(inventory.clone()),
            Change::SetHostInventory { host: self.host.clone(), inventory: Some(digest), candidates: None },
        ];
        self.app.store.write(Write::new(changes)).await?;
        self.app.fleet.set_inventory(&self.host, inventory);
        self.send(ToAgent::InventoryAnswer { digest: Some(digest), need_full: false }).await
    }

    async fn facts(&self, facts: HostFacts) -> Result<(), End> {
        if self.app.fleet.get(&self.host).is_some_and(|host| host.record.facts == facts) {
            return Ok(());
        }
        let update = HostUpdate::Facts(Box::new(facts.clone()));
        self.app.store.write(Write::new(vec![Change::UpdateHost { host: self.host.clone(), update }])).await?;
        self.app.fleet.set_facts(&self.host, facts);
        self.app.conductor.world_changed();
        Ok(())
    }

    /// The clock's offset crossed the tolerance: that is told to people and to the rollouts (rule 28).
    async fn tell_clock(&self, offset_ms: i64) -> Result<(), End> {
        let (kind, text) = if clock_is_off(offset_ms) {
            let text = format!(
                "the clock of host {} is {} s off; it gets no order until that is mended (hint: check its time synchronisation)",
                self.host,
                offset_ms / 1000
            );
            ("clock-off", text)
        } else {
            ("clock-right", format!("the clock of host {} is right again", self.host))
        };
        let event = FleetEvent { at: self.app.clock.now(), kind: kind.into(), host: Some(self.host.clone()), rollout: None, text };
        self.app.store.write(Write::new(vec![Change::AppendEvent(event)])).await?;
        self.app.conductor.world_changed();
        Ok(())
    }

    async fn send(&self, message: ToAgent) -> Result<(), End> {
        match tokio::time::timeout(SEND_TIMEOUT, self.session.outbox.say(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn finish(self, end: Result<(), End>) {
        match end {
            Ok(()) | Err(End::Gone) => tracing::info!(host = %self.host, "agent disconnected"),
            Err(End::Protocol(detail)) => {
                tracing::warn!(host = %self.host, %detail, "the agent broke the protocol");
                self.session.outbox.end(Some(Status::invalid_argument(detail)));
            }
            Err(End::Store(error)) => {
                tracing::error!(host = %self.host, %error, "the session ends: its report could not be stored");
                self.session.outbox.end(Some(Status::unavailable("the controller could not store the report")));
            }
        }
        if self.app.sessions.detach(&self.host, self.session.epoch) {
            let at: Timestamp = self.app.steady.now();
            self.app.fleet.set_online(&self.host, false, at);
            self.app.metrics.disconnected();
            let offset = self.app.fleet.get(&self.host).map_or(0, |host| host.record.clock_offset_ms);
            let seen = HostUpdate::Seen { at, instance: self.session.instance.clone(), clock_offset_ms: offset };
            if let Err(error) = self.app.store.write(Write::new(vec![Change::UpdateHost { host: self.host.clone(), update: seen }])).await {
                tracing::error!(host = %self.host, %error, "the end of the session could not be recorded");
            }
            self.app.conductor.disconnected(self.host.clone()).await;
        }
    }
}

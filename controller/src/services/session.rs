//! One agent's stream from hello to its end. What an agent says is checked, stored, then acknowledged; rollouts are the conductor's.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{FromAgent, Hello, HostFacts, HostId, HostMode, Inventory, InventoryDelta, StopCause, Timestamp, ToAgent};
use patchwave_proto::agent::{decode_from_agent, encode_to_agent};
use patchwave_proto::fleet::v1 as wire;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::app::App;
use crate::fleet::clock_is_off;
use crate::records::{FleetEvent, HostState, HostUpdate};
use crate::sessions::{Attached, Session};
use crate::store::{Change, StoreError, Write};

/// A new stream says hello within this time, or it is none.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);
/// A stream that is silent for so many heartbeats is dead.
const SILENT_HEARTBEATS: u32 = 3;
/// A reader that takes nothing for this long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

type Outbound = mpsc::Sender<Result<wire::ControllerMessage, Status>>;

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

/// Serves one stream until it ends.
pub(super) async fn run(
    app: Arc<App>,
    host: HostId,
    mode: HostMode,
    peer: String,
    mut inbound: Streaming<wire::AgentMessage>,
    outbound: Outbound,
) {
    let hello = match tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await {
        Ok(Ok(Some(message))) => decode_from_agent(message),
        _ => return,
    };
    let hello = match hello {
        Ok(FromAgent::Hello(hello)) => hello,
        Ok(_) => return refuse(&outbound, "the first message must be a hello").await,
        Err(error) => return refuse(&outbound, &error.to_string()).await,
    };
    let (session, messages) = match app.sessions.attach(&host, hello.instance.clone(), peer.clone()).await {
        Attached::Yes(session, messages) => (session, messages),
        Attached::Cloned { other } => return cloned(&app, &host, &hello, &peer, &other, &outbound).await,
    };
    let mut stream = Stream { app: app.clone(), host: host.clone(), mode, session, outbound };
    let end = stream.serve(*hello, &mut inbound, messages).await;
    stream.finish(end).await;
}

async fn refuse(outbound: &Outbound, detail: &str) {
    let _ = outbound.send(Err(Status::invalid_argument(detail.to_owned()))).await;
}

/// Two running agents on one key: both are stopped and an operator is told (rule 25).
async fn cloned(app: &App, host: &HostId, hello: &Hello, peer: &str, other: &Session, outbound: &Outbound) {
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
    let _ = outbound.send(Ok(encode_to_agent(&ToAgent::Stop { cause: StopCause::Cloned, detail }))).await;
    app.conductor.world_changed();
}

struct Stream {
    app: Arc<App>,
    host: HostId,
    mode: HostMode,
    session: Arc<Session>,
    outbound: Outbound,
}

impl Stream {
    async fn serve(
        &mut self,
        hello: Hello,
        inbound: &mut Streaming<wire::AgentMessage>,
        mut messages: mpsc::Receiver<ToAgent>,
    ) -> Result<(), End> {
        self.greet(hello).await?;
        let silence = self.app.settings.heartbeat * SILENT_HEARTBEATS;
        loop {
            tokio::select! {
                biased;
                () = self.session.closed() => {
                    // What was queued before the close (why the stream ends) is still told.
                    while let Ok(message) = messages.try_recv() {
                        self.send(&message).await?;
                    }
                    return Ok(());
                }
                message = messages.recv() => match message {
                    Some(message) => self.send(&message).await?,
                    None => return Ok(()),
                },
                message = tokio::time::timeout(silence, inbound.message()) => match message {
                    Ok(Ok(Some(message))) => {
                        let message = decode_from_agent(message).map_err(|error| End::Protocol(error.to_string()))?;
                        self.take(message).await?;
                    }
                    Ok(Ok(None) | Err(_)) | Err(_) => return Err(End::Gone),
                },
            }
        }
    }

    /// Hello and welcome: records that the host is here, tells it what the controller has, and lets the conductor reconcile.
    async fn greet(&mut self, hello: Hello) -> Result<(), End> {
        let at = self.app.clock.now();
        let offset = hello.clock.0.saturating_sub(at.0);
        let mut facts = hello.facts.clone();
        facts.agent_version.clone_from(&hello.agent_version);
        let seen = HostUpdate::Seen { at, instance: hello.instance.clone(), clock_offset_ms: offset };
        let mut changes = vec![Change::UpdateHost { host: self.host.clone(), update: seen }];
        let known = self.app.fleet.get(&self.host);
        if known.as_ref().is_none_or(|host| host.record.facts != facts) {
            changes.push(Change::UpdateHost { host: self.host.clone(), update: HostUpdate::Facts(Box::new(facts.clone())) });
        }
        self.app.store.write(Write::new(changes)).await?;
        self.app.fleet.set_facts(&self.host, facts);
        self.note_clock(offset).await?;
        self.app.fleet.set_online(&self.host, true, at);
        self.send(&ToAgent::Welcome { clock: at, heartbeat: self.app.settings.heartbeat, host: self.host.clone(), mode: self.mode })
            .await?;
        let known = self.app.fleet.get(&self.host);
        let inventory = known.as_ref().and_then(|host| host.inventory.as_ref()).and(known.as_ref().and_then(|host| host.record.inventory));
        let candidates =
            known.as_ref().and_then(|host| host.candidates.as_ref()).and(known.as_ref().and_then(|host| host.record.candidates));
        self.send(&ToAgent::InventoryAnswer { digest: inventory, need_full: inventory.is_none() }).await?;
        self.send(&ToAgent::CandidatesAnswer { digest: candidates, need_full: candidates.is_none() }).await?;
        self.send(&ToAgent::Quarantine(self.app.conductor.quarantine().into_iter().collect())).await?;
        tracing::info!(host = %self.host, instance = %hello.instance, "agent connected");
        self.app.metrics.connected();
        self.app.conductor.connected(self.host.clone(), hello).await;
        Ok(())
    }

    async fn take(&mut self, message: FromAgent) -> Result<(), End> {
        match message {
            FromAgent::Hello(_) => Err(End::Protocol("a second hello in one session".to_owned())),
            FromAgent::Heartbeat { clock, nonce } => {
                self.session.heard(nonce);
                let offset = clock.0.saturating_sub(self.app.clock.now().0);
                self.note_clock(offset).await?;
                if nonce == 0 {
                    // Asks for nothing: it tells the agent that somebody is here.
                    self.send(&ToAgent::Ping(0)).await?;
                }
                Ok(())
            }
            FromAgent::Inventory(delta) => self.inventory(delta).await,
            FromAgent::Candidates(set) => {
                let digest = set.digest();
                let shared = Arc::new(set);
                let changes = vec![
                    Change::PutCandidates(shared.clone()),
                    Change::SetHostInventory { host: self.host.clone(), inventory: None, candidates: Some(digest) },
                ];
                self.app.store.write(Write::new(changes)).await?;
                self.app.fleet.set_candidates(&self.host, shared.as_ref().clone());
                self.send(&ToAgent::CandidatesAnswer { digest: Some(digest), need_full: false }).await
            }
            FromAgent::Facts(facts) => self.facts(*facts).await,
            FromAgent::Stage { rollout, result } => {
                self.app.conductor.staged(self.host.clone(), rollout, result).await;
                Ok(())
            }
            FromAgent::Progress { generation, progress } => {
                self.app.conductor.progress(self.host.clone(), generation, progress).await;
                Ok(())
            }
        }
    }

    async fn inventory(&mut self, delta: InventoryDelta) -> Result<(), End> {
        let base = self.app.fleet.get(&self.host).and_then(|host| host.inventory.clone());
        let inventory = match Inventory::apply(base.as_deref(), delta) {
            Ok(inventory) => Arc::new(inventory),
            Err(error) => {
                tracing::info!(host = %self.host, %error, "asking for the full inventory");
                return self.send(&ToAgent::InventoryAnswer { digest: None, need_full: true }).await;
            }
        };
        let digest = inventory.digest();
        let changes = vec![
            Change::PutInventory(inventory.clone()),
            Change::SetHostInventory { host: self.host.clone(), inventory: Some(digest), candidates: None },
        ];
        self.app.store.write(Write::new(changes)).await?;
        self.app.fleet.set_inventory(&self.host, inventory.as_ref().clone());
        self.send(&ToAgent::InventoryAnswer { digest: Some(digest), need_full: false }).await
    }

    async fn facts(&mut self, facts: HostFacts) -> Result<(), End> {
        if self.app.fleet.get(&self.host).is_some_and(|host| host.record.facts == facts) {
            return Ok(());
        }
        let update = HostUpdate::Facts(Box::new(facts.clone()));
        self.app.store.write(Write::new(vec![Change::UpdateHost { host: self.host.clone(), update }])).await?;
        self.app.fleet.set_facts(&self.host, facts);
        self.app.conductor.world_changed();
        Ok(())
    }

    /// Keeps the clock's offset; crossing the tolerance either way is told to people and to the rollouts (rule 28).
    async fn note_clock(&self, offset_ms: i64) -> Result<(), End> {
        let before = self.app.fleet.get(&self.host).map_or(0, |host| host.record.clock_offset_ms);
        self.app.fleet.update_record(&self.host, |record| record.clock_offset_ms = offset_ms);
        if clock_is_off(before) == clock_is_off(offset_ms) {
            return Ok(());
        }
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

    async fn send(&self, message: &ToAgent) -> Result<(), End> {
        match tokio::time::timeout(SEND_TIMEOUT, self.outbound.send(Ok(encode_to_agent(message)))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    async fn finish(self, end: Result<(), End>) {
        match end {
            Ok(()) | Err(End::Gone) => tracing::info!(host = %self.host, "agent disconnected"),
            Err(End::Protocol(detail)) => {
                tracing::warn!(host = %self.host, %detail, "the agent broke the protocol");
                refuse(&self.outbound, &detail).await;
            }
            Err(End::Store(error)) => {
                tracing::error!(host = %self.host, %error, "the session ends: its report could not be stored");
                let _ = self.outbound.send(Err(Status::unavailable("the controller could not store the report"))).await;
            }
        }
        if self.app.sessions.detach(&self.host, self.session.epoch) {
            let at: Timestamp = self.app.clock.now();
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

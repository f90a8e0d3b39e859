//! The thin task around the core: links, timers, queues and the reading of contents. It decides nothing about messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{FromAgent, HostFacts, StopCause};
use patchwave_common::runtime::atomic_file::FileError;
use patchwave_common::runtime::clock::Clock;
use patchwave_common::runtime::retry::Retry;
use patchwave_proto::agent::{compressed, encode_from_agent};
use patchwave_proto::fleet::v1::AgentMessage;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::contents::Contents;
use super::hands::Hands;
use super::link::{Closed, ClosedKind, Dial, Link, LinkEvent};
use super::pause::{Ending, LASTED_MS, pause};
use super::protocol::{At, Command, Event, HangUp, Protocol, Whoami};
use super::status::SessionStatus;
use crate::packages::PackageError;

/// Messages that wait for the stream. A directive's whole progress, every staging result and some heartbeats fit; a controller that reads
/// so slowly that they do not is as good as gone, and the next hello says everything again.
const MAX_OUTBOX: usize = 256;
/// Pause before contents that could not be read are tried again: what breaks them (a transaction, a full disk) lasts about so long.
const FAILED_CONTENT_PAUSE: Duration = Duration::from_secs(60);
/// How long to sleep where nothing is due; any event wakes the task before.
const LONG: Duration = Duration::from_secs(3600);

/// What a session is made of.
pub struct SessionParts<H, D> {
    /// This run of the agent.
    pub whoami: Whoami,
    /// Facts as read at the start.
    pub facts: HostFacts,
    /// The packages, to be looked at.
    pub contents: Contents,
    /// What carries instructions out.
    pub hands: H,
    /// What reaches the controller.
    pub dialer: Arc<D>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What happens on the host. Its senders wait when it is full.
    pub local: mpsc::Receiver<Event>,
    /// Where the session tells how it is.
    pub status: watch::Sender<SessionStatus>,
    /// Changes when the host has a new certificate.
    pub renewed: watch::Receiver<u64>,
    /// Pauses between tries.
    pub retry: Retry,
}

/// A running session.
pub struct Session<H, D> {
    protocol: Protocol,
    contents: Contents,
    hands: H,
    dialer: Arc<D>,
    clock: Arc<dyn Clock>,
    local: mpsc::Receiver<Event>,
    status: watch::Sender<SessionStatus>,
    renewed: watch::Receiver<u64>,
    retry: Retry,
    link: Option<Link>,
    outbox: VecDeque<FromAgent>,
    jobs: JoinSet<Vec<Event>>,
    refreshing: bool,
    try_at: Instant,
    up_since_ms: Option<u64>,
}

/// What woke the task.
enum Woken {
    Local(Option<Event>),
    Link(LinkEvent),
    Jobs(Vec<Event>),
    Renewed,
    Said,
    Due,
}

impl<H: Hands, D: Dial> Session<H, D> {
    /// A session that has not begun.
    #[must_use]
    pub fn new(parts: SessionParts<H, D>) -> Self {
        let acknowledged = parts.contents.acknowledged();
        Self {
            protocol: Protocol::new(parts.whoami, parts.facts, acknowledged.inventory, acknowledged.candidates),
            contents: parts.contents,
            hands: parts.hands,
            dialer: parts.dialer,
            clock: parts.clock,
            local: parts.local,
            status: parts.status,
            renewed: parts.renewed,
            retry: parts.retry,
            link: None,
            outbox: VecDeque::new(),
            jobs: JoinSet::new(),
            refreshing: false,
            try_at: Instant::now(),
            up_since_ms: None,
        }
    }

    /// Runs until every sender of local events is gone. To end it at once, drop the future: nothing that it does needs to be finished.
    pub async fn run(mut self) {
        loop {
            if self.link.is_none() && Instant::now() >= self.try_at {
                self.link = Some(Link::open(Arc::clone(&self.dialer)));
            }
            match self.wait().await {
                Woken::Local(None) => return,
                Woken::Local(Some(event)) => self.handle(event).await,
                Woken::Jobs(events) => {
                    for event in events {
                        self.handle(event).await;
                    }
                }
                Woken::Link(LinkEvent::Open) => {
                    // The hello comes first.
                    self.outbox.clear();
                    let carried = self.hands.connected().await;
                    self.handle(Event::Connected { directive: carried.directive, newest: carried.newest }).await;
                }
                Woken::Link(LinkEvent::Heard(message)) => self.handle(Event::Heard(message)).await,
                Woken::Link(LinkEvent::Closed(closed)) => self.link_closed(closed).await,
                Woken::Renewed => self.link_anew().await,
                Woken::Said => {}
                Woken::Due => self.handle(Event::Tick).await,
            }
        }
    }

    /// Waits for whatever comes first. Each arm is cancel-safe: nothing is taken that is not returned.
    async fn wait(&mut self) -> Woken {
        let wake = self.sleep_for();
        let (say, events) = match self.link.as_mut() {
            Some(link) => (Some(link.say.clone()), Some(&mut link.events)),
            None => (None, None),
        };
        let (outbox, may_compress) = (&mut self.outbox, self.protocol.may_compress());
        tokio::select! {
            biased;
            event = hear(events) => Woken::Link(event),
            permit = room(say), if !outbox.is_empty() => {
                if let Some(message) = outbox.pop_front() {
                    let message = encode_from_agent(&message);
                    permit.send(if may_compress { compressed(message) } else { message });
                }
                Woken::Said
            }
            Some(done) = self.jobs.join_next() => Woken::Jobs(done.unwrap_or_default()),
            Ok(()) = self.renewed.changed() => Woken::Renewed,
            event = self.local.recv() => Woken::Local(event),
            () = tokio::time::sleep(wake) => Woken::Due,
        }
    }

    fn sleep_for(&self) -> Duration {
        if self.link.is_none() {
            return self.try_at.saturating_duration_since(Instant::now());
        }
        let now = self.clock.boottime_ms();
        self.protocol.wake_ms().map_or(LONG, |at| Duration::from_millis(at.saturating_sub(now))).min(LONG)
    }

    async fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let at = At { boottime_ms: self.clock.boottime_ms(), wall: self.clock.now() };
            if matches!(event, Event::ArchiveRefreshed) {
                self.refreshing = false;
            }
            for command in self.protocol.handle(at, event) {
                events.extend(self.obey(command).await);
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Vec<Event> {
        match command {
            Command::Send(message) => return self.say(message),
            Command::PrepareInventory { base } => {
                let contents = self.contents.clone();
                let read = move || contents.inventory_since(base).map(Event::InventoryReady);
                self.prepare("inventory", read, || vec![Event::InventoryFailed, Event::InventoryChanged(None)]);
            }
            Command::PrepareCandidates => {
                let contents = self.contents.clone();
                let read = move || contents.candidates().map(Event::CandidatesReady);
                self.prepare("candidates", read, || vec![Event::CandidatesFailed, Event::CandidatesChanged]);
            }
            Command::KeepInventory(digest) => self.acknowledged("inventory", move |contents| contents.acknowledge_inventory(digest)).await,
            Command::KeepCandidates(digest) => {
                self.acknowledged("candidates", move |contents| contents.acknowledge_candidates(digest)).await;
            }
            Command::RefreshArchive => self.refresh_archive(),
            Command::Instruct(instruction) => return self.hands.instruct(instruction).await,
            Command::Welcomed { host, mode, clock_ahead_ms } => {
                self.up_since_ms = Some(self.clock.boottime_ms());
                tracing::info!(%host, mode = mode.as_str(), clock_ahead_ms, "connected");
                self.hands.clock_offset(clock_ahead_ms).await;
                let now = self.clock.now();
                self.status.send_modify(|status| status.welcomed(host, mode, clock_ahead_ms, now));
            }
            Command::HangUp(why) => self.hang_up(why),
        }
        Vec::new()
    }

    /// Puts a message into the outbox; one that is full ends the link.
    fn say(&mut self, message: FromAgent) -> Vec<Event> {
        if self.link.is_none() {
            return Vec::new();
        }
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(message);
            return Vec::new();
        }
        self.leave(Ending::Broken, "the controller does not read what it is told");
        vec![Event::Disconnected]
    }

    /// Reads a content beside the session; a failure is told after a pause, so that it is not tried in a circle.
    fn prepare<R>(&mut self, what: &'static str, read: R, failed: fn() -> Vec<Event>)
    where
        R: FnOnce() -> Result<Event, PackageError> + Send + 'static,
    {
        self.jobs.spawn(async move {
            let error = match tokio::task::spawn_blocking(read).await {
                Ok(Ok(event)) => return vec![event],
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(what, error, "the packages cannot be read; trying again in a minute");
            tokio::time::sleep(FAILED_CONTENT_PAUSE).await;
            failed()
        });
    }

    /// Remembers an acknowledgement before anything else is handled: what follows may build on it.
    async fn acknowledged(&mut self, what: &str, keep: impl FnOnce(&Contents) -> Result<(), FileError> + Send + 'static) {
        let contents = self.contents.clone();
        let kept = tokio::task::spawn_blocking(move || (keep(&contents), contents.acknowledged())).await;
        match kept {
            Ok((result, acknowledged)) => {
                if let Err(error) = result {
                    tracing::warn!(what, %error, "the acknowledgement cannot be kept; the next start sends more than it needs to");
                }
                self.status.send_modify(|status| status.acknowledged = acknowledged);
            }
            Err(error) => tracing::error!(what, %error, "keeping an acknowledgement ended abnormally"),
        }
    }

    fn refresh_archive(&mut self) {
        if self.refreshing {
            // One fetch answers both.
            return;
        }
        self.refreshing = true;
        let refresh = self.hands.refresh();
        self.jobs.spawn(async move {
            if let Some(refresh) = refresh {
                match tokio::task::spawn_blocking(refresh).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "the archive's indexes could not all be fetched"),
                    Err(error) => tracing::error!(%error, "fetching the archive's indexes ended abnormally"),
                }
            }
            vec![Event::ArchiveRefreshed]
        });
    }

    fn hang_up(&mut self, why: HangUp) {
        match why {
            HangUp::Silent { for_ms } => self.leave(Ending::Broken, &format!("the controller said nothing for {} s", for_ms / 1000)),
            HangUp::OutOfOrder => self.leave(Ending::Broken, "the controller gave an instruction before its welcome"),
            HangUp::Stopped { cause: StopCause::Protocol, detail } => {
                tracing::error!(detail, "the controller says that this agent broke the protocol");
                self.leave(Ending::Refused, &format!("the controller ended the session: {detail}"));
            }
            HangUp::Stopped { cause, detail } => {
                tracing::error!(
                    cause = cause.as_str(),
                    detail,
                    "THE CONTROLLER STOPPED THIS AGENT: it reports nothing and applies nothing until an operator acts; trying again hourly"
                );
                self.leave(Ending::Stopped, &format!("{}: {detail}", cause.as_str()));
            }
        }
    }

    async fn link_closed(&mut self, closed: Closed) {
        self.leave(closed.kind.into(), &closed.text);
        self.handle(Event::Disconnected).await;
    }

    /// A stream proves only the certificate that it was opened with: with a new one it is opened again, at once.
    async fn link_anew(&mut self) {
        self.link = None;
        self.outbox.clear();
        self.try_at = Instant::now();
        self.handle(Event::Disconnected).await;
    }

    /// Drops the link and sets the next try.
    fn leave(&mut self, ending: Ending, why: &str) {
        self.link = None;
        self.outbox.clear();
        let now_ms = self.clock.boottime_ms();
        if self.up_since_ms.take().is_some_and(|since| now_ms.saturating_sub(since) >= LASTED_MS) {
            self.retry.reset();
        }
        let delay = pause(ending, &mut self.retry);
        self.try_at = Instant::now() + delay;
        let now = self.clock.now();
        tracing::warn!(why, next_try_secs = delay.as_secs(), "not connected");
        self.status.send_modify(|status| status.left(ending, why, now, now.plus(delay)));
    }
}

async fn hear(events: Option<&mut mpsc::Receiver<LinkEvent>>) -> LinkEvent {
    let ended = || LinkEvent::Closed(Closed { kind: ClosedKind::Broken, text: "the link ended".to_owned() });
    match events {
        Some(events) => events.recv().await.unwrap_or_else(ended),
        None => std::future::pending().await,
    }
}

/// Room for one message. Never comes where there is no link, or where it is about to tell that it ended.
async fn room(say: Option<mpsc::Sender<AgentMessage>>) -> mpsc::OwnedPermit<AgentMessage> {
    if let Some(say) = say
        && let Ok(permit) = say.reserve_owned().await
    {
        return permit;
    }
    std::future::pending().await
}

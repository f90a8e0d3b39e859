//! What a host is told, and how often: over a real store, with the host's end of the stream in the test's hand.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use patchwave_common::domain::{DirectiveProgress, Generation, HostId, InstanceId, RolloutId, Timestamp, ToAgent};
use patchwave_common::runtime::clock::{Clock, ManualClock, SystemClock};
use tokio_stream::StreamExt as _;

use super::{ConductorHandle, ConductorParts, ConductorSettings, start};
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::sessions::{Attached, Outbox, Reader, Sessions};
use crate::store::{Store, StoreHandle, open_memory};

const GENERATION: Generation = Generation { epoch: 1, counter: 7 };

#[test]
fn ids_of_hosts_in_a_text_become_names_and_nothing_else_changes() {
    let fleet = Fleet::new(Timestamp(0), Duration::ZERO);
    for text in ["", "h-", "such-h-words, h-, h-aaaaaaaaaaaaaaaa: gone; half-h-aaaaaaaaaaaaaaaa (h-\u{e9})", "\u{1f980}h-x"] {
        assert_eq!(super::story::with_names(&fleet, text), text);
    }
    let mut record = crate::store::testing::host("h-aaaaaaaaaaaaaaaa");
    "web-1".clone_into(&mut record.facts.hostname);
    fleet.put_record(record);
    let text = "harmed: h-aaaaaaaaaaaaaaaa (unit), h-bbbbbbbbbbbbbbbb; xh-aaaaaaaaaaaaaaaa";
    assert_eq!(super::story::with_names(&fleet, text), "harmed: web-1 (unit), h-bbbbbbbbbbbbbbbb; xh-aaaaaaaaaaaaaaaa");
}

/// A conductor's surroundings: a store, a clock, and nobody there.
pub(super) fn parts(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> ConductorParts {
    ConductorParts {
        store: StoreHandle::start(store).unwrap(),
        fleet: Arc::new(Fleet::new(clock.now(), Duration::ZERO)),
        sessions: Arc::new(Sessions::default()),
        clock,
        metrics: Arc::new(Metrics::default()),
        settings: ConductorSettings::default(),
    }
}

struct Desk {
    conductor: ConductorHandle,
    host: HostId,
    messages: Reader,
}

impl Desk {
    async fn new() -> Self {
        let parts = parts(open_memory().unwrap(), Arc::new(SystemClock::new()));
        let sessions = parts.sessions.clone();
        let conductor = start(parts).await.unwrap();
        let host = HostId::parse("h-aaaaaaaaaaaaaaaa").unwrap();
        let outbox = Arc::new(Outbox::default());
        outbox.welcomed();
        let messages = outbox.read();
        let attached = sessions.attach(&host, InstanceId::parse("one").unwrap(), "test".to_owned(), outbox).await;
        assert!(matches!(attached, Attached::Yes(_)), "nobody else is there");
        Self { conductor, host, messages }
    }

    async fn reports(&mut self, progress: DirectiveProgress) -> Vec<ToAgent> {
        self.conductor.progress(self.host.clone(), GENERATION, progress).await;
        // A question is taken after the report, and the second one after the first one's batch was carried out.
        self.conductor.ask(|_| ()).await.unwrap();
        self.conductor.ask(|_| ()).await.unwrap();
        std::iter::from_fn(|| self.messages.next().now_or_never().flatten()).map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn a_host_that_nobody_orders_is_told_once_what_becomes_of_its_directive() {
    let mut desk = Desk::new().await;
    let told = desk.reports(DirectiveProgress::Ready).await;
    assert!(matches!(told.as_slice(), [ToAgent::Withdraw(generation)] if *generation == GENERATION), "{told:?}");
    assert!(desk.reports(DirectiveProgress::Ready).await.is_empty(), "the agent's answer to that would be answered for ever");
    assert!(desk.reports(DirectiveProgress::Verifying).await.is_empty(), "it has begun: it will say where it comes to rest");
    let told = desk.reports(DirectiveProgress::Healthy).await;
    assert!(matches!(told.as_slice(), [ToAgent::Conclude { generation, .. }] if *generation == GENERATION), "{told:?}");
    assert!(desk.reports(DirectiveProgress::TakenBack).await.is_empty(), "an end needs no word");
}

#[tokio::test]
async fn a_directive_newer_than_the_claim_was_given_after_the_backup_and_is_brought_to_its_end() {
    for (claimed, told) in [(GENERATION.counter - 4, 1), (GENERATION.counter, 0), (GENERATION.counter + 1, 0)] {
        let mut desk = Desk::new().await;
        let claim = (RolloutId::parse("r-1").unwrap(), Generation { counter: claimed, ..GENERATION });
        let host = desk.host.clone();
        desk.conductor.ask(move |conductor| conductor.claims.insert(host, claim)).await.unwrap();
        let messages = desk.reports(DirectiveProgress::Healthy).await;
        let concluded =
            messages.iter().filter(|message| matches!(message, ToAgent::Conclude { generation, .. } if *generation == GENERATION));
        assert_eq!(concluded.count(), told, "claimed with {claimed}: {messages:?}");
    }
}

#[tokio::test]
async fn questions_without_end_do_not_keep_it_from_looking_at_the_world() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_795_000_000_000)));
    let conductor = start(parts(open_memory().unwrap(), clock.clone())).await.unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..90 {
        clock.advance(Duration::from_secs(1));
        longest = longest.max(conductor.ask(|conductor| conductor.since_looked()).await.unwrap());
    }
    assert!(longest <= super::LOOK_AT_LEAST_EVERY, "{longest:?}");
}

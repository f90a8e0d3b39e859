//! Prometheus metrics, derived in the shell from what was recorded; the pure engine never knows of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use patchwave_common::domain::HostId;
use patchwave_common::runtime::tls::AcceptStatistics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::rollout::{Event, Progress};

/// One label, `state`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: String,
}

/// One label, `feed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFeed {
    feed: String,
}

/// What is known of holes, as one look found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holes {
    /// Findings by the name of their state.
    pub findings: std::collections::BTreeMap<&'static str, u64>,
    /// Findings whose deadline has passed.
    pub overdue: u64,
    /// Active hosts of which no advisory speaks.
    pub unknown: u64,
}

/// A feed's age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedAge {
    /// Its name.
    pub feed: String,
    /// Since its content came into use, in seconds; `None` where it has none.
    pub age_secs: Option<u64>,
    /// Whether it is older than it may be.
    pub stale: bool,
}

/// What came of the connections, as the listener counts them.
#[derive(Debug, Clone, Default)]
struct Listener(Arc<OnceLock<Arc<AcceptStatistics>>>);

impl Collector for Listener {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(counts) = self.0.get() else { return Ok(()) };
        for (name, help, count) in [
            ("connections_accepted", "TLS handshakes that succeeded", counts.accepted()),
            ("handshakes_failed", "TLS handshakes that failed or ran out of time", counts.failed()),
            ("connections_refused", "Connections closed because of a limit", counts.refused()),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// Every metric of the controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    hosts: Family<ByState, Gauge>,
    rollouts: Family<ByState, Gauge>,
    outcomes: Family<ByState, Counter>,
    streams: Gauge,
    slowed: Counter,
    directives: Counter,
    latency: Histogram,
    listener: Listener,
    refused: Counter,
    findings: Family<ByState, Gauge>,
    overdue: Gauge,
    unknown: Gauge,
    feed_ages: Family<ByFeed, Gauge>,
    feeds_stale: Gauge,
    /// When each host was last sent a directive that it has not acknowledged; at most one entry a host.
    sent: Mutex<HashMap<HostId, Instant>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("patchwave");
        let (hosts, rollouts, outcomes) = (Family::default(), Family::default(), Family::default());
        let (streams, slowed, directives) = (Gauge::default(), Counter::default(), Counter::default());
        let (listener, refused) = (Listener::default(), Counter::default());
        let (findings, overdue, unknown) = (Family::default(), Gauge::default(), Gauge::default());
        let (feed_ages, feeds_stale) = (Family::default(), Gauge::default());
        registry.register("findings", "Findings of active hosts by state", findings.clone());
        registry.register("findings_overdue", "Findings whose deadline has passed", overdue.clone());
        registry.register("hosts_without_advisories", "Active hosts of which no feed speaks: unknown, not clean", unknown.clone());
        registry.register_with_unit("feed_age", "Since the content of a feed came into use", Unit::Seconds, feed_ages.clone());
        registry.register("feeds_stale", "Feeds older than they may be, or without content", feeds_stale.clone());
        registry.register_collector(Box::new(listener.clone()));
        registry.register("calls_refused", "Calls refused since their caller has too many open", refused.clone());
        // From a millisecond on loopback to a minute over a bad link.
        let latency = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        registry.register("hosts", "Hosts by state and presence", hosts.clone());
        registry.register("rollouts", "Rollouts by state", rollouts.clone());
        registry.register("host_outcomes", "What hosts reported of their directives", outcomes.clone());
        registry.register("agent_streams", "Open agent streams", streams.clone());
        registry.register("hosts_slowed", "Hosts that were read more slowly since they sent without pause", slowed.clone());
        registry.register("directives_sent", "Directives sent, repetitions included", directives.clone());
        registry.register_with_unit(
            "directive_latency",
            "From a directive's sending to its acknowledgement by the agent",
            Unit::Seconds,
            latency.clone(),
        );
        Self {
            registry,
            hosts,
            rollouts,
            outcomes,
            streams,
            slowed,
            directives,
            latency,
            listener,
            refused,
            findings,
            overdue,
            unknown,
            feed_ages,
            feeds_stale,
            sent: Mutex::default(),
        }
    }
}

impl Metrics {
    /// An agent's stream opened.
    pub fn connected(&self) {
        self.streams.inc();
    }

    /// An agent's stream closed.
    pub fn disconnected(&self) {
        self.streams.dec();
    }

    /// A host is read more slowly from now on.
    pub fn slowed(&self) {
        self.slowed.inc();
    }

    /// Where the listener counts.
    pub fn listens(&self, counts: Arc<AcceptStatistics>) {
        // A controller has one listener.
        let _ = self.listener.0.set(counts);
    }

    /// A call is refused since its caller has too many open.
    pub fn call_refused(&self) {
        self.refused.inc();
    }

    /// A directive goes out.
    pub fn directive_sent(&self, host: &HostId) {
        self.directives.inc();
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(host.clone()).or_insert_with(Instant::now);
    }

    /// The host has the directive.
    pub fn directive_accepted(&self, host: &HostId) {
        if let Some(sent) = self.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(host) {
            self.latency.observe(sent.elapsed().as_secs_f64());
        }
    }

    /// An event was recorded.
    pub fn event(&self, event: &Event) {
        let outcome = match event {
            Event::HostProgress { progress, .. } => match progress {
                Progress::Healthy => "healthy",
                Progress::Refused { .. } => "refused",
                Progress::Harmed { .. } => "harmed",
                Progress::TakenBack => "taken-back",
                Progress::NeedsAttention { .. } => "needs-attention",
                _ => return,
            },
            Event::HostNotStaged { .. } => "not-staged",
            Event::HostSilent { .. } => "silent",
            _ => return,
        };
        self.outcomes.get_or_create(&ByState { state: outcome.to_owned() }).inc();
    }

    /// The text that Prometheus scrapes; hosts and rollouts are counted now, by the caller.
    pub fn render(&self, hosts: impl Iterator<Item = String>, rollouts: impl Iterator<Item = String>) -> Result<String, std::fmt::Error> {
        for (family, states) in [(&self.hosts, hosts.collect::<Vec<_>>()), (&self.rollouts, rollouts.collect())] {
            family.clear();
            for state in states {
                family.get_or_create(&ByState { state }).inc();
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// What is known of holes is this now.
    pub fn set_holes(&self, holes: &Holes, feeds: &[FeedAge]) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.findings.clear();
        for (state, count) in &holes.findings {
            self.findings.get_or_create(&ByState { state: (*state).to_owned() }).set(signed(*count));
        }
        self.overdue.set(signed(holes.overdue));
        self.unknown.set(signed(holes.unknown));
        self.feed_ages.clear();
        for feed in feeds {
            if let Some(age) = feed.age_secs {
                self.feed_ages.get_or_create(&ByFeed { feed: feed.feed.clone() }).set(signed(age));
            }
        }
        self.feeds_stale.set(signed(feeds.iter().filter(|feed| feed.stale).count() as u64));
    }
}

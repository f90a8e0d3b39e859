//! Agents that behave: they beat every second on a stream of their own, and one leaves and comes back all the time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use patchwave_common::domain::{FromAgent, ToAgent};
use patchwave_tests::load::{Certificates, Content, Link, hello, now};
use rustls::ClientConfig;
use tokio::sync::{oneshot, watch};

/// Healthy agents that stay.
pub const STAYING: u32 = 20;
/// The shortest that the controller allows.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// An agent that hears nothing for so long gives up.
pub const GIVES_UP: Duration = HEARTBEAT.saturating_mul(3);
/// An agent gives a connection up after so long.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// Where they connect from.
const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// What was seen since the last look.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Answered heartbeats of each agent, from the start on.
    beats: Vec<u32>,
    /// Longest answer.
    pub worst: Duration,
    /// How often one came back, from the start on.
    pub returns: u32,
    /// Longest from the first packet to the welcome.
    pub worst_return: Duration,
    /// What must not be.
    pub broken: Vec<String>,
}

impl Seen {
    /// What each has at least.
    fn least(&self) -> u32 {
        self.beats.iter().copied().min().unwrap_or(0).min(self.returns)
    }

    pub fn total(&self) -> u32 {
        self.beats.iter().sum()
    }
}

/// All of them, on a thread that ends with this.
pub struct Healthy {
    seen: Arc<watch::Sender<Seen>>,
    _over: oneshot::Sender<()>,
}

impl Healthy {
    /// Starts them; agents are numbered from 0.
    pub fn start(certificates: &Certificates, content: Arc<Content>, server: std::net::SocketAddr) -> Result<Self> {
        let seen = Arc::new(watch::Sender::new(Seen { beats: vec![0; STAYING as usize], ..Seen::default() }));
        let agents = (0..=STAYING)
            .map(|number| {
                let (tls, content, seen) = (certificates.agent(number)?, content.clone(), seen.clone());
                Ok(Agent { number, tls, content, server, seen })
            })
            .collect::<Result<Vec<_>>>()?;
        let (over, ends) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            let live = async {
                let agents = futures::future::join_all(agents.into_iter().map(Agent::live));
                tokio::select! { _ = agents => {}, _ = ends => {} }
            };
            runtime.block_on(live);
        });
        Ok(Self { seen, _over: over })
    }

    /// Waits until each beat and returned so many times more.
    pub async fn go_on(&self, rounds: u32) -> Result<()> {
        let mut seen = self.seen.subscribe();
        let until = seen.borrow().least() + rounds;
        let limit = (GIVES_UP + CONNECT_LIMIT) * rounds;
        tokio::time::timeout(limit, seen.wait_for(|seen| seen.least() >= until)).await.context("healthy agents do not go on")??;
        Ok(())
    }

    /// What was seen since the last time.
    pub fn look(&self) -> Seen {
        let seen = self.seen.borrow().clone();
        self.seen.send_modify(|seen| (seen.worst, seen.worst_return) = Default::default());
        seen
    }
}

struct Agent {
    number: u32,
    tls: Arc<ClientConfig>,
    content: Arc<Content>,
    server: std::net::SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
}

impl Agent {
    async fn live(self) {
        let lived = if self.number < STAYING { self.stay().await } else { self.come_and_go().await };
        let Err(why) = lived;
        self.seen.send_modify(|seen| seen.broken.push(format!("agent {}: {why:#}", self.number)));
    }

    async fn open(&self) -> Result<Link> {
        let hello = FromAgent::Hello(Box::new(hello(self.number, &self.content, self.content.inventory.digest(), now())?));
        let opening = async {
            let mut link = Link::stream(self.tls.clone(), FROM, self.server, &hello).await?;
            while !matches!(link.hear().await?, ToAgent::Welcome { .. }) {}
            anyhow::Ok(link)
        };
        tokio::time::timeout(CONNECT_LIMIT, opening).await.context("no welcome in time")?
    }

    async fn stay(&self) -> Result<std::convert::Infallible> {
        let mut link = self.open().await?;
        let mut due = tokio::time::interval(HEARTBEAT);
        loop {
            due.tick().await;
            let took = beat(&mut link).await?;
            self.seen.send_modify(|seen| {
                seen.beats[self.number as usize] += 1;
                seen.worst = seen.worst.max(took);
            });
        }
    }

    async fn come_and_go(&self) -> Result<std::convert::Infallible> {
        let mut due = tokio::time::interval(HEARTBEAT);
        loop {
            due.tick().await;
            let began = Instant::now();
            let mut link = self.open().await?;
            let took = began.elapsed();
            beat(&mut link).await?;
            self.seen.send_modify(|seen| {
                seen.returns += 1;
                seen.worst_return = seen.worst_return.max(took);
            });
        }
    }
}

/// A heartbeat, and how long its answer took.
pub async fn beat(link: &mut Link) -> Result<Duration> {
    let began = Instant::now();
    link.beat().await?;
    let answer = async {
        while !matches!(link.hear().await?, ToAgent::Ping(_)) {}
        anyhow::Ok(())
    };
    match tokio::time::timeout(GIVES_UP, answer).await {
        Ok(answered) => answered.map(|()| began.elapsed()),
        Err(_) => bail!("a heartbeat was not answered within {} s", GIVES_UP.as_secs()),
    }
}

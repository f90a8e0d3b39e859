//! One simulated agent: connects, does what the worker is told, answers the controller's orders, and comes back when its stream breaks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use patchwave_common::domain::{DirectiveProgress, FromAgent, Generation, InventoryDelta, StageResult, ToAgent};
use patchwave_common::runtime::retry::Retry;
use rustls::ClientConfig;
use tokio::sync::{Semaphore, watch};

use super::arguments::{SubjectKind, WorkerArguments};
use super::exchange::{Link, now};
use super::orders::{Kind, Order};
use super::tally::Tally;
use super::world::{Content, hello};

/// What a worker's agents share.
pub struct Shared {
    /// Where to connect and what to be.
    pub arguments: WorkerArguments,
    /// What they have.
    pub content: Content,
    /// How far they are.
    pub tally: Tally,
    /// Connects at once: fewer than the controller allows of one address.
    pub connects: Semaphore,
}

/// The agent.
pub struct Agent {
    /// Its number among the worker's.
    pub index: u32,
    /// What it connects with.
    pub tls: Arc<ClientConfig>,
    /// The worker's.
    pub shared: Arc<Shared>,
    /// The name of the last acknowledged change of its inventory.
    pub change: Option<String>,
    /// See [`Tally::came`].
    pub seen: u64,
}

impl Agent {
    /// Runs for as long as the worker does.
    pub async fn run(mut self, mut orders: watch::Receiver<Option<Order>>) {
        let mut retry = Retry::new();
        let due = |order: &Option<Order>| matches!(order, Some(Order::Connect { up_to }) if self.index < *up_to);
        if orders.wait_for(due).await.is_err() {
            return;
        }
        orders.mark_unchanged();
        let mut returned = false;
        loop {
            let Err(_why) = self.live(&mut orders, &mut retry, returned).await;
            tokio::time::sleep(retry.next_delay()).await;
            returned = true;
        }
    }

    fn number(&self) -> u32 {
        self.shared.arguments.first + self.index
    }

    async fn live(&mut self, orders: &mut watch::Receiver<Option<Order>>, retry: &mut Retry, returned: bool) -> Result<Infallible> {
        let shared = self.shared.clone();
        let opened = {
            let _place = shared.connects.acquire().await?;
            self.open().await
        };
        let mut link = opened.inspect_err(|_| shared.tally.broke(false))?;
        retry.reset();
        shared.tally.opened();
        if returned {
            // What was ordered before is over.
            orders.mark_unchanged();
            shared.tally.came(Kind::Return, &mut self.seen);
        }
        loop {
            let lived = tokio::select! {
                changed = orders.changed() => {
                    changed?;
                    let order = *orders.borrow_and_update();
                    let done = self.carry_out(order, &mut link).await;
                    if let Ok(Some(exchanges)) = done {
                        shared.tally.done(exchanges);
                    }
                    done.map(drop).inspect_err(|_| shared.tally.done(0))
                }
                message = link.hear() => match message {
                    Ok(message) => self.take(message, &link).await,
                    Err(why) => Err(why),
                },
            };
            lived.inspect_err(|_| shared.tally.broke(true))?;
        }
    }

    async fn open(&self) -> Result<Link> {
        let arguments = &self.shared.arguments;
        let (tls, from, server) = (self.tls.clone(), arguments.from, arguments.server);
        match arguments.to {
            SubjectKind::Nginx => Link::pages(tls, from, server).await,
            SubjectKind::BareTonic => {
                let mut link = Link::stream(tls, from, server, &FromAgent::Heartbeat { clock: now(), nonce: 0 }).await?;
                link.hear().await?;
                Ok(link)
            }
            SubjectKind::Patchwave => {
                let content = &self.shared.content;
                let inventory =
                    self.change.as_ref().map_or(Ok(content.inventory.digest()), |name| content.changed(name).map(|i| i.digest()))?;
                let hello = FromAgent::Hello(Box::new(hello(self.number(), content, inventory, now())?));
                let mut link = Link::stream(tls, from, server, &hello).await?;
                while !matches!(link.hear().await?, ToAgent::Welcome { .. }) {}
                Ok(link)
            }
        }
    }

    /// Gives the number of answered exchanges, or nothing where the order is not this agent's.
    async fn carry_out(&mut self, order: Option<Order>, link: &mut Link) -> Result<Option<u64>> {
        match order {
            None | Some(Order::Connect { .. } | Order::Await(_)) => Ok(None),
            Some(Order::Beat { rounds }) => {
                for _ in 0..rounds {
                    self.beat(link).await?;
                }
                Ok(Some(u64::from(rounds)))
            }
            Some(Order::Report { round, whole }) => {
                let name = match self.shared.arguments.inventories {
                    0 => format!("{round}.{}", self.number()),
                    several => format!("{round}.{}", self.number() % several),
                };
                self.report(name, whole, link).await?;
                Ok(Some(1))
            }
            Some(Order::CheckIn { agents, .. }) if self.index >= agents => Ok(None),
            Some(Order::CheckIn { millis, .. }) => {
                let (until, mut reports) = (Instant::now() + Duration::from_millis(millis), 0);
                while Instant::now() < until {
                    self.report(format!("{}.{reports}", self.number()), false, link).await?;
                    reports += 1;
                }
                Ok(Some(reports))
            }
        }
    }

    async fn beat(&mut self, link: &mut Link) -> Result<()> {
        if let Link::Pages(channel) = link {
            return Link::page(channel).await;
        }
        link.beat().await?;
        loop {
            match link.hear().await? {
                ToAgent::Ping(0) => return Ok(()),
                other => self.take(other, link).await?,
            }
        }
    }

    /// Reports an inventory, whole or as the difference from the one before, and waits until the controller has it on disk.
    async fn report(&mut self, name: String, whole: bool, link: &mut Link) -> Result<()> {
        let content = &self.shared.content;
        let before = self.change.as_ref().map_or(Ok(content.inventory.clone()), |name| content.changed(name))?;
        let delta: InventoryDelta = content.changed(&name)?.delta_from((!whole).then_some(&before));
        let digest = delta.digest;
        link.say(&FromAgent::Inventory(delta)).await?;
        loop {
            match link.hear().await? {
                ToAgent::InventoryAnswer { digest: Some(have), need_full: false } if have == digest => break,
                ToAgent::InventoryAnswer { need_full: true, .. } => bail!("the controller lost the inventory"),
                other => self.take(other, link).await?,
            }
        }
        self.change = Some(name);
        Ok(())
    }

    /// What the controller says by itself: an order is carried out at once and well.
    async fn take(&mut self, message: ToAgent, link: &Link) -> Result<()> {
        match message {
            ToAgent::Quarantine(_) => self.shared.tally.came(Kind::Quarantine, &mut self.seen),
            ToAgent::Stage(request) => {
                let result = StageResult::Staged { bytes: 1 << 20, way_back: true };
                link.say(&FromAgent::Stage { rollout: request.rollout, result }).await?;
            }
            ToAgent::Directive(directive) => {
                self.shared.tally.came(Kind::Directive, &mut self.seen);
                self.progress(directive.generation, [DirectiveProgress::Accepted, DirectiveProgress::Ready], link).await?;
            }
            ToAgent::Lease(lease) => {
                let news = [DirectiveProgress::Applying, DirectiveProgress::Verifying, DirectiveProgress::Healthy];
                self.progress(lease.generation, news, link).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn progress(&self, generation: Generation, news: impl IntoIterator<Item = DirectiveProgress>, link: &Link) -> Result<()> {
        for progress in news {
            link.say(&FromAgent::Progress { generation, progress, question: 0 }).await?;
        }
        Ok(())
    }
}

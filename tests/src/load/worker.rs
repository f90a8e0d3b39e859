//! A worker: a process with one thread and some of the agents, led by lines on its standard input.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use patchwave::pki::PkiFiles;
use tokio::sync::{Semaphore, mpsc, watch};

use super::agent::{Agent, Shared};
use super::arguments::WorkerArguments;
use super::exchange::now;
use super::orders::{News, Order};
use super::tally::Tally;
use super::tls::Certificates;
use super::world::Content;

/// Connects at once. The controller takes 256 handshakes of one address, and each worker has its own.
const CONNECTS: usize = 96;
/// How often progress is told.
const TELL: Duration = Duration::from_secs(1);

/// Runs until standard input ends.
pub fn run(arguments: &WorkerArguments) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(arguments.clone()))
}

async fn work(arguments: WorkerArguments) -> Result<()> {
    let certificates = Certificates::new(PkiFiles::new(&arguments.pki).load()?, now())?;
    let (order, orders) = watch::channel(None);
    let shared = Arc::new(Shared {
        content: Content::new(arguments.packages)?,
        tally: Tally::default(),
        connects: Semaphore::new(CONNECTS),
        arguments: arguments.clone(),
    });
    for index in 0..arguments.count {
        let tls = certificates.agent(arguments.first + index)?;
        let agent = Agent { index, tls, shared: shared.clone(), change: None, seen: 0 };
        tokio::spawn(agent.run(orders.clone()));
    }
    drop(orders);
    say(&News::Ready)?;
    let mut read = lines();
    while let Some(next) = read.recv().await {
        carry_out(next?, &shared, &order).await?;
    }
    Ok(())
}

async fn carry_out(next: Order, shared: &Shared, order: &watch::Sender<Option<Order>>) -> Result<()> {
    let tally = &shared.tally;
    let open = tally.open();
    let (awaited, wanted) = match next {
        Order::Connect { .. } => (None, 0),
        Order::Beat { .. } | Order::Report { .. } => (None, open),
        Order::CheckIn { agents, .. } => (None, agents.min(open)),
        Order::Await(kind) => (Some(kind), open),
    };
    tally.begin(awaited);
    if awaited.is_some() {
        say(&News::Ready)?;
    }
    order.send_replace(Some(next));
    let mut tell = tokio::time::interval(TELL);
    let done = |tally: &Tally| match next {
        Order::Connect { up_to } => (tally.open(), up_to),
        _ => (tally.how_many_done(), wanted),
    };
    loop {
        let (have, wanted) = done(tally);
        if have >= wanted {
            break;
        }
        tokio::select! {
            () = tally.news() => {}
            _ = tell.tick() => say(&News::Progress { done: have })?,
        }
    }
    say(&News::Done(tally.outcome()))
}

fn say(news: &News) -> Result<()> {
    let mut line = serde_json::to_string(news)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).context("nobody listens to this worker")
}

/// The orders, read by a thread of their own: standard input blocks.
fn lines() -> mpsc::Receiver<Result<Order>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let order = line.map_err(Into::into).and_then(|line| serde_json::from_str(&line).context("not an order"));
            if sender.blocking_send(order).is_err() {
                return;
            }
        }
    });
    receiver
}

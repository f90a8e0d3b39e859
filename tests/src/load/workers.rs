//! The workers of one subject, as one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::arguments::{Load, SubjectKind};
use super::orders::{Kind, News, Order, Outcome};
use super::talk;

/// Agents of one worker: below the limit on file descriptors, and few enough that one thread leads them.
const AGENTS_PER_WORKER: u32 = 5_000;
/// Two at least, so that the load uses both cores of a small machine.
const WORKERS_AT_LEAST: u32 = 2;
/// No order takes longer; 19,000 connects take about 40 s.
const ORDER_LIMIT: Duration = Duration::from_secs(600);
/// News that wait; a worker has one or two under way.
const NEWS: usize = 64;

struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    count: u32,
}

/// Every worker; they end when this is dropped.
pub struct Workers {
    workers: Vec<Worker>,
    news: Receiver<(usize, Result<News>)>,
}

impl Workers {
    /// Starts them; they have their certificates and wait when this returns.
    pub fn start(load: &Load, to: SubjectKind, server: SocketAddr, pki: &Path) -> Result<Self> {
        let how_many = load.agents.div_ceil(AGENTS_PER_WORKER).max(WORKERS_AT_LEAST);
        let (sender, news) = sync_channel(NEWS);
        let mut all = Self { workers: Vec::new(), news };
        for index in 0..how_many {
            let (first, end) = (share(load.agents, index, how_many), share(load.agents, index + 1, how_many));
            // Server and operator use 127.0.0.1.
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(index + 1)?);
            let kind = clap::ValueEnum::to_possible_value(&to).context("a subject has a name")?;
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["worker", "--to", kind.get_name(), "--server", &server.to_string(), "--pki"]).arg(pki);
            for (name, value) in
                [("--first", first), ("--count", end - first), ("--packages", load.packages), ("--inventories", load.inventories)]
            {
                command.args([name, &value.to_string()]);
            }
            command.args(["--from", &from.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = command.spawn().context("cannot start a worker")?;
            let (orders, output) = (process.stdin.take(), process.stdout.take().context("no output of the worker")?);
            let (sender, number) = (sender.clone(), index as usize);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    let news = line.map_err(Into::into).and_then(|line| serde_json::from_str(&line).context("not news of a worker"));
                    if sender.send((number, news)).is_err() {
                        return;
                    }
                }
                let _ = sender.send((number, Err(anyhow::anyhow!("worker {number} ended"))));
            });
            all.workers.push(Worker { process, orders, count: end - first });
        }
        all.gather("making certificates", |news| matches!(news, News::Ready))?;
        Ok(all)
    }

    /// Connects agents until so many of all are connected.
    pub fn connect(&mut self, up_to: u32) -> Result<Outcome> {
        let total: u32 = self.workers.iter().map(|worker| worker.count).sum();
        let how_many = u32::try_from(self.workers.len())?;
        for index in 0..self.workers.len() {
            let count = self.workers[index].count;
            let number = u32::try_from(index)?;
            let up_to =
                if up_to >= total { count } else { (share(up_to, number + 1, how_many) - share(up_to, number, how_many)).min(count) };
            self.tell(index, Order::Connect { up_to })?;
        }
        self.done(&format!("{up_to} agents connect"))
    }

    /// Every worker carries this out.
    pub fn order(&mut self, what: &str, order: Order) -> Result<Outcome> {
        (0..self.workers.len()).try_for_each(|index| self.tell(index, order))?;
        self.done(what)
    }

    /// From when this returns on, messages of this kind are counted.
    pub fn listen(&mut self, kind: Kind) -> Result<()> {
        (0..self.workers.len()).try_for_each(|index| self.tell(index, Order::Await(kind)))?;
        self.gather("listening", |news| matches!(news, News::Ready)).map(drop)
    }

    /// Waits until what was begun is done.
    pub fn done(&mut self, what: &str) -> Result<Outcome> {
        let mut sum = Outcome::default();
        for news in self.gather(what, |news| matches!(news, News::Done(_)))? {
            if let News::Done(outcome) = news {
                sum.exchanges += outcome.exchanges;
                sum.broken += outcome.broken;
                sum.at_us.extend(outcome.at_us);
            }
        }
        sum.at_us.sort_unstable();
        if sum.broken > 0 {
            talk(&format!("  {} streams broke or could not be opened at once", sum.broken));
        }
        Ok(sum)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.workers.len()).unwrap_or(u32::MAX)
    }

    fn tell(&mut self, index: usize, order: Order) -> Result<()> {
        let mut line = serde_json::to_string(&order)?;
        line.push('\n');
        let orders = self.workers[index].orders.as_mut().context("the worker takes no orders any more")?;
        orders.write_all(line.as_bytes()).and_then(|()| orders.flush()).context("a worker ended")
    }

    /// One fitting news of each worker.
    fn gather(&mut self, what: &str, fits: impl Fn(&News) -> bool) -> Result<Vec<News>> {
        let (began, mut told) = (Instant::now(), Instant::now());
        let mut progress = vec![0; self.workers.len()];
        let mut found = Vec::new();
        while found.len() < self.workers.len() {
            match self.news.recv_timeout(ORDER_LIMIT.saturating_sub(began.elapsed())) {
                Ok((index, Ok(News::Progress { done }))) => progress[index] = done,
                Ok((_, Ok(news))) if fits(&news) => found.push(news),
                Ok((_, Ok(news))) => bail!("{what}: unexpected news of a worker: {news:?}"),
                Ok((_, Err(why))) => return Err(why).with_context(|| what.to_owned()),
                Err(RecvTimeoutError::Timeout) => bail!("{what}: not done after {} s; {progress:?} agents are", ORDER_LIMIT.as_secs()),
                Err(RecvTimeoutError::Disconnected) => bail!("{what}: every worker ended"),
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                talk(&format!("  {what}: {} so far, {} s", progress.iter().sum::<u32>(), began.elapsed().as_secs()));
            }
        }
        Ok(found)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // The end of its input ends a worker; it has nothing to lose.
            drop(worker.orders.take());
            let _ = worker.process.kill();
            let _ = worker.process.wait();
        }
    }
}

/// Where a part begins when `total` is shared evenly among `parts`.
fn share(total: u32, index: u32, parts: u32) -> u32 {
    u32::try_from(u64::from(total) * u64::from(index) / u64::from(parts)).unwrap_or(total)
}

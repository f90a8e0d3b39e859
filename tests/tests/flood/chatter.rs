//! Agents that send without pause.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use futures::future::BoxFuture;
use patchwave_common::domain::{FromAgent, Inventory, Manager, ToAgent};
use patchwave_proto::agent::encode_from_agent;
use patchwave_tests::load::{Link, facts, hello, now, package};

use super::crowd::{from, many};
use super::ground::{FIRST, Ground, flood};

/// Agents of each kind.
const AGENTS: u32 = 3;
/// Packages of an inventory that is another one each time.
const PACKAGES: u32 = 2_000;
/// Healthy agents beat so often meanwhile.
const ROUNDS: u32 = 5;
/// Answers that a host gets at once, and a second, at most: the controller's allowance (`controller/src/pace.rs`), with its outbox, and a
/// quarter more for the clock.
const AT_ONCE: f64 = 1000.0 + 64.0;
const PER_SECOND: f64 = 25.0;
/// An agent that does not stop fills its connection's window (1 MiB) and has one message at work, for twelve agents; inventories that were
/// replaced lie about until there are 256,000 packages of them, 80 MB at most.
const GROWS_MIB: u64 = 12 * 4 + 80;

pub async fn open(ground: &Ground, agent: u32) -> Result<Link> {
    let first = FromAgent::Hello(Box::new(hello(agent, &ground.content, ground.content.inventory.digest(), now())?));
    let mut link = Link::stream(ground.certificates.agent(agent)?, from(agent), ground.address(), &first).await?;
    while !matches!(link.hear().await?, ToAgent::Welcome { .. }) {}
    Ok(link)
}

/// Says what `next` makes for as long as the stream lives, and counts what comes back; comes back when it is cut off, which HTTP/2 does to
/// who sends a thousand small frames that nobody reads.
async fn talk(ground: &Ground, agent: u32, answers: &AtomicU32, next: impl Fn(u32) -> Result<FromAgent>) -> Result<()> {
    let number = AtomicU32::new(0);
    loop {
        let Link::Stream { say, mut messages } = open(ground, agent).await? else { bail!("not a stream") };
        let saying = async {
            loop {
                let message = encode_from_agent(&next(number.fetch_add(1, Ordering::Relaxed))?);
                if say.send(message).await.is_err() {
                    return anyhow::Ok(());
                }
            }
        };
        let hearing = async {
            while let Ok(Some(_)) = messages.message().await {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::select! { said = saying => said?, () = hearing => {} }
    }
}

/// Whole inventories, none like another.
pub fn inventory(agent: u32, number: u32, packages: u32) -> Result<Inventory> {
    let version = format!("1.{agent}.{number}");
    Ok(Inventory::new(Manager::Dpkg, (0..packages).map(|each| package(&format!("p{each}"), &version)).collect::<Result<Vec<_>>>()?))
}

/// One agent of the crowd; `kind` says what it repeats.
fn chatterer<'a>(ground: &'a Ground, agent: u32, kind: u32, answers: &'a AtomicU32) -> BoxFuture<'a, Result<()>> {
    match kind {
        0 => Box::pin(talk(ground, agent, answers, |_| Ok(FromAgent::Heartbeat { clock: now(), nonce: 0 }))),
        1 => Box::pin(talk(ground, agent, answers, move |number| {
            let mut facts = facts(agent);
            facts.kernel = format!("6.1.{number}");
            Ok(FromAgent::Facts(Box::new(facts)))
        })),
        2 => Box::pin(talk(ground, agent, answers, move |number| {
            Ok(FromAgent::Inventory(inventory(agent, number, PACKAGES)?.delta_from(None)))
        })),
        _ => Box::pin(async move {
            loop {
                drop(open(ground, agent).await?);
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }),
    }
}

#[test]
fn agents_that_send_without_pause_are_read_more_slowly() -> Result<()> {
    flood("agents without pause", GROWS_MIB, async |ground| {
        const KINDS: u32 = 4;
        let agents = (AGENTS * KINDS).min(super::ground::CROWD);
        let answers: Vec<AtomicU32> = (0..agents).map(|_| AtomicU32::new(0)).collect();
        let began = Instant::now();
        let talking = (0..agents).map(|index| chatterer(ground, FIRST + index, index % KINDS, &answers[index as usize]));
        let talking = futures::future::try_join_all(talking);
        tokio::select! {
            ended = talking => bail!("a stream ended: {:?}", ended.err()),
            went_on = ground.meanwhile(many(ROUNDS)) => went_on?,
        }
        let seconds = began.elapsed().as_secs_f64();
        let heard: Vec<u32> = answers.into_iter().map(AtomicU32::into_inner).collect();
        let most = AT_ONCE + PER_SECOND * seconds;
        ensure!(heard.iter().all(|heard| f64::from(*heard) < most), "answers in {seconds:.1} s: {heard:?}, at most {most:.0} were allowed");
        ensure!(heard.iter().all(|heard| *heard > 0), "nobody is left without an answer: {heard:?}");
        let of = |kind: usize| heard.iter().skip(kind).step_by(KINDS as usize).sum::<u32>();
        Ok(format!(
            "{agents} agents in {seconds:.1} s: {} heartbeats, {} answers to inventories, {} returns; facts are not answered",
            of(0),
            of(2),
            of(3)
        ))
    })
}

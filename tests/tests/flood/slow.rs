//! Clients that say what they have to say byte by byte, and clients that do not listen.

use std::time::Duration;

use anyhow::Result;
use patchwave_common::domain::FromAgent;
use patchwave_tests::load::{hello, now};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::crowd::{from, many};
use super::frames::{self, ENROLL, SESSION, WINDOW};
use super::ground::{FIRST, Ground, flood};

/// Strangers who enrol slowly, fewer than eight addresses may have.
const STRANGERS: u32 = 300;
/// Agents who say hello slowly; each may have a dozen calls.
const CALLS: u32 = 10;
/// Agents that never read.
const DEAF: u32 = 5;
/// Healthy agents beat so often meanwhile.
const ROUNDS: u32 = 4;
/// Between two bytes.
const DRIP: Duration = Duration::from_millis(100);
/// 400 connections at 60 KiB are 24 MiB; five that do not listen hold 400 KiB of answers at most (HTTP/2's send buffer) and 64 messages.
const GROWS_MIB: u64 = 48;

/// Says a call's head, and then its body byte by byte until it is cut off.
async fn drip(write: &mut (impl AsyncWrite + Unpin), path: &str, body: &[u8]) -> std::io::Result<()> {
    write.write_all(&frames::call(1, path)).await?;
    let mut due = tokio::time::interval(DRIP);
    for byte in body {
        due.tick().await;
        write.write_all(&frames::data(1, std::slice::from_ref(byte))).await?;
    }
    Ok(())
}

async fn slow(ground: &Ground, number: u32) -> Result<()> {
    let (tls, path) = match number.checked_sub(many(STRANGERS)) {
        None => (ground.certificates.client(None)?, ENROLL),
        Some(call) => (ground.certificates.agent(FIRST + call / CALLS)?, SESSION),
    };
    let (_read, mut write) = frames::open(tls, from(number), ground.address(), &[]).await?;
    Ok(drip(&mut write, path, &first(ground, FIRST)?).await?)
}

/// Says hello and then heartbeats and pings for as long as anything is taken, and never reads.
async fn deaf(ground: &Ground, number: u32) -> Result<()> {
    let agent = FIRST + 10 + number % 10;
    let tls = ground.certificates.agent(agent)?;
    // Every second one reads nothing at all; the others only forbid to be told anything on the call.
    let (mut read, mut write) = frames::open(tls, from(number), ground.address(), &[(WINDOW, 0)]).await?;
    let mut says = [frames::call(1, SESSION), frames::data(1, &first(ground, agent)?)].concat();
    let beat = frames::data(1, &frames::message(&FromAgent::Heartbeat { clock: now(), nonce: 0 }));
    // What is said at once is below HTTP/2's first window.
    (0..500).for_each(|_| says.extend(&beat));
    write.write_all(&says).await?;
    if number.is_multiple_of(2) {
        frames::ended(&mut read, Duration::MAX).await;
        return Ok(());
    }
    let pings = frames::ping().repeat(1000);
    loop {
        write.write_all(&pings).await?;
    }
}

fn first(ground: &Ground, agent: u32) -> Result<Vec<u8>> {
    Ok(frames::message(&FromAgent::Hello(Box::new(hello(agent, &ground.content, ground.content.inventory.digest(), now())?))))
}

#[test]
fn slow_and_deaf_clients_keep_nobody_waiting() -> Result<()> {
    flood("slow clients", GROWS_MIB, async |ground| {
        let count = many(STRANGERS) + 8 * CALLS;
        let slow = futures::future::join_all((0..count).map(|number| slow(ground, number)));
        let deaf = futures::future::join_all((0..many(DEAF)).map(|number| deaf(ground, number)));
        // They go on until the healthy agents beat often enough; whoever is cut off before stays away.
        let flooding = async {
            tokio::join!(slow, deaf);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = flooding => {}
            went_on = ground.meanwhile(ROUNDS) => went_on?,
        }
        Ok(format!("{count} that drip and {} that do not listen", many(DEAF)))
    })
}

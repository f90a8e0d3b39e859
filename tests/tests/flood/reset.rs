//! HTTP/2 rapid reset (CVE-2023-44487): calls that are taken back as soon as they are made, without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail, ensure};
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt as _;

use super::crowd::{PATIENCE, from, many};
use super::frames::{self, ENROLL, SESSION};
use super::ground::{FIRST, Ground, flood};

/// Healthy agents beat so often meanwhile.
const ROUNDS: u32 = 4;
/// Connections at once of each kind of caller.
const AT_ONCE: u32 = 4;
/// Calls said at once.
const BATCH: u32 = 32;
/// A connection keeps a few dozen streams that were reset (HTTP/2's limits), of a few KiB each; the rest is the allocator's.
const GROWS_MIB: u64 = 32;

/// What one kind of caller did.
#[derive(Default)]
struct Done {
    calls: AtomicU32,
    connections: AtomicU32,
}

/// Calls until the connection is cut off.
async fn connection(ground: &Ground, tls: &Arc<ClientConfig>, path: &str, number: u32, done: &Done) -> Result<()> {
    let (mut read, mut write) = frames::open(tls.clone(), from(number), ground.address(), &[]).await?;
    done.connections.fetch_add(1, Ordering::Relaxed);
    let calling = async {
        for batch in 0.. {
            let calls = (0..BATCH).map(|call| 1 + 2 * (batch * BATCH + call));
            let bytes: Vec<u8> = calls.flat_map(|stream| [frames::call(stream, path), frames::reset(stream)].concat()).collect();
            if write.write_all(&bytes).await.is_err() {
                return;
            }
            done.calls.fetch_add(BATCH, Ordering::Relaxed);
        }
    };
    tokio::select! { _ = frames::ended(&mut read, PATIENCE) => {}, () = calling => {} }
    Ok(())
}

/// Comes back whenever it is cut off.
async fn caller(ground: &Ground, tls: Arc<ClientConfig>, path: &str, done: &Done) -> Result<()> {
    let calling = (0..many(AT_ONCE)).map(async |number| -> Result<()> {
        loop {
            connection(ground, &tls, path, number, done).await?;
        }
    });
    futures::future::try_join_all(calling).await.map(drop)
}

#[test]
fn calls_that_are_reset_at_once_are_cut_off() -> Result<()> {
    flood("rapid reset", GROWS_MIB, async |ground| {
        let (agent, stranger) = (ground.certificates.agent(FIRST)?, ground.certificates.client(None)?);
        let (known, unknown) = (Done::default(), Done::default());
        let calling = async { tokio::try_join!(caller(ground, agent, SESSION, &known), caller(ground, stranger, ENROLL, &unknown)) };
        tokio::select! {
            ended = calling => bail!("a caller could not connect: {:?}", ended.err()),
            went_on = ground.meanwhile(ROUNDS) => went_on?,
        }
        let told = |done: Done| (done.calls.into_inner(), done.connections.into_inner());
        let ((known, known_on), (unknown, unknown_on)) = (told(known), told(unknown));
        ensure!(known_on > many(AT_ONCE) && unknown_on > many(AT_ONCE), "nobody was cut off: {known_on} and {unknown_on} connections");
        Ok(format!("{known} calls of an agent took {known_on} connections, {unknown} of a stranger {unknown_on}"))
    })
}

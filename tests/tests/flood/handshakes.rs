//! Connections that never come to a handshake.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use patchwave_tests::wait_for;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::crowd::{each, from, many};
use super::ground::{Ground, flood};

/// Twice what the controller takes on at once.
const CONNECTIONS: u32 = 2_000;
/// A handshake has ten seconds, and two while others wait for its place; for each thousand there is one round of it.
const CLOSED: Duration = Duration::from_secs(15);
/// A thousand handshakes under way: 20 KiB of buffers each are 20 MiB; the rest is the allocator's.
const GROWS_MIB: u64 = 48;
/// Connections of the healthy one that comes back, old and new.
const OTHERS: usize = 8;
/// The beginning of a record with a ClientHello, which does not go on.
const BEGINNING: [u8; 11] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

async fn connect(ground: &Ground, number: u32) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from(number), 0)))?;
    let mut stream = socket.connect(ground.address()).await?;
    if number.is_multiple_of(2) {
        stream.write_all(&BEGINNING).await?;
    }
    Ok(stream)
}

#[test]
fn half_open_handshakes_end_in_time_and_others_come_in_meanwhile() -> Result<()> {
    // One descriptor each, here and in the controller, which inherits the limit.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit })?;
    flood("half-open handshakes", GROWS_MIB, async |ground| {
        let (count, before, began) = (many(CONNECTIONS), ground.descriptors()?, Instant::now());
        let streams = each(count, 256, async |number| connect(ground, number).await).await.into_iter().collect::<Result<Vec<_>>>()?;
        let limit = CLOSED * count.div_ceil(CONNECTIONS);
        // The controller's side counts: what the kernel never handed to it, it does not have to close.
        let closed =
            wait_for("the end of the handshakes", limit, || Ok((ground.descriptors()? <= before + OTHERS).then(|| began.elapsed())))?;
        drop(streams);
        Ok(format!("{count} connections, closed after {closed:?}"))
    })
}

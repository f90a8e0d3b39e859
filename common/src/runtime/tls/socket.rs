//! Options of every TCP socket.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// After this much silence the kernel probes the other end …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// … this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// … and gives up after this many probes: a peer that vanished is noticed within two minutes also where nothing is being sent. Heartbeats
/// of a session notice it sooner; this is for all other connections.
const KEEPALIVE_PROBES: u32 = 4;
/// Sent data that nobody acknowledges for this long ends the connection; without it Linux goes on for about 15 minutes.
const UNACKNOWLEDGED_MAX_MS: u32 = 60_000;

/// Small messages go out at once, and dead peers are noticed.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MAX_MS)?;
    Ok(())
}

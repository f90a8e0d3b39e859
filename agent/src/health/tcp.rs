//! A TCP connection that is accepted.

use futures::future::{BoxFuture, FutureExt as _};
use patchwave_common::domain::{CheckKind, HealthCheck};

use super::{HealthContext, Probe};

/// Connects and closes.
#[derive(Debug)]
pub struct Tcp;

impl Probe for Tcp {
    fn run<'a>(&'a self, check: &'a HealthCheck, _: &'a HealthContext) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let CheckKind::Tcp { address } = &check.kind else { return Err("not a tcp check".to_owned()) };
            let connected = tokio::net::TcpStream::connect(address).await;
            connected.map(drop).map_err(|error| format!("cannot connect to {address}: {error}"))
        }
        .boxed()
    }
}

//! A systemd unit that is active.

use futures::future::{BoxFuture, FutureExt as _};
use patchwave_common::domain::{CheckKind, HealthCheck};

use super::{HealthContext, Probe, units};

/// Asks systemd.
#[derive(Debug)]
pub struct Unit;

impl Probe for Unit {
    fn run<'a>(&'a self, check: &'a HealthCheck, context: &'a HealthContext) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let CheckKind::Unit { unit } = &check.kind else { return Err("not a unit check".to_owned()) };
            if context.root.is_some() {
                return Err("a sandbox host has no units".to_owned());
            }
            let asked = unit.clone();
            let state = tokio::task::spawn_blocking(move || units::state_of(&asked)).await.map_err(|error| error.to_string())??;
            if state == "active" { Ok(()) } else { Err(format!("unit {unit} is {state}")) }
        }
        .boxed()
    }
}

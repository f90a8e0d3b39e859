//! Health checks of a policy, run on the host, and the state of its units.
//!
//! One trait, [`Probe`]; one table, [`probe_of`]; one suite (`tests`). A new kind of check is one file here and one line in the table.
//! A *round* is every check once, at the same time, and one look at the units. What a round means is judged elsewhere
//! (`patching::machine`): nothing here knows what passed before.

mod executable;
mod http;
mod tcp;
#[cfg(test)]
mod tests;
mod unit;
pub(crate) mod units;

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use patchwave_common::domain::{CheckKind, HealthCheck, clean_text, show_duration};

use crate::patching::machine::{CheckOutcome, Round};

pub use units::{active_of, all_units};

/// So many checks run at once: enough for a round to be short, few enough not to be a load of their own.
const CHECKS_AT_ONCE: usize = 8;
/// What a failed check says is bounded, since it travels to the controller.
const DETAIL_MAX_CHARS: usize = 300;

/// What checks need to know about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthContext {
    /// Executables that policies may name.
    pub checks_dir: PathBuf,
    /// The root of a sandbox host, told to executables as `PATCHWAVE_ROOT`. Such a host has no units of its own.
    pub root: Option<PathBuf>,
}

/// One kind of check.
pub trait Probe: Sync {
    /// Tries once. The caller bounds the time by dropping the future; whatever was started must end with it.
    fn run<'a>(&'a self, check: &'a HealthCheck, context: &'a HealthContext) -> BoxFuture<'a, Result<(), String>>;
}

/// The probe for a kind of check.
#[must_use]
pub fn probe_of(kind: &CheckKind) -> &'static dyn Probe {
    match kind {
        CheckKind::Tcp { .. } => &tcp::Tcp,
        CheckKind::Http { .. } => &http::Http,
        CheckKind::Unit { .. } => &unit::Unit,
        CheckKind::Executable => &executable::Executable,
    }
}

/// Runs one check within its time.
pub async fn run_check(check: &HealthCheck, context: &HealthContext) -> CheckOutcome {
    let result = match tokio::time::timeout(check.timeout, probe_of(&check.kind).run(check, context)).await {
        Ok(result) => result.map_err(|detail| clean_text(&detail, DETAIL_MAX_CHARS)),
        Err(_) => Err(format!("no answer within {}", show_duration(check.timeout))),
    };
    CheckOutcome { name: check.name.clone(), result }
}

/// Runs every check once and looks at the units.
pub async fn run_round(checks: Vec<HealthCheck>, context: Arc<HealthContext>) -> Round {
    let run = |check: HealthCheck| {
        let context = context.clone();
        async move { run_check(&check, &context).await }
    };
    let outcomes = stream::iter(checks).map(run).buffered(CHECKS_AT_ONCE).collect();
    let units = async {
        if context.root.is_some() {
            return None;
        }
        tokio::task::spawn_blocking(all_units).await.ok().flatten()
    };
    let (checks, units) = futures::join!(outcomes, units);
    Round { checks, units }
}

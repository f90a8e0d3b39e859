//! A controller in miniature, and hosts with agents as processes.

mod controller;
mod host;

pub use controller::{Controller, Manner};
pub use host::{Host, eventually, mode_of, package};

use std::time::Duration;

/// Everything that is waited for comes within this, or the test fails and says what it waited for. Long, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(40);

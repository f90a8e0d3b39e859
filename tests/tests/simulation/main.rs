//! The real engine, conductor and store, and the real agent's cores, in one simulated world under one seeded scheduler.
//!
//! `SEEDS=n` lives so many lives (default: 10,000), `FROM=n` starts elsewhere, `SEED=n` lives one, and `TRACE=1` tells every event of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod agent;
/// The engine's own tests have it too: one account of what a log may say.
#[path = "../../../controller/tests/engine/auditor.rs"]
mod auditor;
mod calm;
mod choices;
mod clock;
mod controller;
mod host;
mod lives;
mod network;
mod operators;
mod packages;
mod setting;
mod trouble;
mod witness;
mod world;

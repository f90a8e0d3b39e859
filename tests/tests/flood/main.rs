//! Floods on a real `patchwave serve`, which healthy agents must not notice: their heartbeats are answered all the time, and what the
//! controller's process has resident stays within a bound.
//!
//! Each test starts a controller of its own on loopback with a store in a temporary directory (`ground`), keeps twenty healthy agents
//! beating every second and one more reconnecting (`healthy`, on a thread of its own, so that what floods does not delay what measures),
//! lets one kind of flood loose, and looks again when it is over. The numbers are said on standard error; `PATCHWAVE_TESTS_FLOOD=10` floods
//! with ten times as much. A *crowd* is what floods; its addresses begin with 127.0.2.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificates;
mod chatter;
mod crowd;
mod frames;
mod ground;
mod handshakes;
mod healthy;
mod large;
mod reset;
mod slow;

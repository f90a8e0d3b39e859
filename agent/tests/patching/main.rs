//! Patching as a whole on the simulated package manager: real files, real journals, real processes that are really killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crash;
mod desk;
mod flow;
mod gated;
mod process;
mod staging;

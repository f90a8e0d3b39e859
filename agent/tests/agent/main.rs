//! The agent as a process, against a controller in miniature over real TLS, on simulated packages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod certificates;
mod command_line;
mod modes;
mod session;
mod support;

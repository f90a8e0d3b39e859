//! System tests: real Debian hosts, real packages, Patchwave's own programs as operators run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod agent_service;
mod patching;
mod programs;
mod smoke;
mod support;

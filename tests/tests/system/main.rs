//! System tests: real Debian hosts, real packages, Patchwave's own programs as operators run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod absences;
mod agent_service;
mod bad_package;
mod cost_of_applying;
mod crashes;
mod kills;
mod patching;
mod programs;
mod restore_drill;
mod smoke;
mod support;
mod upgrade;
mod wrong_hosts;
mod wrong_identities;

//! The rollout engine by itself: planner, lint, what it does in each situation that the rules name, a simulation with invariants, and the
//! stored form of its plans and logs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod agent;
mod auditor;
mod codec;
mod fleet;
mod golden;
mod history;
mod hostile;
mod lint;
mod planner;
mod scale;
mod scenarios;
mod simulation;
mod taking_back;
mod waves;

//! The command line: help texts, every view at several widths, refusals, and whole runs of the real program against a real controller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod fake;
mod fleet_of_one;
mod follow;
mod help;
mod offline;
mod operators;
mod program;
mod refusals;
mod samples;
mod tables;
mod terminal;
mod views;

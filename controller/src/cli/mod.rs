//! The command line.

pub mod context;

//! What is known of holes, and what follows from it. Pure: no clock, no file, no network, no randomness.
//!
//! `cvss` scores vectors; `decision` looks up in tables that an operator could write by when a hole must be closed.

pub mod cvss;
pub mod decision;

//! What is known of holes, and what follows from it. Pure: no clock, no file, no network, no randomness.
//!
//! `record` is the advisory, `osv` reads one; `matching` finds the packages and hosts of which advisories speak. `cvss` scores vectors;
//! `decision` looks up in tables that an operator could write by when a hole must be closed.

pub mod cvss;
pub mod decision;
pub mod matching;
pub mod osv;
pub mod record;

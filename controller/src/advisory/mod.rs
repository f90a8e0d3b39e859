//! What is known of holes, and what follows from it. Pure: no clock, no file, no network, no randomness.
//!
//! `record` is the advisory, `osv` reads one; `matching` finds the packages and hosts of which advisories speak. `knowledge` is what is known
//! of a vulnerability beside them, `vex` what is said of whether it can be used. `cvss` scores vectors; `decision` looks up in tables that an operator could write by when a hole must be
//! closed, and `priority` asks them: a ruling with its deadline.

pub mod cvss;
pub mod decision;
pub mod knowledge;
pub mod matching;
pub mod osv;
pub mod priority;
pub mod record;
pub mod vex;

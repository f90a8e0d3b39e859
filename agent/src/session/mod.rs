//! The one stream between this agent and its controller.
//!
//! * [`protocol`] is the core, without I/O, clock or randomness: events in, messages and commands out. [`exchange`] is the part of it that
//!   brings one content (inventory, candidates) to the controller's disk exactly once.
//!
//! Terms: the *link* is the stream while it lasts; an *acknowledged* content is on the controller's disk; an *instruction* is what the
//! controller wants changed on this host, handed to the patching parts (or refused, where the agent has none).

pub mod acknowledged;
pub mod contents;
pub mod exchange;
pub mod hands;
pub mod link;
pub mod pause;
pub mod protocol;
mod questions;
pub mod status;
pub mod task;
#[cfg(test)]
mod tests;

//! What the agent knows of its host without asking anybody: that its packages changed, and facts about the machine.
//!
//! * [`watch`] tells when packages, marks, indexes or apt's settings may have changed.
//! * [`facts`] reads what the machine is.
//!
//! Nothing here changes anything on the host, and nothing decides: who is told compares fingerprints and digests.

pub mod facts;
pub mod watch;

pub use facts::machine_facts;
pub use watch::Watch;

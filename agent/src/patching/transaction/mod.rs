//! Package managers run outside the agent (rule 23): in a transient systemd unit, or, where there is no systemd or the agent is not root,
//! in a session of their own. Either way they outlive the agent, and a restarted agent finds them again.
//!
//! The steps travel as data in a directory (`job`), a second process of this program carries them out (`run`), and the agent follows it
//! (`follow`). Nothing here decides what is done, or what an end means.

mod follow;
mod job;
mod process;
mod run;
mod systemd;
#[cfg(test)]
mod tests;
pub(crate) mod tool;

pub use follow::{Following, Launcher};
pub use job::{Conditions, Job, JobDirectory};
pub use run::run_transaction;

//! The Patchwave controller.

pub mod cli;
pub mod fleet;
pub mod pki;
pub mod records;
pub mod rollout;
pub mod rollout_log;
pub mod sessions;
pub mod store;

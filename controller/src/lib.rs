//! The Patchwave controller, and the command line that speaks to it.
//!
//! Requests come in through `server` (TLS, one port), pass `access` (who may call what) and reach `services`. `fleet` is what is known of
//! hosts now, `sessions` are their open streams. `conductor` carries rollouts out and is the only one that touches them; `rollout` is the
//! pure engine that decides. `advisory` is what is known of holes, `finding` what that means for a host, both pure as well. `feeds` reads what
//! others publish, `refresh` brings it into use, and `assessor` keeps the findings of the fleet true. What must survive is in `store`, as
//! `records`; `pki` makes certificates and tokens.

pub mod access;
pub mod advisory;
pub mod app;
pub mod assessor;
pub mod cli;
pub mod conductor;
pub mod feeds;
pub mod finding;
pub mod finding_log;
pub mod fleet;
#[doc(hidden)]
pub mod fuzzing;
pub mod metrics;
pub mod pace;
pub mod pki;
pub mod random;
pub mod records;
pub mod refresh;
mod revocation;
pub mod rollout;
pub mod rollout_log;
pub mod server;
pub mod services;
pub mod sessions;
pub mod setup;
pub mod store;

//! The Patchwave agent: reports what a host has installed and applies staged patches.
//!
//! * [`config`] reads the settings, [`cli`] is the command line (and the whole program: `cli::main`, so that others can re-execute
//!   themselves as the agent).
//! * [`doctor`] finds what will hurt.
//! * [`hold`] is the local stop that a host's owner sets.
//! * [`health`] runs the health checks of a policy.
//! * [`identity`] is who the host is: enrolment, the key and certificate on disk, renewal.
//! * [`inventory`] notices that packages changed and knows the machine's facts.
//! * [`packages`] reaches the package managers.
//! * [`patching`] applies staged patches and takes them back.
//! * [`run`] is the service that puts these together.
//! * [`session`] is the one stream to the controller: a core without I/O and a thin task around it.

pub mod cli;
pub mod config;
pub mod doctor;
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
mod hint;
pub mod hold;
pub mod identity;
pub mod inventory;
pub mod packages;
pub mod patching;
pub mod run;
pub mod session;

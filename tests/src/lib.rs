//! The harness: real Debian hosts on one machine, for system tests.
//!
//! * [`Fleet`] is a bridge with a forwarding, caching proxy to Debian's archive, and the [`Host`]s on it: each a Debian
//!   booted by systemd-nspawn on an overlay of one cached root, with its own address in its own network namespace.
//! * [`Machine`] says what this machine lacks for that; a test that cannot run says so loudly ([`left_out`]).
//! * [`Binaries`], [`Controller`] and [`Host::install_agent`] bring Patchwave itself in.
//! * [`real_patches`] chooses real packages with an older and a newer version, or builds some.
//!
//! What a run makes on the machine (mounts, namespaces, control groups, processes) bears the number of its [`Slot`], goes
//! when the fleet is dropped, and is swept by the next run if this one was killed. Nothing else is ever touched.
//!
//! `tests/README.md` has an example. Calls block; errors are [`anyhow::Error`], since a test only reports them.

mod agent;
mod archive;
mod base;
mod binaries;
mod command;
mod container;
mod control_groups;
mod controller;
mod fleet;
mod host;
mod host_files;
pub mod load;
mod machine;
mod mounts;
mod network;
mod overlay;
mod real_patches;
mod slot;
mod source_copy;
mod sweep;
mod wait;

pub use agent::AgentInstallation;
pub use binaries::Binaries;
pub use command::Finished;
pub use controller::{Controller, ControllerSetup};
pub use fleet::Fleet;
pub use host::Host;
pub use host_files::AptTransaction;
pub use machine::{Machine, left_out, say_left_out};
pub use real_patches::{RealPatch, RealPatches, real_patches};
pub use slot::Slot;
pub use source_copy::SourceCopy;
pub use sweep::sweep_abandoned;
pub use wait::wait_for;

pub use patchwave_debian_repository as debian_repository;

//! Real Debian packages and a real apt repository, made with Debian's essential tools alone.
//!
//! Three parts, each usable without the others:
//!
//! * [`Package`] describes a binary package; [`Package::build`] makes a `.deb` of it with `dpkg-deb`.
//! * [`Repository`] is a directory that apt accepts as an archive: a pool of `.deb` files and an index that it writes itself
//!   (apt-ftparchive is not on a minimal system). Versions come and go; what is withdrawn from the index may stay downloadable.
//! * [`RepositoryServer`] serves a directory over HTTP, and fails on request ([`Fault`]) so that tests see broken archives.
//!
//! [`Sandbox`] lays out a package root that an ordinary user can drive with apt and dpkg, without touching the system's own.
//!
//! Terms: a *pool* holds package files, an *index* (`Packages`) lists them, the *Release file* names the archive and the
//! indexes' hashes; *withdrawing* takes a version out of the index.
//!
//! This crate may not depend on the agent or the controller: both use it in their tests. Its calls block (they run
//! `dpkg-deb` and write files); call them from `spawn_blocking` where that matters. Nothing here signs anything: sources use
//! `[trusted=yes]`, so this is for demos and tests and never for a fleet.

mod deb;
mod error;
mod faults;
mod index;
mod package;
mod repository;
mod sandbox;
mod server;
mod service;
mod source;
mod tool;

pub use error::Error;
pub use faults::Fault;
pub use package::{MaintainerScript, Package};
pub use repository::{PackageFile, Published, ReleaseFields, Repository};
pub use sandbox::Sandbox;
pub use server::RepositoryServer;
pub use source::{Asked, Source};
pub use tool::native_architecture;

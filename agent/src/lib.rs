//! The Patchwave agent: reports what is installed and applies staged patches.

pub mod packages;

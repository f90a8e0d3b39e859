//! The Patchwave controller.

pub mod fleet;
pub mod records;
pub mod sessions;
pub mod store;

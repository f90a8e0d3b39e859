//! The Patchwave controller.

pub mod records;
pub mod store;
pub mod fleet;
pub mod sessions;

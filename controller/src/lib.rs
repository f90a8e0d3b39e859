//! The Patchwave controller.

pub mod records;
pub mod store;

//! The table of built-in kinds of store.

use std::path::Path;
use std::sync::Arc;

use patchwave_common::domain::Digest;

use super::embedded::Embedded;
use super::memory::MemoryEngine;
use super::{Result, Store, StoreError};

/// Opens a store at a path, or makes it where there is none.
type Open = fn(&Path) -> Result<Arc<dyn Store>>;

/// Every kind: its name in the configuration, and how it is opened.
pub const KINDS: &[(&str, Open)] = &[("memory", |_| open_memory())];

/// Opens the store of a kind at a path, or makes it where there is none. The folder above the path must exist.
pub fn open(kind: &str, path: &Path) -> Result<Arc<dyn Store>> {
    match KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, open)) => open(path),
        None => Err(StoreError::UnknownKind {
            kind: kind.to_owned(),
            known: KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// A new store in memory, for tests.
pub fn open_memory() -> Result<Arc<dyn Store>> {
    Ok(Arc::new(Embedded::open(MemoryEngine::default(), random_id)?))
}

/// A new store's id.
fn random_id() -> Digest {
    Digest(rand::random())
}

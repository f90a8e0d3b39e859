//! The table of built-in kinds of store.

use std::path::Path;
use std::sync::Arc;

use patchwave_common::domain::Digest;

use super::embedded::Embedded;
use super::memory::MemoryEngine;
use super::redb::RedbEngine;
use super::sled::SledEngine;
use super::{Result, Store, StoreError};

/// Opens a store at a path, or makes it where there is none.
type Open = fn(&Path) -> Result<Arc<dyn Store>>;

/// Every kind: its name in the configuration, and how it is opened.
pub const KINDS: &[(&str, Open)] = &[
    ("redb", |path| Ok(Arc::new(Embedded::open(RedbEngine::open(path)?, random_id)?))),
    ("sled", |path| Ok(Arc::new(Embedded::open(SledEngine::open(path)?, random_id)?))),
    ("memory", |_| open_memory()),
];

/// The kind that is used where none is named.
pub const DEFAULT_KIND: &str = "redb";

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
pub(super) fn random_id() -> Digest {
    Digest(rand::random())
}

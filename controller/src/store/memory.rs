//! A store in memory, for tests: everything of the others but the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::Result;
use super::embedded::engine::{Engine, RowChange, Rows, Visit};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Rows in memory. A snapshot shares the map; the first commit after it copies.
#[derive(Default)]
pub(crate) struct MemoryEngine {
    rows: RwLock<Arc<Map>>,
}

impl MemoryEngine {
    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rows for Arc<Map> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(BTreeMap::get(self, key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        for (key, value) in self.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))) {
            if !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Rows::get(&self.map(), key)
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.map().scan(from, to, visit)
    }
}

impl Engine for MemoryEngine {
    fn commit(&self, batch: Vec<RowChange>) -> Result<()> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut rows);
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
    fn reopen(&self) -> Result<()> {
        Ok(())
    }
    fn snapshot(&self) -> Result<Box<dyn Rows>> {
        Ok(Box::new(self.map()))
    }
    fn path(&self) -> &Path {
        Path::new("(memory)")
    }
}

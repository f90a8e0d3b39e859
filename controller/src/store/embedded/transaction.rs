//! Rows staged by a group of writes, and by one write of it, before they are committed.
//!
//! A write reads what the group staged before it and stages into a part of its own, which the group takes over only where the whole
//! write succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use patchwave_proto::store::v1;

use super::engine::{RowChange, Rows};
use super::keys::Table;
use super::row;
use crate::store::codec::Stored;
use crate::store::{MAX_VALUE_BYTES, Result, StoreError};

type StagedRows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The writes that one commit makes durable.
pub(crate) struct Group<'a> {
    rows: &'a dyn Rows,
    path: &'a Path,
    before: v1::Meta,
    /// The counters, after the writes so far.
    pub meta: v1::Meta,
    staged: StagedRows,
}

/// What one write staged.
pub(crate) struct Staged {
    rows: StagedRows,
    meta: v1::Meta,
}

impl<'a> Group<'a> {
    pub(crate) fn new(rows: &'a dyn Rows, path: &'a Path, meta: v1::Meta) -> Self {
        Self { rows, path, before: meta.clone(), meta, staged: BTreeMap::new() }
    }

    /// Takes over what a write staged.
    pub(crate) fn take(&mut self, staged: Staged) {
        self.meta = staged.meta;
        self.staged.extend(staged.rows);
    }

    /// The counters and the rows to commit; nothing where nothing changed. Rows that end as they began are left out.
    pub(crate) fn into_batch(mut self) -> Result<Option<(v1::Meta, Vec<RowChange>)>> {
        let mut batch = Vec::with_capacity(self.staged.len() + 1);
        for (key, value) in std::mem::take(&mut self.staged) {
            let old = self.rows.get(&key)?;
            if old == value {
                continue;
            }
            if let Some(old) = &old {
                self.meta.rows = self.meta.rows.wrapping_sub(1);
                self.meta.rows_checksum = self.meta.rows_checksum.wrapping_sub(u64::from(row::stored_checksum(old)));
            }
            if let Some(new) = &value {
                self.meta.rows = self.meta.rows.wrapping_add(1);
                self.meta.rows_checksum = self.meta.rows_checksum.wrapping_add(u64::from(row::stored_checksum(new)));
            }
            batch.push((key, value));
        }
        if batch.is_empty() && self.meta == self.before {
            return Ok(None);
        }
        let key = Table::Meta.only();
        let sealed = row::seal(&key, &self.meta.encode());
        batch.push((key, Some(sealed)));
        Ok(Some((self.meta, batch)))
    }
}

/// One write of a group.
pub(crate) struct Transaction<'a> {
    group: &'a Group<'a>,
    /// The counters, after the changes so far.
    pub meta: v1::Meta,
    staged: StagedRows,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(group: &'a Group<'a>) -> Self {
        Self { group, meta: group.meta.clone(), staged: BTreeMap::new() }
    }

    pub(crate) fn into_staged(self) -> Staged {
        Staged { rows: self.staged, meta: self.meta }
    }

    /// The file or folder, for errors.
    pub(crate) fn path(&self) -> &Path {
        self.group.path
    }

    /// Reads a row as this write and those before it left it.
    pub(crate) fn get<T: Stored>(&self, key: &[u8]) -> Result<Option<T>> {
        let value = match self.staged.get(key).or_else(|| self.group.staged.get(key)) {
            Some(staged) => staged.clone(),
            None => self.group.rows.get(key)?,
        };
        value.map(|value| row::open(self.path(), key, &value)).transpose()
    }

    /// The keys of all rows in a range, as this write and those before it left them; ordered.
    pub(crate) fn keys(&self, from: &[u8], to: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut keys = BTreeSet::new();
        self.group.rows.scan(from, to, &mut |key, _| {
            keys.insert(key.to_vec());
            Ok(true)
        })?;
        for staged in [&self.group.staged, &self.staged] {
            for (key, value) in staged.iter().filter(|(key, _)| key.as_slice() >= from && key.as_slice() < to) {
                if value.is_some() {
                    keys.insert(key.clone());
                } else {
                    keys.remove(key);
                }
            }
        }
        Ok(keys.into_iter().collect())
    }

    /// Whether there is such a row.
    pub(crate) fn has(&self, key: &[u8]) -> Result<bool> {
        match self.staged.get(key).or_else(|| self.group.staged.get(key)) {
            Some(staged) => Ok(staged.is_some()),
            None => Ok(self.group.rows.get(key)?.is_some()),
        }
    }

    /// Stages a row.
    pub(crate) fn put<T: Stored>(&mut self, key: Vec<u8>, record: &T) -> Result<()> {
        let encoded = record.encode();
        if encoded.len() > MAX_VALUE_BYTES {
            return Err(StoreError::TooLarge { what: T::WHAT, size: encoded.len(), limit: MAX_VALUE_BYTES });
        }
        let sealed = row::seal(&key, &encoded);
        self.staged.insert(key, Some(sealed));
        Ok(())
    }

    /// Stages the removal of a row.
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.staged.insert(key, None);
    }
}

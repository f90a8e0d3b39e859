//! Whether all rows are there and as they were written.

use std::path::Path;

use patchwave_proto::store::v1;

use super::engine::Rows;
use super::keys::Table;
use super::row;
use crate::store::{Result, StoreError};

/// Reads every row, checks its checksum, and compares number and sum of all with what the counters say.
pub(super) fn verify(rows: &(impl Rows + ?Sized), path: &Path, meta: &v1::Meta) -> Result<()> {
    let (mut count, mut sum) = (0_u64, 0_u64);
    rows.scan(&Table::Meta.end(), &[u8::MAX], &mut |key, value| {
        row::unseal(path, key, value)?;
        count = count.wrapping_add(1);
        sum = sum.wrapping_add(u64::from(row::stored_checksum(value)));
        Ok(true)
    })?;
    if count != meta.rows {
        return Err(StoreError::damaged(path, format!("it has {count} rows and should have {}", meta.rows)));
    }
    if sum != meta.rows_checksum {
        return Err(StoreError::damaged(path, "rows are not the ones that were written last"));
    }
    Ok(())
}

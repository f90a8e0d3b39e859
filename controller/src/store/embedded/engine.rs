//! What an embedded engine must be able to do: ordered rows, and batches that are atomic and durable.
//!
//! Guards, numbering, checksums and formats are not its business: the adapter checks guards under its one writer lock, which is enough
//! because an engine's files belong to one process.

use std::path::Path;

use crate::store::Result;

/// Told each row of a scan; says whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// A row to be put (`Some`) or removed (`None`).
pub(crate) type RowChange = (Vec<u8>, Option<Vec<u8>>);

/// Ordered rows, read.
pub(crate) trait Rows: Send + Sync {
    /// One row's value.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Visits the rows with a key in `from..to` in ascending order.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()>;
}

/// An engine.
pub(crate) trait Engine: Rows {
    /// Whether opening must read all rows to be sure that none was lost, because the engine itself would not notice.
    const VERIFY_ON_OPEN: bool = false;

    /// Changes all these rows or none of them; on disk when it returns. Keys are distinct. After an error the caller commits nothing more
    /// before a [`Self::reopen`].
    fn commit(&self, batch: Vec<RowChange>) -> Result<()>;
    /// Opens the files anew after a commit failed for want of room; afterwards the rows are as they are on disk.
    fn reopen(&self) -> Result<()>;
    /// The rows as they are now; later commits do not touch it.
    fn snapshot(&self) -> Result<Box<dyn Rows>>;
    /// The file or folder, for errors.
    fn path(&self) -> &Path;
}

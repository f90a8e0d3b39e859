//! What the disk under the store can do: how often a second it makes a small write durable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Long enough for an even rate, short enough to be repeated around what it is compared with.
const SPAN: Duration = Duration::from_secs(1);
/// One page of a store.
const PAGE_BYTES: usize = 4096;
/// The file is written round and round within this size, so that it does not grow while it is synced.
const PAGES: u64 = 256;

/// fdatasync calls a second, each after one page was overwritten.
///
/// # Errors
/// If the file cannot be made or written.
pub fn syncs_per_second(directory: &Path) -> Result<f64> {
    let path = directory.join("sync-rate");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all_at(&vec![0; PAGE_BYTES * usize::try_from(PAGES)?], 0)?;
    file.sync_all()?;
    let (page, began) = ([1; PAGE_BYTES], Instant::now());
    let mut syncs = 0_u32;
    while began.elapsed() < SPAN {
        file.write_all_at(&page, u64::from(syncs) % PAGES * PAGE_BYTES as u64)?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / began.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

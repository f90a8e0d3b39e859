//! How much of a source is read.

/// Bounds on a source. What is beyond a bound on a record costs that record, what is beyond the others ends the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record, unpacked. The largest records of OSV (a kernel with each of its versions) have some 5 MB; one is held at a time.
    pub record_bytes: u64,
    /// Records of one source. OSV's archive of everything holds some 300,000.
    pub records: u64,
    /// Bytes of all records together, unpacked, however well they were packed: a bomb ends here. OSV's archive of everything has 2 GB.
    pub total_bytes: u64,
    /// Bytes of an archive as it lies on the disk: its directory is held in memory, and this bounds it.
    pub archive_bytes: u64,
    /// Directories within directories.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { record_bytes: 16 << 20, records: 1_000_000, total_bytes: 8 << 30, archive_bytes: 2 << 30, depth: 4 }
    }
}

//! A disk without room: the write fails and says so, what was acknowledged stays and can be read, and writes go on when there
//! is room again.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;

use super::{Bed, write};
use crate::store::testing::*;
use crate::store::{Change, Result, Store, StoreError, open};

/// A small file system in memory; mounting needs root.
pub(super) struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    pub(super) fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _left_behind = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

fn append(store: &Arc<dyn Store>, number: u64) -> Result<u64> {
    let records = vec![Bytes::from(vec![number as u8; 40_000])];
    write(store, vec![Change::AppendRollout { rollout: rollout_id("r-1"), expected: number, records }])
}

pub(super) fn a_full_disk_loses_nothing(bed: Bed) {
    let Some(disk) = SmallDisk::mount(32) else {
        eprintln!("LEFT OUT: no file system can be mounted here, so a full disk was not tried with {}", bed.kind);
        return;
    };
    let path = disk.path("store");
    let filler = disk.path("filler");
    std::fs::write(&filler, vec![1; 12 << 20]).unwrap();
    let store = open(bed.kind, &path).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match append(&store, acknowledged) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "the disk never filled");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("hint: free space"), "{error}");
    assert!(acknowledged > 5, "only {acknowledged} writes fitted");
    assert_eq!(store.rollout_revision(&rollout_id("r-1")).unwrap(), acknowledged, "reads go on");
    // Opening its files anew may have found a little room; then it is full again, and says it again.
    let again = loop {
        match append(&store, acknowledged) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "the disk never filled again");
    };
    assert!(matches!(again, StoreError::Full { .. }), "{again:?}");
    std::fs::remove_file(&filler).unwrap();
    append(&store, acknowledged).unwrap();
    acknowledged += 1;
    drop(store);
    let store = open(bed.kind, &path).unwrap();
    assert_eq!(store.rollout_revision(&rollout_id("r-1")).unwrap(), acknowledged);
    for number in 0..acknowledged {
        assert_eq!(store.rollout_log(&rollout_id("r-1"), number, 1).unwrap(), [Bytes::from(vec![number as u8; 40_000])]);
    }
    store.verify().unwrap();
    println!("{}: {acknowledged} writes before the disk was full, all there", bed.kind);
}

//! A real file system whose device stops taking writes: each sync fails from some moment on. Nothing is acknowledged after that, and when the
//! device is well again, all that was is there.
//!
//! The device is a sparse file on a small file system in memory, which is filled up under it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use super::crash::{TASKS, check_task, note, spawn_child};
use super::full_disk::SmallDisk;
use super::{Bed, open};

/// Writes before the device fails.
const WRITES: usize = 60;
/// A child that has not ended by then hangs, and is killed.
const DEADLINE: Duration = Duration::from_secs(10);

struct FailingDisk {
    memory: SmallDisk,
    mounted: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&str], path: &[&Path]) -> bool {
    Command::new(program).args(arguments).args(path).output().is_ok_and(|output| output.status.success())
}

impl FailingDisk {
    fn make() -> Option<Self> {
        let disk = Self { memory: SmallDisk::mount(48)?, mounted: tempfile::tempdir().unwrap() };
        std::fs::File::create(disk.image()).unwrap().set_len(256 << 20).unwrap();
        (run("mkfs.ext4", &["-q", "-F", "-m", "0", "-J", "size=4"], &[&disk.image()]) && disk.mount()).then_some(disk)
    }

    fn image(&self) -> PathBuf {
        self.memory.path("device")
    }

    fn filler(&self) -> PathBuf {
        self.memory.path("filler")
    }

    fn mount(&self) -> bool {
        run("mount", &["-o", "loop,nodiscard"], &[&self.image(), self.mounted.path()])
    }

    fn unmount(&self) -> bool {
        run("umount", &[], &[self.mounted.path()])
    }

    /// From now on no new block reaches the device.
    fn fail(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        let block = vec![1; 1 << 16];
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        let _not_mounted = run("umount", &["--lazy"], &[self.mounted.path()]);
    }
}

pub(super) fn a_device_that_fails_under_the_store_loses_nothing(bed: Bed) {
    let Some(disk) = FailingDisk::make() else {
        eprintln!("LEFT OUT: no file system can be mounted here, so a failing device was not tried with {}", bed.kind);
        return;
    };
    let path = disk.mounted.path().join("store");
    let (mut child, mut lines) = spawn_child(bed.kind, &path);
    let mut acknowledged = [0_u64; TASKS];
    let mut seen = 0;
    while seen < WRITES {
        seen += usize::from(note(&lines.next().expect("the child ended by itself").unwrap(), &mut acknowledged));
    }
    disk.fail();
    let (sender, said) = sync_channel(1);
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| sender.send(line).unwrap()));
    let deadline = Instant::now() + DEADLINE;
    let mut errors = Vec::new();
    let hung = loop {
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(" failed: ") => errors.push(line),
            Ok(line) => seen += usize::from(note(&line, &mut acknowledged)),
            Err(RecvTimeoutError::Disconnected) => break false,
            Err(RecvTimeoutError::Timeout) => break true,
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    said.iter().for_each(|line| seen += usize::from(note(&line, &mut acknowledged)));
    reader.join().unwrap();
    // The device is well again. What only the kernel's memory had is forgotten with the mount.
    std::fs::remove_file(disk.filler()).unwrap();
    assert!(disk.unmount() && disk.mount(), "the file system itself did not survive");
    println!("{}: the device failed after {seen} acknowledged writes; {}", bed.kind, errors.last().map_or("it hung", String::as_str));
    assert!(!hung, "{}: the writer hangs on a device that fails", bed.kind);
    assert_eq!(errors.len(), TASKS, "each write that waited is answered: {errors:?}");
    let store = open(bed.kind, &path).unwrap();
    store.verify().unwrap();
    for (task, &promised) in acknowledged.iter().enumerate() {
        check_task(store.as_ref(), task, promised, 0);
    }
}

//! A disk in memory under redb, for tests. It knows what a power cut would leave, and fails on demand.
//!
//! Terms: the *file* is what a process reads; the *platter* is what is certainly there after a power cut. A *step* is one thing done to the
//! file. A failed sync does to it what Linux does: each dirty page reaches the platter or not, and all are taken for clean.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::{RedbEngine, build};
use crate::store::Result;
use crate::store::dice::Dice;
use crate::store::embedded::Embedded;
use patchwave_common::domain::Digest;

/// Unit in which the kernel writes back.
pub(super) const PAGE: usize = 4096;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLength(usize),
    Synced,
    /// The store has acknowledged its write with this revision.
    Acknowledged(u64),
}

/// What fails, after so many operations of its kind that do not.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub on: Operation,
    pub after: usize,
    pub error: ErrorKind,
    /// Whether all operations of the kind fail from then on, or only one.
    pub stays: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Writes and growth.
    Write,
    Sync,
}

#[derive(Default)]
struct State {
    file: Vec<u8>,
    platter: Vec<u8>,
    dirty: BTreeSet<usize>,
    steps: Vec<Step>,
    fault: Option<Fault>,
    failed: bool,
    done: [usize; 2],
    dice: Option<Dice>,
}

/// The disk; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl fmt::Debug for Disk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Disk")
    }
}

impl Disk {
    /// A disk on which a file with these bytes was found.
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.state().platter.clone_from(&bytes);
        disk.state().file = bytes;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens the store on it; `cache_bytes` as in the engine.
    pub(super) fn open(&self, cache_bytes: usize) -> Result<Embedded<RedbEngine>> {
        let (path, disk) = (Path::new("/on-the-disk/store"), self.clone());
        let engine = RedbEngine::over(path, Box::new(move || build(Path::new("/on-the-disk/store"), disk.clone(), cache_bytes)))?;
        Embedded::open(engine, || Digest::of(b"id"))
    }

    /// What a process would read now.
    pub(super) fn file(&self) -> Vec<u8> {
        self.state().file.clone()
    }

    /// What a power cut leaves at least.
    pub(super) fn platter(&self) -> Vec<u8> {
        self.state().platter.clone()
    }

    pub(super) fn note(&self, step: Step) {
        self.state().steps.push(step);
    }

    pub(super) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.state().steps)
    }

    pub(super) fn fail(&self, fault: Fault, dice: Dice) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.failed = false;
        state.done = [0; 2];
        state.dice = Some(dice);
    }

    /// Whether the fault was met.
    pub(super) fn failed(&self) -> bool {
        self.state().failed
    }

    pub(super) fn mend(&self) {
        self.state().fault = None;
    }

    /// Changes a byte behind the store's back.
    pub(super) fn garble(&self, at: usize, mask: u8) {
        let mut state = self.state();
        state.file[at] ^= mask;
        state.platter = state.file.clone();
    }
}

impl State {
    /// The error of an operation that is to fail.
    fn due(&mut self, operation: Operation) -> Option<Error> {
        let done = self.done[operation as usize];
        self.done[operation as usize] += 1;
        let fault = self.fault.as_ref().filter(|fault| fault.on == operation)?;
        if done < fault.after || (done > fault.after && !fault.stays) {
            return None;
        }
        self.failed = true;
        Some(Error::from(fault.error))
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.file[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.dirty.extend(offset / PAGE..(offset + bytes.len()).div_ceil(PAGE));
        self.steps.push(Step::Write { offset, bytes: bytes.to_vec() });
    }

    /// Brings dirty pages to the platter; those that `reaches` refuses are forgotten.
    fn write_back(&mut self, mut reaches: impl FnMut() -> bool) {
        self.platter.resize(self.file.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            let (from, to) = ((page * PAGE).min(self.file.len()), ((page + 1) * PAGE).min(self.file.len()));
            if reaches() {
                self.platter[from..to].copy_from_slice(&self.file[from..to]);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.state().file.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let state = self.state();
        let found = state.file.get(offset..offset + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> std::io::Result<()> {
        let mut state = self.state();
        let length = usize::try_from(length).unwrap();
        if length > state.file.len()
            && let Some(error) = state.due(Operation::Write)
        {
            return Err(error);
        }
        state.file.resize(length, 0);
        state.steps.push(Step::SetLength(length));
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        let mut state = self.state();
        if let Some(error) = state.due(Operation::Sync) {
            let mut dice = state.dice.take().unwrap_or(Dice::new(0));
            state.write_back(|| dice.once_in(2));
            state.dice = Some(dice);
            return Err(error);
        }
        state.write_back(|| true);
        state.steps.push(Step::Synced);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let mut state = self.state();
        let offset = usize::try_from(offset).unwrap();
        if let Some(error) = state.due(Operation::Write) {
            // A full disk takes the first part.
            state.write(offset, &bytes[..bytes.len() / 2]);
            return Err(error);
        }
        state.write(offset, bytes);
        Ok(())
    }
}

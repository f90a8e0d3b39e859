//! One number per running fleet, so that several runs share a machine and a killed run's remains can be told apart.
//!
//! A slot is a directory below [`STATE`] with a locked file in it. The lock goes with the process that holds it, however it
//! ends; whoever gets the lock of a slot that has remains knows that their maker is dead.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::sweep;

/// Where runs keep overlays, logs and locks. Owned by root, below a directory that only root may write, on a real disk.
pub(crate) const STATE: &str = "/var/lib/patchwave-tests";

/// How many fleets may run on one machine at once; each takes a network 198.18.N.0/24 (RFC 2544's range for test benches,
/// which no real network uses).
const SLOTS: u8 = 32;

/// The exclusive use of one number until dropped.
#[derive(Debug)]
pub struct Slot {
    number: u8,
    /// Held for its lock.
    _lock: File,
}

impl Slot {
    /// Takes the first free slot, after sweeping what a killed run left in it.
    pub(crate) fn take() -> Result<Self> {
        for number in 0..SLOTS {
            if let Some(slot) = Self::try_take(number)? {
                sweep::slot(&slot).with_context(|| format!("cannot clean up after the killed run in slot {number}"))?;
                fs::create_dir_all(slot.directory()).context("cannot make the slot's directory")?;
                return Ok(slot);
            }
        }
        bail!("all {SLOTS} slots are taken (hint: are that many system tests running? see {STATE})")
    }

    /// Takes this slot unless a living run has it.
    pub(crate) fn try_take(number: u8) -> Result<Option<Self>> {
        fs::create_dir_all(STATE).with_context(|| format!("cannot make {STATE}"))?;
        let path = Path::new(STATE).join(format!("slot-{number}.lock"));
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { number, _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(failed)) => Err(failed).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// The numbers of all slots that were ever taken on this machine.
    pub(crate) fn known() -> impl Iterator<Item = u8> {
        (0..SLOTS).filter(|number| Path::new(STATE).join(format!("slot-{number}.lock")).exists())
    }

    /// The slot's number.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Everything of this run on disk.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        Path::new(STATE).join(format!("slot-{}", self.number))
    }

    /// The bridge's name; interface names have at most 15 characters.
    pub(crate) fn bridge(&self) -> String {
        format!("{}br", self.interface_prefix())
    }

    /// What every interface of this slot on the machine's side begins with. The letter after the number keeps slot 1 from
    /// matching slot 12.
    pub(crate) fn interface_prefix(&self) -> String {
        format!("pwt{}-", self.number)
    }

    /// What network namespaces, control groups and machine names of this slot begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("patchwave-tests-{}-", self.number)
    }

    /// The machine's own address on the bridge.
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// The address of the host with this number, counted from 0.
    pub(crate) fn address(&self, host: u8) -> Option<Ipv4Addr> {
        host.checked_add(10).map(|last| Ipv4Addr::new(198, 18, self.number, last))
    }
}

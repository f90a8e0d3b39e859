//! The controller's parts, put together once and shared by every service.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::runtime::clock::Clock;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::access::Directory;
use crate::assessor::AssessorHandle;
use crate::conductor::ConductorHandle;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::pace::Paces;
use crate::pki::Authority;
use crate::refresh::Feeds;
use crate::sessions::Sessions;
use crate::store::{StoreError, StoreHandle, StoreRead};

/// What an operator of the controller may set beside addresses and paths.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Time between two heartbeats of an agent.
    pub heartbeat: Duration,
    /// After a start, hosts that are not there are unknown, not offline, for this long.
    pub grace: Duration,
    /// Life of a host's certificate; renewed at two thirds.
    pub host_certificate_life: Duration,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(30), grace: Duration::from_secs(90), host_certificate_life: crate::pki::HOST_LIFETIME }
    }
}

/// Every part.
pub struct App {
    /// What is on disk.
    pub store: StoreHandle,
    /// Hosts as they are now.
    pub fleet: Arc<Fleet>,
    /// Open streams.
    pub sessions: Arc<Sessions>,
    /// Civil time, for certificates, records of what people did, and the comparison with the clocks of hosts.
    pub clock: Arc<dyn Clock>,
    /// The conductor's time, for spans: a jump of the civil clock ends none.
    pub steady: Arc<dyn Clock>,
    /// Makes certificates.
    pub authority: Arc<Authority>,
    /// Where authority and settings are, for backups.
    pub state_dir: std::path::PathBuf,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// Carries rollouts out.
    pub conductor: ConductorHandle,
    /// Keeps findings true.
    pub assessor: AssessorHandle,
    /// Brings feeds up to date.
    pub feeds: Arc<Feeds>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Places for inventories and candidates that are being put together and stored.
    pub contents: Contents,
    /// How fast each host may talk.
    pub paces: Paces,
    /// Spans.
    pub settings: AppSettings,
}

/// Packages of the inventories and candidates that are put together and stored at once. Few enough that a fleet which reports at one
/// instant takes some MB for it and not some hundreds (4,000 packages are half a MB, and in the store's queue once more), and that one of
/// the largest (200,000) goes at a time.
const PACKAGES_AT_ONCE: u32 = 256_000;
/// What each takes at least, so that there are 64 at once, which fills a group commit.
const PACKAGES_AT_LEAST: u32 = 4_000;

/// Places for contents.
#[derive(Debug)]
pub struct Contents(Semaphore);

impl Default for Contents {
    fn default() -> Self {
        Self(Semaphore::new(PACKAGES_AT_ONCE as usize))
    }
}

impl Contents {
    /// Waits for the place of one with so many packages; nothing when the controller ends.
    pub async fn place(&self, packages: usize) -> Option<SemaphorePermit<'_>> {
        let packages = u32::try_from(packages).unwrap_or(PACKAGES_AT_ONCE).clamp(PACKAGES_AT_LEAST, PACKAGES_AT_ONCE);
        self.0.acquire_many(packages).await.ok()
    }
}

impl App {
    /// Reads from the store on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn StoreRead) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.store.read(read).await
    }

    /// Changes whenever something was written, so that whoever follows the events need not poll.
    #[must_use]
    pub fn events_changed(&self) -> watch::Receiver<u64> {
        self.store.revisions()
    }

    /// Everything needed to stand up the controller elsewhere, the authority's key included.
    pub fn backup(&self, writer: &mut dyn std::io::Write) -> anyhow::Result<()> {
        crate::setup::write_backup(self.store.store().as_ref(), &self.state_dir, self.clock.now(), writer).map(drop)
    }
}

//! A bridge, a proxy to Debian's archive, and the hosts on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use patchwave_debian_repository::{ReleaseFields, Repository, RepositoryServer};

use crate::archive::{Archive, Sites};
use crate::{Host, Machine, Slot, base, left_out, network, sweep};

/// Lets one fleet at a time exist in a process: `cargo test` runs tests as threads, and each fleet wants the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Everything a system test has on the machine; dropping it removes it all.
///
/// Hosts are shared out as [`Arc`]s, so that a test can drive them from several threads.
#[derive(Debug)]
pub struct Fleet {
    // Fields are dropped in this order; the slot's lock goes last.
    hosts: Mutex<Vec<Arc<Host>>>,
    next_host: AtomicU8,
    layers: Vec<PathBuf>,
    proxy: RepositoryServer,
    slot: Slot,
}

impl Fleet {
    /// Runs a system test on a fleet without hosts yet, or says loudly that this machine cannot; `name` names the test.
    ///
    /// When the test fails, by an error or a panic, the state of all hosts is printed before they go.
    ///
    /// # Errors
    /// The test's own, or what keeps the fleet from being made.
    ///
    /// # Panics
    /// Where `tests/run` expects everything to run and this cannot.
    pub fn test(name: &str, test: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fleet) = Self::for_test(name)? else { return Ok(()) };
        let outcome = test(&fleet);
        if outcome.is_err() {
            fleet.report();
        }
        outcome
    }

    /// A fleet without hosts yet; or `None`, said loudly, where this machine cannot carry one.
    fn for_test(test: &str) -> Result<Option<Self>> {
        let lacks = Machine::lacks();
        if !lacks.is_empty() {
            left_out(test, &format!("needs {}", lacks.join(", ")));
            return Ok(None);
        }
        let (cache, sites) = (base::cache(), Sites::of_this_machine());
        let archive = Archive::new(&cache.join("archive"), &sites);
        let reachable = sites.release_files().iter().all(|address| archive.file(address).is_ok());
        if !reachable && !base::is_cached(&cache) {
            left_out(test, "Debian's archive cannot be reached and no host was cached before");
            return Ok(None);
        }
        Self::start(&sites).map(Some)
    }

    fn start(sites: &Sites) -> Result<Self> {
        sweep::sweep_abandoned()?;
        let slot = Slot::take()?;
        network::make_bridge(&slot)?;
        let cache = base::cache();
        let archive = || Archive::new(&cache.join("archive"), sites);
        let proxy = archive().serve(slot.gateway())?;
        let maker = base::Maker { slot: &slot, archive: &archive(), sites, proxy: &proxy.url() };
        let layers = base::layers(&cache, &maker).context("cannot prepare the hosts' root")?;
        Ok(Self { hosts: Mutex::default(), next_host: AtomicU8::new(0), layers, proxy, slot })
    }

    /// Boots a host and waits until it is up.
    ///
    /// # Errors
    /// If it cannot be made or does not boot.
    pub fn host(&self, name: &str) -> Result<Arc<Host>> {
        let mut hosts = self.hosts(&[name])?;
        hosts.pop().context("one host was asked for and none made")
    }

    /// Boots several hosts at once and waits until all are up; in the order of their names given.
    ///
    /// # Errors
    /// If one cannot be made or does not boot.
    pub fn hosts(&self, names: &[&str]) -> Result<Vec<Arc<Host>>> {
        let mut made = Vec::new();
        for name in names {
            let number = self.next_host.fetch_add(1, Ordering::Relaxed);
            let host = Arc::new(Host::create(&self.slot, &self.layers, name, number, &self.proxy.url())?);
            self.lock_hosts().push(Arc::clone(&host));
            made.push(host);
        }
        for host in &made {
            host.wait_until_booted()?;
        }
        Ok(made)
    }

    /// This machine's address as the hosts see it: where a controller or a repository listens.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.slot.gateway()
    }

    /// The proxy through which hosts reach Debian's archive: it can be made to fail, and knows what was asked for.
    #[must_use]
    pub fn archive_proxy(&self) -> &RepositoryServer {
        &self.proxy
    }

    /// A directory for the test's own files, gone with the fleet.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.slot.directory().join("files").join(name);
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(directory)
    }

    /// An empty repository and its server on the bridge; `server.url()` is what [`Repository::source_line`] wants.
    ///
    /// # Errors
    /// If it cannot be written or served.
    pub fn repository(&self, name: &str, release: ReleaseFields) -> Result<(Repository, RepositoryServer)> {
        let repository = Repository::create(&self.directory(name)?, release)?;
        let server = RepositoryServer::start(SocketAddr::from((self.address(), 0)), repository.directory())?;
        Ok((repository, server))
    }

    /// The fleet's number and place on disk.
    #[must_use]
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    fn lock_hosts(&self) -> MutexGuard<'_, Vec<Arc<Host>>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What helps to understand a failed test: each host's failed units, the end of its journal and its agent's.
    #[allow(clippy::print_stderr)] // A failing test's report.
    fn report(&self) {
        for host in self.lock_hosts().iter() {
            let failed = host.failed_units().unwrap_or_default();
            let agent = host.journal(crate::agent::UNIT, 60).unwrap_or_else(|failed| failed.to_string());
            eprintln!("=== {}: failed units {failed:?}; its agent:\n{agent}\n--- console:\n{}", host.name(), host.console());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report();
        }
        let hosts = std::mem::take(&mut *self.lock_hosts());
        std::thread::scope(|scope| {
            for host in &hosts {
                scope.spawn(|| host.stop_at_once());
            }
        });
        if let Err(failed) = sweep::slot(&self.slot) {
            #[allow(clippy::print_stderr)] // Dropping cannot return it; the next run sweeps again.
            {
                eprintln!("cannot clean up slot {}: {failed:#}", self.slot.number());
            }
        }
    }
}

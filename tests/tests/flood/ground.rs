//! A controller with healthy agents, and the judgement over what a flood did to them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use patchwave::pki::PkiFiles;
use patchwave_tests::load::{Certificates, Content, LoadController, Memory, Process, now};
use patchwave_tests::{Binaries, wait_for};

use super::crowd::PATIENCE;
use super::healthy::{HEARTBEAT, Healthy, STAYING};

/// Hosts that know the controller and do not behave; numbered after the healthy ones.
pub const CROWD: u32 = 20;
/// The first of them.
pub const FIRST: u32 = STAYING + 1;
/// Packages of every host at first.
const PACKAGES: u32 = 400;
/// A heartbeat is answered within this: half of the time after which an agent gives its stream up, on a machine whose cores the flood and
/// the controller share.
const ANSWER: Duration = Duration::from_millis(1_500);
/// One that comes back is welcome within this: half of what an agent waits for a connection. A welcome waits for the disk, on which one of
/// the largest inventories may be under way.
const RETURN: Duration = Duration::from_secs(10);
/// Rounds of heartbeats before and after a flood.
const ROUNDS: u32 = 2;

/// Floods do not run beside each other: each would measure the other.
static ALONE: Mutex<()> = Mutex::new(());

/// What a flood is let loose on.
pub struct Ground {
    controller: LoadController,
    process: Process,
    pub certificates: Certificates,
    pub content: Arc<Content>,
    healthy: Healthy,
    _directory: tempfile::TempDir,
}

impl Ground {
    fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let program = Binaries::find()?.patchwave;
        let controller = LoadController::make(&program, directory.path(), FIRST + CROWD, PACKAGES)?;
        controller.set(&format!("heartbeat = \"{}s\"\n", HEARTBEAT.as_secs()))?;
        let process = controller.serve()?;
        let certificates = Certificates::new(PkiFiles::new(&controller.pki()).load()?, now())?;
        let content = Arc::new(Content::new(PACKAGES)?);
        let healthy = Healthy::start(&certificates, content.clone(), controller.address())?;
        Ok(Self { controller, process, certificates, content, healthy, _directory: directory })
    }

    pub fn address(&self) -> SocketAddr {
        self.controller.address()
    }

    /// An operator's verb.
    pub fn operate(&self, arguments: &[&str]) -> Result<()> {
        self.controller.operate(arguments).map(drop)
    }

    /// Waits until the controller's log says something.
    pub fn logged(&self, what: &str) -> Result<()> {
        wait_for(what, PATIENCE, || Ok(std::fs::read_to_string(self.controller.log())?.contains(what).then_some(())))
    }

    /// Waits until each healthy agent beat so many times more.
    pub async fn meanwhile(&self, rounds: u32) -> Result<()> {
        self.healthy.go_on(rounds).await
    }

    pub fn memory(&self) -> Result<Memory> {
        self.process.memory()
    }

    /// Connections and files that the controller has open.
    pub fn descriptors(&self) -> Result<usize> {
        self.process.descriptors()
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.controller.log()).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }
}

/// Lets a flood loose and judges: healthy agents were answered in time during it and after it, and the controller's resident memory never
/// grew by more than `grows_mib`. The flood gives what is worth telling.
pub fn flood(name: &str, grows_mib: u64, flood: impl AsyncFnOnce(&Ground) -> Result<String>) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let ground = Ground::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let judged = runtime.block_on(async {
        ground.meanwhile(ROUNDS).await?;
        let (calm, before) = (ground.healthy.look(), ground.memory()?);
        let told = flood(&ground).await.with_context(|| format!("the flood itself: {name}"));
        let (during, full) = (ground.healthy.look(), ground.memory()?);
        let told = told.with_context(|| format!("meanwhile {during:?}"))?;
        ground.meanwhile(ROUNDS).await.with_context(|| format!("after {name}: {:?}", ground.healthy.look()))?;
        let (after, end) = (ground.healthy.look(), ground.memory()?);
        let mib = |bytes: u64| bytes >> 20;
        say(&format!(
            "{name}: {told}. Heartbeats: worst {:?} of {} (before {:?}, after {:?}); back within {:?} (before {:?}, after {:?}); resident \
             MiB {} before, {} then, {} after, peak {} (bound {} more than before)",
            during.worst,
            during.total() - calm.total(),
            calm.worst,
            after.worst,
            during.worst_return,
            calm.worst_return,
            after.worst_return,
            mib(before.resident),
            mib(full.resident),
            mib(end.resident),
            mib(end.peak),
            grows_mib,
        ));
        ensure!(after.broken.is_empty(), "healthy agents broke: {:?}", after.broken);
        let (worst, worst_return) = (during.worst.max(after.worst), during.worst_return.max(after.worst_return));
        ensure!(worst < ANSWER, "a heartbeat was answered after {worst:?}");
        ensure!(worst_return < RETURN, "one that came back was welcome after {worst_return:?}");
        ensure!(mib(end.peak) <= mib(before.resident) + grows_mib, "memory grew from {} to {} MiB", mib(before.resident), mib(end.peak));
        Ok(())
    });
    let judged = judged.with_context(|| format!("the controller's log, newest first:\n{}", ground.log_end()));
    // A flood's tasks hold connections; they go before the controller does.
    runtime.shutdown_background();
    judged
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "FLOOD {line}");
}

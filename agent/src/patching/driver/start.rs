//! Starting the driver: what an earlier run left is read, and the machine goes on from there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use patchwave_common::domain::Generation;
use patchwave_common::runtime::atomic_file::FileError;
use patchwave_common::runtime::clock::Clock;
use tokio::sync::{mpsc, watch};

use super::{Driver, FACTS};
use crate::health::HealthContext;
use crate::packages::PackageManager;
use crate::patching::PatchingSettings;
use crate::patching::driver::staging::Staging;
use crate::patching::driver::work::Work;
use crate::patching::handle::{Command, Event, PatchingStatus};
use crate::patching::machine::{Case, Fence, Left, Machine, Moment};
use crate::patching::store::Store;
use crate::patching::transaction::Launcher;

/// Starts the driver's task.
pub(in crate::patching) fn start(
    settings: PatchingSettings,
    manager: Arc<dyn PackageManager>,
    clock: Arc<dyn Clock>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Event>,
) -> Result<watch::Receiver<PatchingStatus>, FileError> {
    let store = Store::open(&settings.directory())?;
    let left = read_left(&store, &settings.state_dir)?;
    let now = Moment { boot_id: clock.boot_id(), boottime_ms: clock.boottime_ms(), wall: clock.now() };
    let (machine, first) = Machine::restored(&now, left);
    let launcher = Launcher::new(settings.runner.clone(), settings.isolation, clock.boot_id());
    let health = HealthContext { checks_dir: settings.checks_dir.clone(), root: settings.root.clone() };
    let (tell, told) = mpsc::channel(FACTS);
    let placeholder =
        PatchingStatus { state: String::new(), history: None, newest_generation: None, hold: None, directory: settings.directory() };
    let (status, status_receiver) = watch::channel(placeholder);
    let driver = Driver {
        machine,
        store: Arc::new(Mutex::new(store)),
        work: Arc::new(Work::new(settings, manager, launcher)),
        health: Arc::new(health),
        clock,
        commands,
        told,
        tell,
        events,
        status,
        staging: Staging::default(),
        unsaved_fence: None,
        pinned: None,
        cleaned_at: None,
        cleaning: false,
    };
    // Before the first command: a hello that is made at once must carry what this host was doing.
    driver.status.send_replace(driver.present_status());
    tokio::spawn(driver.run(first));
    Ok(status_receiver)
}

/// What an earlier run left. What cannot be read does not keep the agent from running, only from taking orders.
fn read_left(store: &Store, state_dir: &Path) -> Result<Left, FileError> {
    let hold = crate::hold::read(state_dir).map(|hold| hold.reason);
    let cases = store.cases()?;
    let mut damage: Vec<String> = cases.damaged.iter().map(ToString::to_string).collect();
    let mut fence_is_sound = true;
    let fence = store.fence().unwrap_or_else(|error| {
        fence_is_sound = false;
        damage.push(format!("{error} (hint: move it away after making sure that no rollout orders this host)"));
        Default::default()
    });
    let quarantine = store.quarantine().unwrap_or_else(|error| {
        tracing::error!(%error, "the quarantine cannot be read; the controller will tell it again");
        Default::default()
    });
    for detail in &damage {
        tracing::error!(detail, "what patching left cannot be read");
    }
    let case = present_case(cases.cases);
    let blocks = !damage.is_empty() && (!fence_is_sound || !newest_is_over(&fence, case.as_ref()));
    Ok(Left { fence, case, damage: blocks.then(|| damage.join("; ")), hold, quarantine })
}

/// An order ends only where nothing older is going on, so damage beside one that ended is about the past, and keeps only that from being
/// taken back.
fn newest_is_over(fence: &Fence, case: Option<&Case>) -> bool {
    let told = fence.last.as_ref().is_some_and(|last| Some(last.generation) == fence.newest);
    let read = case.is_some_and(|case| case.is_ended() && Some(case.history.generation) == fence.newest);
    told || read
}

/// The case that is not over: one that has begun comes first, whatever came later. Otherwise the newest, over or not; an older one on which
/// nothing was begun was replaced by it.
fn present_case(cases: BTreeMap<Generation, Case>) -> Option<Case> {
    let newest = |case: &Case| case.history.generation.max(case.apply.generation);
    let begun = cases.values().filter(|case| case.changed && !case.is_ended()).max_by_key(|case| newest(case)).cloned();
    begun.or_else(|| cases.into_values().max_by_key(newest))
}

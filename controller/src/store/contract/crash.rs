//! kill -9: child processes write and acknowledge on their standard output, are killed at random moments, and every acknowledged write
//! is there. Of sled's stores one in several hundred does not open again on a busy machine: it has to say so, and how to go on.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::Bytes;

use super::Bed;
use super::damage::copy;
use crate::store::dice::{Dice, number_from};
use crate::store::testing::*;
use crate::store::{Change, Guard, Store, StoreError, StoreHandle, StoreRead, Write, open};

/// Kills of each kind of store; `PATCHWAVE_TESTS_STORE_KILLS` asks for more.
const KILLS: u64 = 100;
/// Stores among which the kills are shared out, so that each has many and none grows large. As many children run at once.
const CHAINS: usize = 4;
pub(super) const TASKS: usize = 6;
/// The kind that may refuse to open what a kill left, and the largest share of kills after which it may: one in so many.
const MAY_REFUSE: (&str, usize) = ("sled", 20);
const CHILD: &str = "store::contract::crash::child_that_writes_until_it_is_killed";
const KIND_VARIABLE: &str = "PATCHWAVE_TEST_STORE_KIND";
const PATH_VARIABLE: &str = "PATCHWAVE_TEST_STORE_PATH";

pub(super) fn every_acknowledged_write_survives_kill_9(bed: Bed) {
    let mut dice = Dice::seeded("kill -9", 20_261_127);
    let kills = usize::try_from(number_from("PATCHWAVE_TESTS_STORE_KILLS", KILLS)).unwrap().div_ceil(CHAINS);
    let chains: Vec<Dice> = (0..CHAINS).map(|_| Dice::new(dice.next())).collect();
    let kind = bed.kind;
    let (acknowledged, refused) = std::thread::scope(|scope| {
        let chains: Vec<_> = chains.into_iter().map(|dice| scope.spawn(move || kill_often(kind, kills, dice))).collect();
        chains.into_iter().map(|chain| chain.join().unwrap()).fold((0, 0), |sum, chain| (sum.0 + chain.0, sum.1 + chain.1))
    });
    let kills = kills * CHAINS;
    println!("{kind}: {kills} kills, {acknowledged} acknowledged writes, all there but those of {refused} stores that were refused");
    let permitted = if kind == MAY_REFUSE.0 { kills.div_ceil(MAY_REFUSE.1) } else { 0 };
    assert!(refused <= permitted, "{kind}: {refused} stores of {kills} were refused");
}

/// Kills one child after the other on one store; gives the number of acknowledged writes and how many stores were refused, each of which
/// the next one took the place of.
fn kill_often(kind: &'static str, kills: usize, mut dice: Dice) -> (u64, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut there = [0_u64; TASKS];
    let (mut total, mut refused) = (0, 0);
    for run in 0..kills {
        let mut acknowledged = there;
        // One in five at any moment after its start, which may be while it opens the store; the others at any moment of their work.
        let wanted = if dice.once_in(5) { 0 } else { 1 + dice.below(60) };
        let pause = Duration::from_micros(dice.below(if wanted == 0 { 40_000 } else { 3_000 }) as u64);
        total += run_child(kind, &path, wanted, pause, &mut acknowledged);
        if !path.exists() {
            continue;
        }
        // The next child opens what this one left, or what an opening in between made of it.
        let copied = folder.path().join("copy");
        let looked_at = if dice.once_in(2) { &path } else { &copied };
        if looked_at == &copied {
            copy(&path, &copied);
        }
        let nobody_starts = STARTING.read().unwrap();
        match open(kind, looked_at) {
            Ok(store) => {
                store.verify().unwrap();
                for (task, &promised) in acknowledged.iter().enumerate() {
                    there[task] = check_task(store.as_ref(), task, promised, run);
                }
            }
            Err(error @ StoreError::Damaged { .. }) => {
                assert!(error.to_string().contains("`patchwave restore`"), "{kind}, run {run}: {error}");
                refused += 1;
                there = [0; TASKS];
                remove(&path);
            }
            Err(error) => panic!("{kind}, run {run}: {error}"),
        }
        drop(nobody_starts);
        remove(&copied);
    }
    (total, refused)
}

fn remove(store: &Path) {
    let _there_may_be_none = std::fs::remove_file(store).or_else(|_| std::fs::remove_dir_all(store));
}

/// Held for reading while this process has a store open: a child that is being started shares its locks until it has become itself.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a child that writes until it is killed; gives what it says.
pub(super) fn spawn_child(kind: &str, path: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let _nobody_has_one_open = STARTING.write().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(KIND_VARIABLE, kind)
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Starts the child, notes what it acknowledges, and kills it after `wanted` acknowledgements and a pause; gives how many there were.
fn run_child(kind: &str, path: &Path, wanted: usize, pause: Duration, acknowledged: &mut [u64; TASKS]) -> u64 {
    let (mut child, mut lines) = spawn_child(kind, path);
    let mut seen = 0;
    while seen < wanted {
        let line = lines.next().expect("the child ended by itself").unwrap();
        seen += usize::from(note(&line, acknowledged));
    }
    // Nothing is waited for: the moment of the kill is what is varied.
    std::thread::park_timeout(pause);
    child.kill().unwrap();
    // What it still said before it died counts too; a line cut by the kill does not.
    for line in lines.map_while(Result::ok) {
        seen += usize::from(note(&line, acknowledged));
    }
    child.wait().unwrap();
    seen as u64
}

/// Reads `acknowledged TASK REVISION.`; other lines are the test harness's.
pub(super) fn note(line: &str, acknowledged: &mut [u64; TASKS]) -> bool {
    let Some(numbers) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('.')) else { return false };
    let (task, revision) = numbers.split_once(' ').unwrap();
    let (task, revision): (usize, u64) = (task.parse().unwrap(), revision.parse().unwrap());
    acknowledged[task] = acknowledged[task].max(revision);
    true
}

/// Asserts that a task's writes are there, whole and in order; gives how many.
pub(super) fn check_task(store: &(impl StoreRead + ?Sized), task: usize, promised: u64, run: usize) -> u64 {
    let rollout = rollout_id(&format!("r-{task}"));
    let revision = store.rollout_revision(&rollout).unwrap();
    assert!(revision >= promised, "run {run}, task {task}: {promised} acknowledged, {revision} there");
    assert!(revision <= promised + 1, "run {run}, task {task}: at most one write is on its way");
    let mut from = 0;
    while from < revision {
        let page = store.rollout_log(&rollout, from, 1_000).unwrap();
        for (number, record) in (from..).zip(&page) {
            assert_eq!(*record, record_of(task, number));
        }
        from += page.len() as u64;
    }
    // The host of each record was put by the same write.
    if let Some(last) = revision.checked_sub(1) {
        assert!(store.host(&host_id(&format!("h-{task}-{last}"))).unwrap().is_some(), "run {run}, task {task}: half a write");
    }
    revision
}

fn record_of(task: usize, number: u64) -> Bytes {
    Bytes::from(format!("record {number} of task {task} {}", "x".repeat((number % 700) as usize)))
}

#[test]
#[ignore = "the child process of the test beside it"]
fn child_that_writes_until_it_is_killed() {
    let (Ok(kind), Some(path)) = (std::env::var(KIND_VARIABLE), std::env::var_os(PATH_VARIABLE)) else { return };
    let store = open(&kind, &PathBuf::from(path)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let handle = StoreHandle::start(Arc::clone(&store)).unwrap();
        let tasks = (0..TASKS).map(|task| write_for_ever(handle.clone(), Arc::clone(&store), task));
        futures::future::join_all(tasks).await;
    });
}

async fn write_for_ever(handle: StoreHandle, store: Arc<dyn Store>, task: usize) {
    let rollout = rollout_id(&format!("r-{task}"));
    for number in store.rollout_revision(&rollout).unwrap().. {
        let changes = vec![
            Change::AppendRollout { rollout: rollout.clone(), expected: number, records: vec![record_of(task, number)] },
            Change::PutHost(Box::new(host(&format!("h-{task}-{number}")))),
        ];
        let guard = Guard::HostRevision { host: host_id(&format!("h-{task}-{number}")), expected: 0 };
        if let Err(error) = handle.write(Write::new(changes).when(guard)).await {
            println!("\ntask {task} failed: {error}");
            return;
        }
        let mut out = std::io::stdout().lock();
        // On a line of its own: the test harness begins one before.
        write!(out, "\nacknowledged {task} {}.\n", number + 1).unwrap();
        out.flush().unwrap();
    }
}

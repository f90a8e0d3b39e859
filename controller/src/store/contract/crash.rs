//! kill -9: a child process writes and acknowledges on its standard output, is killed, and every acknowledged write is there.

use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;

use super::Bed;
use crate::store::testing::*;
use crate::store::{Change, Guard, Store, StoreHandle, StoreRead, Write, open};

const RUNS: usize = 12;
const TASKS: usize = 6;
const CHILD: &str = "store::contract::crash::child_that_writes_until_it_is_killed";
const KIND_VARIABLE: &str = "PATCHWAVE_TEST_STORE_KIND";
const PATH_VARIABLE: &str = "PATCHWAVE_TEST_STORE_PATH";

pub(super) fn every_acknowledged_write_survives_kill_9(mut bed: Bed) {
    let mut acknowledged = [0_u64; TASKS];
    for run in 0..RUNS {
        bed.close();
        // From a handful of writes to some hundred, so that the kill falls into all phases of the files' life.
        let wanted = 3 + run * run * 4;
        run_child_until(&bed, wanted, &mut acknowledged);
        let store = bed.reopen();
        store.verify().unwrap();
        for (task, &promised) in acknowledged.iter().enumerate() {
            check_task(store.as_ref(), task, promised, run);
        }
    }
    let total: u64 = acknowledged.iter().sum();
    println!("{}: {RUNS} kills, {total} acknowledged writes, all there", bed.kind);
}

/// Starts the child, notes what it acknowledges, and kills it after `wanted` acknowledgements.
fn run_child_until(bed: &Bed, wanted: usize, acknowledged: &mut [u64; TASKS]) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(KIND_VARIABLE, bed.kind)
        .env(PATH_VARIABLE, bed.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    while seen < wanted {
        let line = lines.next().expect("the child ended by itself").unwrap();
        seen += usize::from(note(&line, acknowledged));
    }
    child.kill().unwrap();
    // What it still said before it died counts too; a line cut by the kill does not.
    for line in lines.map_while(Result::ok) {
        note(&line, acknowledged);
    }
    child.wait().unwrap();
}

/// Reads `acknowledged TASK REVISION.`; other lines are the test harness's.
fn note(line: &str, acknowledged: &mut [u64; TASKS]) -> bool {
    let Some(numbers) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('.')) else { return false };
    let (task, revision) = numbers.split_once(' ').unwrap();
    let (task, revision): (usize, u64) = (task.parse().unwrap(), revision.parse().unwrap());
    acknowledged[task] = acknowledged[task].max(revision);
    true
}

fn check_task(store: &(impl StoreRead + ?Sized), task: usize, promised: u64, run: usize) {
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
        handle.write(Write::new(changes).when(guard)).await.unwrap();
        let mut out = std::io::stdout().lock();
        // On a line of its own: the test harness begins one before.
        write!(out, "\nacknowledged {task} {}.\n", number + 1).unwrap();
        out.flush().unwrap();
    }
}

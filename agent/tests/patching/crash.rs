//! Agents and transactions that are killed with -9 at chosen places.

use std::path::PathBuf;

use patchwave_common::domain::DirectiveProgress;
use rustix::process::{Pid, Signal, kill_process};

use crate::desk::{Host, apply, eventually};
use crate::process::AgentProcess;

/// The process that carries a transaction out, from its directory.
fn runner(host: &Host, transaction: &str) -> Pid {
    let file = host.settings().directory().join(format!("cases/1-1/{transaction}/running.json"));
    let running: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    Pid::from_raw(i32::try_from(running["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// Every process of a session, from /proc: the runner and what it started.
fn session(leader: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_member = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let session = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(3)?.parse::<i32>().ok());
        session == Some(leader.as_raw_nonzero().get())
    };
    pids.filter(is_member).filter_map(Pid::from_raw).collect()
}

/// kill -9 for all of them; one that ended by itself meanwhile is as wanted.
fn kill_session(leader: Pid) {
    for pid in session(leader) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn journal_bytes(host: &Host) -> Vec<u8> {
    std::fs::read(host.settings().directory().join("cases/1-1/journal")).unwrap_or_default()
}

#[tokio::test]
async fn an_agent_killed_in_the_middle_of_a_transaction_finds_it_again_and_applies_nothing_twice() {
    for after_the_change in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::new(directory.path());
        let name = if after_the_change { "after-apply" } else { "before-apply" };
        let gate = host.gate(name);
        let mut process = AgentProcess::start(&host, "2", &[name]);
        eventually("the transaction waits at the gate", || gate.is_reached()).await;
        process.kill();
        let mut agent = host.start();
        eventually("it waits for the transaction", || agent.handle.status().borrow().state == "applying").await;
        gate.open();
        agent.until("healthy").await;
        assert_eq!(host.history(), ["upgrade web:all 1 2"]);
        assert!(agent.seen.iter().all(|(_, word)| !word.starts_with("harmed")));
    }
}

#[tokio::test]
async fn a_transaction_that_ends_while_the_agent_is_down_is_read_from_its_result() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let gate = host.gate("before-apply");
    let mut process = AgentProcess::start(&host, "2", &["before-apply"]);
    eventually("the transaction waits at the gate", || gate.is_reached()).await;
    process.kill();
    gate.open();
    let result: PathBuf = host.settings().directory().join("cases/1-1/patchwave-tx-1-1-apply-1/result.json");
    eventually("the transaction ended", || result.exists()).await;
    let mut agent = host.start();
    agent.until("healthy").await;
    assert_eq!(host.history(), ["upgrade web:all 1 2"]);
}

#[tokio::test]
async fn a_transaction_killed_before_it_changed_anything_ends_at_the_receipt_and_one_killed_after_it_at_the_target() {
    for (name, end, version) in [("before-apply", "taken-back", "1"), ("after-apply", "healthy", "2")] {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::new(directory.path());
        let before = host.picture();
        let gate = host.gate(name);
        let mut agent = host.start_gated(|gated| match name {
            "before-apply" => gated.before_apply = Some(gate.clone()),
            _ => gated.after_apply = Some(gate.clone()),
        });
        agent.connect().await;
        agent.order(apply(1, "2", true)).await;
        agent.until("applying").await;
        eventually("the transaction waits at the gate", || gate.is_reached()).await;
        kill_session(runner(&host, "patchwave-tx-1-1-apply-1"));
        agent.until(end).await;
        assert_eq!(host.version(), version);
        assert!(version != "1" || host.picture() == before);
        assert!(host.history().len() <= 1);
    }
}

#[tokio::test]
async fn what_outlives_a_killed_transaction_is_waited_for_before_anything_else_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let gate = host.gate("after-apply");
    let mut agent = host.start_gated(|gated| gated.after_apply = Some(gate.clone()));
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    agent.until("applying").await;
    eventually("the transaction waits at the gate", || gate.is_reached()).await;
    let leader = runner(&host, "patchwave-tx-1-1-apply-1");
    kill_process(leader, Signal::KILL).unwrap();
    // Longer than several looks at what is left: the command that it had started still is there, so nothing happens.
    assert!(tokio::time::timeout(std::time::Duration::from_secs(3), agent.event()).await.is_err());
    assert_eq!(agent.handle.status().borrow().state, "applying");
    gate.open();
    agent.until("healthy").await;
    assert_eq!(host.history(), ["upgrade web:all 1 2"]);
}

#[tokio::test]
async fn a_take_back_killed_in_the_middle_is_done_again_to_its_end() {
    for name in ["before-restore", "after-restore"] {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::new(directory.path());
        let before = host.picture();
        let gate = host.gate(name);
        let mut process = AgentProcess::start(&host, "3", &[name]);
        eventually("the take-back waits at the gate", || gate.is_reached()).await;
        process.kill();
        kill_session(runner(&host, "patchwave-tx-1-1-take-back-1"));
        let mut agent = host.start();
        agent.until("taken-back").await;
        assert_eq!(host.picture(), before);
    }
}

/// The agent is killed as soon as its journal has grown to each length that it takes in a whole run; another one goes on each time.
#[tokio::test]
async fn killed_after_each_record_of_its_journal_the_agent_ends_at_target_or_receipt() {
    for (to, end) in [("2", "2"), ("3", "1")] {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::new(directory.path());
        let before = host.picture();
        let mut kills = 0;
        loop {
            let length = journal_bytes(&host).len();
            let mut process = AgentProcess::start(&host, to, &[]);
            let mut ended = false;
            eventually("the journal grows, or the agent comes to rest", || {
                ended = process.has_ended();
                ended || journal_bytes(&host).len() > length
            })
            .await;
            process.kill();
            if ended {
                break;
            }
            kills += 1;
        }
        assert!(kills >= 3, "killed {kills} times");
        assert_eq!(host.version(), end);
        assert!(end != "1" || host.picture() == before);
        let upgrades = host.history().iter().filter(|line| line.starts_with("upgrade")).count();
        assert!(upgrades <= 1, "{:?}", host.history());
    }
}

#[tokio::test]
async fn a_torn_journal_goes_on_from_its_last_whole_record() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "3", false)).await;
    agent.until("harmed").await;
    drop(agent);
    let path = host.settings().directory().join("cases/1-1/journal");
    let bytes = journal_bytes(&host);
    // The record of the harm is torn: the checks run again and tell it again.
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let mut agent = host.start();
    let harmed = agent.until("harmed check-failed").await;
    assert!(matches!(harmed, DirectiveProgress::Harmed { .. }));
}

//! Logs of releases, kept as files: they must replay for ever, to the state that they had then.
//!
//! A golden log is a folder: `plan-header.bin`, `plan-segment-N.bin`, `log.bin` (records, each after its length as four bytes, big-endian)
//! and `expected.txt` (root, records, state, state hash). None is ever changed. A new one is written by
//! `PATCHWAVE_WRITE_GOLDEN=NAME cargo nextest run -p patchwave --test engine golden`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use patchwave::rollout::{Event, Rollout};
use patchwave::rollout_log;
use patchwave_common::domain::{Digest, DirectiveProgress, NotStagedReason, OperatorName, RefusalReason, StageResult};

use crate::agent::Sim;
use crate::fleet::{Host, alice, host_id, simple_fleet, three_waves};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

/// A life with some of everything: approval, a refusal, a host that cannot download, one that is away and returns, a pause, harm, silence,
/// a stop.
fn eventful() -> Sim {
    let mut policy = three_waves();
    policy.approvals = 1;
    policy.waves[1].failure_limit = 2;
    policy.limits.failures = 3;
    let mut fleet = simple_fleet(9);
    fleet.push(Host::new("old-1", "").has("openssl", "3.0.15"));
    let mut sim = Sim::planned(&fleet, &policy);
    sim.record(Event::Approved { by: OperatorName::parse("bob").unwrap() }).unwrap();
    sim.record(Event::Started { by: alice() }).unwrap();
    sim.settle();
    let last = sim.wave(2).last().unwrap().clone();
    sim.stage(&host_id(&last), &StageResult::NotStaged { reason: NotStagedReason::Gone, detail: "404".to_owned() });
    sim.stage_all();
    sim.report("test-1", DirectiveProgress::Refused { reason: RefusalReason::Drifted, detail: "openssl is at 3.0.13".to_owned() });
    sim.update("test-0");
    sim.wait(Duration::from_secs(600));
    let canaries = sim.wave(1);
    sim.fail(&canaries[0]);
    sim.record(Event::Paused { by: alice(), reason: patchwave::rollout::PauseReason::Operator, detail: "looking".to_owned() }).unwrap();
    sim.settle();
    sim.record(Event::Resumed { by: alice() }).unwrap();
    sim.settle();
    sim.update(&canaries[1]);
    let rest = sim.wave(2);
    sim.offline(&rest[0]);
    sim.wait(Duration::from_secs(1200));
    sim.wait(Duration::from_secs(300));
    sim.online(&rest[0]);
    sim.settle();
    sim.update(&rest[1]);
    sim.report(&rest[2], DirectiveProgress::Ready);
    sim.offline(&rest[2]);
    sim.wait(Duration::from_secs(600));
    sim.record(Event::OperatorReportedHarm {
        host: sim.index(&rest[1]),
        by: OperatorName::parse("carol").unwrap(),
        reason: "slow".to_owned(),
    })
    .unwrap();
    sim.settle();
    sim.report(&rest[1], DirectiveProgress::TakingBack);
    sim.report(&rest[1], DirectiveProgress::TakenBack);
    sim.online(&rest[2]);
    sim.settle();
    sim.report(&rest[2], DirectiveProgress::TakenBack);
    sim.wait(Duration::from_secs(3600));
    sim
}

fn expected(rollout: &Rollout) -> String {
    format!("root {}\nrecords {}\nstate {}\nstate-hash {}\n", rollout.root(), rollout.revision(), rollout.state(), rollout.state_hash())
}

fn write(sim: &Sim, name: &str) {
    let folder = folder().join(name);
    assert!(!folder.exists(), "{} is there: a golden log is never changed", folder.display());
    std::fs::create_dir_all(&folder).unwrap();
    let (_, stored) = rollout_log::seal(sim.sealed.plan.as_ref().clone());
    std::fs::write(folder.join("plan-header.bin"), &stored.header).unwrap();
    for (number, segment) in stored.segments.iter().enumerate() {
        std::fs::write(folder.join(format!("plan-segment-{number}.bin")), segment).unwrap();
    }
    let records = sim.log.iter().map(rollout_log::encode);
    let log: Vec<u8> = records.flat_map(|record| [&u32::try_from(record.len()).unwrap().to_be_bytes(), record.as_ref()].concat()).collect();
    std::fs::write(folder.join("log.bin"), log).unwrap();
    std::fs::write(folder.join("expected.txt"), expected(&sim.rollout)).unwrap();
}

fn replay(folder: &Path) -> Rollout {
    let header = std::fs::read(folder.join("plan-header.bin")).unwrap();
    let segments = (0..).map_while(|number| std::fs::read(folder.join(format!("plan-segment-{number}.bin"))).ok()).map(Bytes::from);
    let sealed = rollout_log::open(Digest::of(&header), &header, &segments.collect::<Vec<_>>()).unwrap();
    let log = std::fs::read(folder.join("log.bin")).unwrap();
    let (mut records, mut rest) = (Vec::new(), log.as_slice());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (record, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        records.push(rollout_log::decode(record).unwrap());
        rest = tail;
    }
    Rollout::replay(sealed, records).unwrap()
}

#[test]
fn golden_logs_of_every_release_replay_to_the_state_that_they_had() {
    if let Ok(name) = std::env::var("PATCHWAVE_WRITE_GOLDEN") {
        write(&eventful(), &name);
    }
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let folder = entry.unwrap().path();
        let rollout = replay(&folder);
        assert_eq!(expected(&rollout), std::fs::read_to_string(folder.join("expected.txt")).unwrap(), "{}", folder.display());
        replayed += 1;
    }
    assert!(replayed > 0, "no golden log is there");
}

#[test]
fn the_golden_life_has_some_of_everything() {
    let sim = eventful();
    let summary = sim.rollout.summary();
    assert_eq!((summary.charged, summary.taken_back), (3, 3));
    assert_eq!(sim.state(), patchwave::rollout::RolloutState::Stopped);
}

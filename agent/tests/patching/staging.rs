//! Downloading ahead.

use patchwave_agent::patching::{Command, Event};
use patchwave_common::domain::{Digest, NotStagedReason, RolloutId, StageRequest, StageResult};

use crate::desk::{Agent, Host, rollout, targets};

async fn staged(agent: &mut Agent) -> (RolloutId, Digest, StageResult) {
    loop {
        if let Event::Staged { rollout, plan_root, result } = agent.event().await {
            return (rollout, plan_root, result);
        }
    }
}

fn request(rollout: &str, plan: &[u8], to: &str) -> StageRequest {
    StageRequest { rollout: RolloutId::parse(rollout).unwrap(), plan_root: Digest::of(plan), targets: targets(to) }
}

#[tokio::test]
async fn staging_tells_what_is_kept_and_whether_there_is_a_way_back_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.tell(Command::Stage(request("r-test", b"plan", "2"))).await;
    let (of, plan_root, result) = staged(&mut agent).await;
    assert_eq!((of, plan_root), (rollout(), Digest::of(b"plan")));
    assert!(matches!(result, StageResult::Staged { bytes: 1.., way_back: true }), "{result:?}");
    assert_eq!((host.version().as_str(), host.history().len()), ("1", 0));
    assert_eq!(std::fs::read_dir(host.settings().stage_dir()).unwrap().count(), 2, "the target and the original");
}

#[tokio::test]
async fn each_rollout_is_answered_and_a_failure_has_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    for number in 0..5 {
        let to = if number == 3 { "9" } else { "2" };
        agent.tell(Command::Stage(request(&format!("r-{number}"), b"plan", to))).await;
    }
    let mut reasons = Vec::new();
    for _ in 0..5 {
        let (of, _, result) = staged(&mut agent).await;
        if let StageResult::NotStaged { reason, .. } = result {
            reasons.push((of.to_string(), reason));
        }
    }
    assert_eq!(reasons, [("r-3".to_owned(), NotStagedReason::Gone)]);
}

//! What a host goes through when nothing is killed.

use std::time::Duration;

use patchwave_agent::patching::{Command, Event, read_status};
use patchwave_common::domain::{Architecture, DirectiveProgress, Manager, PackageName, PackageVersion, QuarantineKey, Timestamp};

use crate::desk::{Host, apply, eventually, generation, take_back};

#[tokio::test]
async fn a_good_patch_is_applied_proved_and_concluded() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    agent.until("healthy").await;
    assert_eq!(agent.words(1), ["accepted", "ready", "applying", "verifying", "healthy"]);
    assert_eq!((host.version().as_str(), host.history()), ("2", vec!["upgrade web:all 1 2".to_owned()]));
    assert!(host.picture().2.contains("ours"), "the administrator's conffile stays");
    agent.tell(Command::Conclude { generation: generation(1), keep_originals: Duration::from_secs(60) }).await;
    let mut status = agent.handle.status();
    status.wait_for(|status| status.state == "idle").await.unwrap();
    eventually("the status file follows", || read_status(&host.settings().state_dir).unwrap().is_some_and(|status| status.state == "idle"))
        .await;
    agent.order(apply(1, "2", true)).await;
    agent.until("healthy").await;
    assert_eq!(host.history().len(), 1, "said again, it is answered and not done again");
}

#[tokio::test]
async fn a_bad_patch_ends_exactly_as_before_with_marks_and_conffiles() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let before = host.picture();
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "3", true)).await;
    agent.until("taken-back").await;
    assert_eq!(agent.words(1), ["accepted", "ready", "applying", "verifying", "harmed check-failed", "taking-back", "taken-back"]);
    assert_eq!(host.picture(), before);
    assert_eq!(host.history(), ["upgrade web:all 1 3", "downgrade web:all 3 1"]);
}

#[tokio::test]
async fn a_package_that_cannot_be_configured_is_harm_and_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    host.simulated().change(|state| state.archive[1].broken = true).unwrap();
    let before = host.picture();
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    let harmed = agent.until("harmed").await;
    assert!(matches!(&harmed, DirectiveProgress::Harmed { detail, .. } if detail.contains("web")), "{harmed:?}");
    agent.until("taken-back").await;
    assert_eq!(host.picture(), before);
}

#[tokio::test]
async fn without_automatic_rollback_the_order_takes_it_back_even_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let before = host.picture();
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "3", false)).await;
    agent.until("harmed").await;
    drop(agent);
    let mut agent = host.start();
    assert_eq!(agent.handle.status().borrow().state, "harmed");
    agent.order(take_back(2, 1)).await;
    agent.until("taken-back").await;
    assert_eq!(agent.words(2), ["accepted", "taking-back", "taken-back"]);
    assert_eq!(host.picture(), before);
}

#[tokio::test]
async fn a_concluded_patch_is_taken_back_by_order() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let before = host.picture();
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    agent.until("healthy").await;
    agent.tell(Command::Conclude { generation: generation(1), keep_originals: Duration::from_secs(600) }).await;
    agent.order(take_back(5, 1)).await;
    agent.until("taken-back").await;
    assert_eq!(host.picture(), before);
    agent.order(apply(4, "2", true)).await;
    agent.until("refused old-generation").await;
    agent.order(take_back(6, 99)).await;
    agent.until("refused no-receipt").await;
}

#[tokio::test]
async fn a_hold_stops_before_the_change_and_a_lease_that_ran_out_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    loop {
        if let Event::Progress { progress: DirectiveProgress::Ready, .. } = agent.event().await {
            break;
        }
    }
    agent.lease(1, 0).await;
    loop {
        if let Event::Progress { progress: DirectiveProgress::Ready, .. } = agent.event().await {
            break;
        }
    }
    patchwave_agent::hold::set(&host.settings().state_dir, "month end", Timestamp(0)).unwrap();
    let refused = agent.until("refused local-hold").await;
    assert!(matches!(&refused, DirectiveProgress::Refused { detail, .. } if detail.contains("month end") && detail.contains("unhold")));
    assert_eq!(host.version(), "1");
    patchwave_agent::hold::lift(&host.settings().state_dir).unwrap();
    agent.order(apply(2, "2", true)).await;
    agent.until("healthy").await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason_and_nothing_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.connect().await;
    let change = |change: fn(&mut patchwave_agent::packages::simulated::SimulatedState)| host.simulated().change(change).unwrap();
    change(|state| state.installed.get_mut("web:all").unwrap().held = true);
    agent.order(apply(1, "2", true)).await;
    agent.until("refused package-held").await;
    change(|state| state.installed.get_mut("web:all").unwrap().held = false);
    change(|state| state.locked = true);
    agent.order(apply(2, "2", true)).await;
    agent.until("refused lock-held").await;
    change(|state| state.locked = false);
    change(|state| state.other_hands = vec!["apt-daily-upgrade.timer".to_owned()]);
    agent.order(apply(3, "2", true)).await;
    agent.until("refused other-hands").await;
    change(|state| state.other_hands.clear());
    agent.order(apply(4, "9", true)).await;
    agent.until("refused superseded").await;
    change(|state| state.archive.retain(|package| package.version.as_str() != "1"));
    agent.order(apply(5, "2", true)).await;
    agent.until("refused no-way-back").await;
    assert_eq!((host.version().as_str(), host.history().len()), ("1", 0));
}

#[tokio::test]
async fn what_is_in_quarantine_is_neither_staged_nor_applied_and_the_host_itself_refuses_it_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let key = QuarantineKey {
        manager: Manager::Simulated,
        origin: "Simulated-Security".to_owned(),
        source: PackageName::parse("web").unwrap(),
        version: PackageVersion::parse("2").unwrap(),
        architecture: Architecture::parse("all").unwrap(),
    };
    let agent = host.start();
    agent.tell(Command::Quarantine(vec![key.clone()])).await;
    eventually("the host refuses it", || host.simulated().state().unwrap().quarantined == [key.clone()]).await;
    drop(agent);
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    agent.until("refused quarantined").await;
}

#[tokio::test]
async fn a_damaged_journal_takes_no_order_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::new(directory.path());
    let mut agent = host.start();
    agent.connect().await;
    agent.order(apply(1, "2", true)).await;
    agent.until("healthy").await;
    drop(agent);
    let journal = host.settings().directory().join("cases/1-1/journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let mut agent = host.start();
    let told = agent.until("needs-attention").await;
    assert!(matches!(&told, DirectiveProgress::NeedsAttention { detail } if detail.contains("cases/1-1/journal")), "{told:?}");
    agent.order(apply(2, "3", true)).await;
    agent.until("refused busy").await;
    assert_eq!(host.version(), "2");
}

use std::time::Duration;

use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::{
    Digest, Directive, DirectiveHistory, DirectiveProgress, FromAgent, Generation, HostId, HostMode, NotStagedReason, Order, RolloutId,
    StageResult, StopCause, TakeBackOrder, ToAgent,
};

use super::{at, facts, inventory, whoami};
use crate::session::protocol::{Command, Event, HangUp, Instruction, Protocol};

const BEAT_MS: u64 = 10_000;

fn welcome() -> ToAgent {
    let host = HostId::parse("h-1").unwrap();
    ToAgent::Welcome { clock: at(0).wall, heartbeat: Duration::from_millis(BEAT_MS), host, mode: HostMode::Managed, reads_compressed: true }
}

fn protocol() -> Protocol {
    Protocol::new(whoami(), facts("a"), None, None)
}

fn connect(protocol: &mut Protocol, ms: u64) -> Vec<Command> {
    let mut commands = protocol.handle(at(ms), Event::Connected { directive: None, newest: None });
    commands.extend(protocol.handle(at(ms), Event::Heard(welcome())));
    commands
}

fn generation(counter: u64) -> Generation {
    Generation { epoch: 1, counter }
}

fn directive() -> Directive {
    let health = parse_policy("name = \"p\"\n[[wave]]\nname = \"a\"\n").unwrap().health;
    let order = Order::TakeBack(TakeBackOrder { of: generation(1), health });
    Directive { generation: generation(2), rollout: RolloutId::parse("r-1").unwrap(), requires: vec![], order }
}

fn heartbeats(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Send(FromAgent::Heartbeat { .. }))).count()
}

#[test]
fn a_link_begins_with_a_hello_that_tells_the_whole_history_of_the_directive() {
    let history = DirectiveHistory {
        generation: generation(4),
        rollout: RolloutId::parse("r-1").unwrap(),
        progress: vec![DirectiveProgress::Accepted, DirectiveProgress::Ready],
    };
    let event = Event::Connected { directive: Some(history.clone()), newest: Some(generation(4)) };
    let commands = protocol().handle(at(0), event);
    let [Command::Send(FromAgent::Hello(hello))] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((hello.directive.as_ref(), hello.newest), (Some(&history), Some(generation(4))));
}

#[test]
fn heartbeats_come_in_the_interval_of_the_welcome_and_a_ping_is_answered_with_its_nonce() {
    let mut protocol = protocol();
    connect(&mut protocol, 0);
    assert_eq!(heartbeats(&protocol.handle(at(BEAT_MS - 1), Event::Tick)), 0);
    assert_eq!(heartbeats(&protocol.handle(at(BEAT_MS), Event::Tick)), 1);
    let answer = protocol.handle(at(BEAT_MS + 1), Event::Heard(ToAgent::Ping(77)));
    assert_eq!(answer, [Command::Send(FromAgent::Heartbeat { clock: at(BEAT_MS + 1).wall, nonce: 77 })]);
    assert!(protocol.handle(at(BEAT_MS + 2), Event::Heard(ToAgent::Ping(0))).is_empty(), "a ping of nonce 0 asks for no answer");
}

#[test]
fn a_controller_that_is_silent_for_three_heartbeats_is_left() {
    let mut protocol = protocol();
    connect(&mut protocol, 0);
    let _ = protocol.handle(at(BEAT_MS), Event::Heard(ToAgent::Ping(0)));
    assert!(!protocol.handle(at(4 * BEAT_MS - 1), Event::Tick).iter().any(|command| matches!(command, Command::HangUp(_))));
    let commands = protocol.handle(at(4 * BEAT_MS), Event::Tick);
    assert_eq!(commands, [Command::HangUp(HangUp::Silent { for_ms: 3 * BEAT_MS })]);
    assert!(!protocol.is_up());
}

#[test]
fn a_controller_that_does_not_greet_is_left() {
    let mut protocol = protocol();
    let _ = protocol.handle(at(0), Event::Connected { directive: None, newest: None });
    let wake = protocol.wake_ms().unwrap();
    assert!(matches!(protocol.handle(at(wake), Event::Tick).as_slice(), [Command::HangUp(HangUp::Silent { .. })]));
}

#[test]
fn an_instruction_before_the_welcome_ends_the_link_and_is_not_followed() {
    let mut protocol = protocol();
    let _ = protocol.handle(at(0), Event::Connected { directive: None, newest: None });
    let commands = protocol.handle(at(0), Event::Heard(ToAgent::Directive(Box::new(directive()))));
    assert_eq!(commands, [Command::HangUp(HangUp::OutOfOrder)]);
    assert!(protocol.handle(at(0), Event::Heard(ToAgent::Refresh)).is_empty(), "what is heard on a closed link means nothing");
}

#[test]
fn instructions_are_passed_on_as_they_came() {
    let mut protocol = protocol();
    connect(&mut protocol, 0);
    let commands = protocol.handle(at(1), Event::Heard(ToAgent::Directive(Box::new(directive()))));
    assert_eq!(commands, [Command::Instruct(Instruction::Directive(Box::new(directive())))]);
}

#[test]
fn a_stop_ends_the_link_with_its_cause() {
    let mut protocol = protocol();
    connect(&mut protocol, 0);
    let stop = ToAgent::Stop { cause: StopCause::Cloned, detail: "two".into() };
    let wanted = HangUp::Stopped { cause: StopCause::Cloned, detail: "two".into() };
    assert_eq!(protocol.handle(at(1), Event::Heard(stop)), [Command::HangUp(wanted)]);
    assert_eq!(protocol.wake_ms(), None);
}

#[test]
fn the_welcome_tells_how_far_the_host_is_ahead() {
    let mut protocol = protocol();
    let commands = connect(&mut protocol, 7_000);
    assert!(commands.iter().any(|command| matches!(command, Command::Welcomed { clock_ahead_ms: 7_000, .. })), "{commands:?}");
}

#[test]
fn facts_are_told_again_only_when_they_changed() {
    let mut protocol = protocol();
    connect(&mut protocol, 0);
    assert!(protocol.handle(at(1), Event::Facts(Box::new(facts("a")))).is_empty());
    let told = protocol.handle(at(2), Event::Facts(Box::new(facts("b"))));
    assert_eq!(told, [Command::Send(FromAgent::Facts(Box::new(facts("b"))))]);
}

#[test]
fn a_staging_result_without_a_link_is_told_at_the_next_one_and_only_the_newest_of_a_rollout() {
    let mut protocol = protocol();
    let rollout = RolloutId::parse("r-1").unwrap();
    let failed = StageResult::NotStaged { reason: NotStagedReason::Gone, detail: String::new() };
    let staged = StageResult::Staged { bytes: 1, way_back: true };
    for result in [failed, staged.clone()] {
        assert!(protocol.handle(at(0), Event::Staged { rollout: rollout.clone(), result }).is_empty());
    }
    let commands = connect(&mut protocol, 1);
    let told: Vec<_> = commands.iter().filter(|command| matches!(command, Command::Send(FromAgent::Stage { .. }))).collect();
    assert_eq!(told, [&Command::Send(FromAgent::Stage { rollout, result: staged })]);
}

#[test]
fn an_inventory_that_is_acknowledged_is_kept_and_candidates_likewise() {
    let mut protocol = protocol();
    let commands = connect(&mut protocol, 0);
    assert!(commands.contains(&Command::PrepareInventory { base: None }) && commands.contains(&Command::PrepareCandidates));
    let delta = inventory(&[1]).delta_from(None);
    let digest = delta.digest;
    assert_eq!(protocol.handle(at(1), Event::InventoryReady(delta.clone())), [Command::Send(FromAgent::Inventory(delta))]);
    let answer = ToAgent::InventoryAnswer { digest: Some(digest), need_full: false };
    assert_eq!(protocol.handle(at(2), Event::Heard(answer)), [Command::KeepInventory(digest)]);
    let set = patchwave_common::domain::CandidateSet::default();
    let candidates = set.digest();
    let _ = protocol.handle(at(3), Event::CandidatesReady(set));
    let answer = ToAgent::CandidatesAnswer { digest: Some(candidates), need_full: false };
    assert_eq!(protocol.handle(at(4), Event::Heard(answer)), [Command::KeepCandidates(candidates)]);
    assert_ne!(digest, Digest::of(b""));
}

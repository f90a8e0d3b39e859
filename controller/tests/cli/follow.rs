//! Watching rollouts and following events.

use patchwave::cli::Exit;
use patchwave::cli::text::Paint;
use patchwave::cli::watch::draw::{Canvas, draw, paint};
use patchwave::cli::watch::{Verdict, changes};
use patchwave_proto::operator::v1::{Rollout, RolloutDetail, RolloutHost, WaveProgress};
use proptest::prelude::*;
use tonic::Status;
use unicode_width::UnicodeWidthStr as _;

use crate::fake::{Fake, run, run_with};
use crate::samples;

fn completed() -> RolloutDetail {
    let mut detail = samples::running_detail();
    detail.rollout = Some(Rollout {
        state: "completed".into(),
        updated: 12,
        untouched: 0,
        ended_at: "2026-11-23T10:14:00Z".into(),
        ..samples::running()
    });
    detail.waiting_for.clear();
    for wave in &mut detail.waves {
        *wave = WaveProgress {
            name: wave.name.clone(),
            state: "passed".into(),
            hosts: wave.hosts,
            healthy: wave.hosts,
            elapsed_ms: 61_000,
            ..WaveProgress::default()
        };
    }
    detail
}

#[test]
fn drawings_at_several_widths() {
    let drawn: Vec<String> = [120, 80, 60, 30]
        .iter()
        .flat_map(|&width| {
            [("running", samples::running_detail()), ("stopped", samples::stopped_detail())].map(|(name, detail)| (width, name, detail))
        })
        .map(|(width, name, detail)| format!("-- {name} at {width}\n{}\n", draw(&detail, width).join("\n")))
        .collect();
    insta::assert_snapshot!(drawn.join("\n"));
}

fn many_waves() -> RolloutDetail {
    let wave = |index: u32| WaveProgress {
        name: format!("wave {index}"),
        state: if index < 10 {
            "passed"
        } else if index == 10 {
            "running"
        } else {
            "waiting"
        }
        .into(),
        hosts: 50,
        healthy: if index < 10 { 50 } else { 0 },
        applying: if index == 10 { 20 } else { 0 },
        pending: if index > 10 { 50 } else { 30 * u32::from(index == 10) },
        ..WaveProgress::default()
    };
    RolloutDetail { waves: (0..30).map(wave).collect(), ..samples::running_detail() }
}

#[test]
fn a_low_window_folds_waves_that_passed_and_waves_that_wait() {
    let canvas = Canvas { width: 80, height: Some(12), paint: Paint::No };
    insta::assert_snapshot!(paint(&many_waves(), canvas).join("\n"));
}

#[test]
fn colour_is_only_colour() {
    let canvas = Canvas { width: 80, height: None, paint: Paint::Yes };
    let coloured = paint(&samples::stopped_detail(), canvas);
    let plain = draw(&samples::stopped_detail(), 80);
    assert_eq!(coloured.len(), plain.len());
    assert!(coloured.iter().any(|line| line.contains("\u{1b}[31m")));
}

#[test]
fn a_rollout_is_over_only_when_the_controller_says_so() {
    let state = |state: &str, ended: &str| RolloutDetail {
        rollout: Some(Rollout { state: state.into(), ended_at: ended.into(), ..Rollout::default() }),
        ..RolloutDetail::default()
    };
    for goes_on in ["planned", "running", "paused", "halted", "stopping", "catching-up", "a-state-of-tomorrow"] {
        assert_eq!(Verdict::of(&state(goes_on, "")), Verdict::GoesOn, "{goes_on}");
    }
    for ended in ["stopped", "aborted", "needs-attention"] {
        assert_eq!(Verdict::of(&state(ended, "")), Verdict::Ended, "{ended}");
    }
    assert_eq!(Verdict::of(&state("completed", "x")), Verdict::Completed);
    assert_eq!(Verdict::of(&state("a-state-of-tomorrow", "2026-11-23T10:14:00Z")), Verdict::Ended);
}

#[test]
fn changes_are_told_once_and_the_clock_is_no_change() {
    let first = samples::running_detail();
    let mut later = first.clone();
    later.elapsed_ms += 5_000;
    later.waves[1].elapsed_ms += 5_000;
    assert_eq!(changes::changes(Some(&first), &later), Vec::<String>::new());
    insta::assert_snapshot!(
        [changes::changes(None, &first), changes::changes(Some(&first), &samples::stopped_detail())].concat().join("\n")
    );
}

/// Every wave is done, one host is away.
fn catching_up() -> RolloutDetail {
    let mut detail = completed();
    detail.rollout = Some(Rollout { state: "catching-up".into(), ended_at: String::new(), ..samples::running() });
    detail.waiting_for = "1 hosts that are away and get it when they return, until 2026-11-30T10:14:00Z: h-9".into();
    let host = |name: &str, state: &str| RolloutHost { host: name.into(), state: state.into(), ..RolloutHost::default() };
    detail.hosts = vec![host("h-1", "concluded"), host("h-9", "offline")];
    detail
}

#[tokio::test]
async fn a_watch_leaves_when_only_absent_hosts_are_left_and_says_so() {
    for width in [None, Some(80)] {
        // The stream stays open: without leaving, this would wait for ever.
        let fake = Fake::watching(vec![Ok(samples::running_detail()), Ok(catching_up())]).staying();
        let outcome = run_with(&fake, "rollout watch r-7k2m9qxa", width).await;
        assert_eq!(outcome.exit, Exit::Done, "{}", outcome.talk);
        for told in ["goes on without a watcher", "until 2026-11-30T10:14:00Z: h-9", "--until end"] {
            assert!(outcome.talk.contains(told), "{told}: {}", outcome.talk);
        }
    }
}

#[tokio::test]
async fn a_watch_until_the_end_waits_for_absent_hosts_and_says_how_to_leave() {
    let fake = Fake::watching(vec![Ok(catching_up()), Ok(catching_up()), Ok(completed())]);
    let outcome = run_with(&fake, "rollout watch r-7k2m9qxa --until end", None).await;
    assert_eq!((outcome.exit, outcome.talk.matches("Ctrl-C leaves").count()), (Exit::Done, 1), "{}", outcome.talk);
    assert!(outcome.data.contains("completed"), "{}", outcome.data);
}

#[test]
fn a_rollout_that_catches_up_is_left_only_when_no_host_has_anything_to_do() {
    assert_eq!(Verdict::of(&catching_up()), Verdict::OnlyAbsent);
    for (state, reason, verdict) in [
        ("applying", "", Verdict::GoesOn),
        ("healthy", "soaking", Verdict::GoesOn),
        ("pending", "due", Verdict::GoesOn),
        ("pending", "not-staged", Verdict::OnlyAbsent),
        ("taken-back", "", Verdict::OnlyAbsent),
    ] {
        let mut detail = catching_up();
        detail.hosts[0].state = state.into();
        detail.hosts[0].reason = reason.into();
        assert_eq!(Verdict::of(&detail), verdict, "{state} {reason}");
    }
}

#[tokio::test]
async fn a_watch_ends_with_the_rollouts_own_end() {
    let ends = [(completed(), Exit::Done), (samples::stopped_detail(), Exit::Failed)];
    for (end, exit) in ends {
        let fake = Fake::watching(vec![Ok(samples::running_detail()), Ok(end)]);
        assert_eq!(run_with(&fake, "rollout watch r-7k2m9qxa", None).await.exit, exit);
    }
}

#[tokio::test]
async fn a_watch_without_a_terminal_prints_lines_and_json_prints_objects() {
    let states = || vec![Ok(samples::running_detail()), Ok(samples::running_detail()), Ok(completed())];
    let lines = run_with(&Fake::watching(states()), "rollout watch r-7k2m9qxa", None).await;
    insta::assert_snapshot!(lines.transcript("rollout watch r-7k2m9qxa"));
    let json = run_with(&Fake::watching(states()), "rollout start r-7k2m9qxa --watch -o json", None).await;
    let states: Vec<RolloutState> = json.data.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(states.iter().map(|state| state.rollout.state.as_str()).collect::<Vec<_>>(), ["running", "completed"]);
}

#[derive(serde::Deserialize)]
struct RolloutState {
    rollout: State,
}

#[derive(serde::Deserialize)]
struct State {
    state: String,
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_loses_its_controller_looks_again() {
    // The second stream of the fake is empty: the controller ends the view, which is told; what counts is that it was asked again.
    let fake = Fake::watching(vec![Ok(samples::running_detail()), Err(Status::unavailable("the controller shuts down"))]);
    let outcome = run_with(&fake, "rollout watch r-7k2m9qxa", None).await;
    assert_eq!(fake.asked().len(), 2);
    assert!(outcome.talk.contains("the controller shuts down; trying again"), "{}", outcome.talk);
}

#[tokio::test]
async fn a_refusal_ends_a_watch_at_once() {
    let fake = Fake::watching(vec![Ok(samples::running_detail()), Err(Status::unauthenticated("this certificate was revoked"))]);
    let outcome = run_with(&fake, "rollout watch r-7k2m9qxa", None).await;
    assert_eq!((outcome.exit, fake.asked().len()), (Exit::Failed, 1));
    assert!(outcome.talk.contains("revoked"), "{}", outcome.talk);
}

#[tokio::test]
async fn followed_events_are_a_line_each() {
    insta::assert_snapshot!(run("events --follow", None).await.transcript("events --follow"));
    let json = run("events --follow -o json", None).await;
    assert_eq!(json.data.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 2);
}

proptest! {
    #[test]
    fn no_drawn_line_is_wider_than_asked(
        counts in proptest::collection::vec((0_u32..2000, 0_u32..5, 0_u32..70, 0_u32..9, "[a-z日 ]{1,40}"), 0..8),
        reason in "[a-zé ]{0,200}",
        width in 1_usize..160,
        height in proptest::option::of(1_usize..30),
    ) {
        let waves = counts.into_iter().map(|(healthy, failed, pending, offline, name)| WaveProgress {
            hosts: healthy + failed + pending + offline, healthy, failed, pending, offline, name,
            state: "running".into(), elapsed_ms: 1000, waiting_for: reason.clone(), ..WaveProgress::default()
        });
        let detail = RolloutDetail { waves: waves.collect(), waiting_for: format!("{reason}."), ..samples::stopped_detail() };
        let lines = paint(&detail, Canvas { width, height, paint: Paint::No });
        for line in &lines {
            prop_assert!(line.width() <= width, "{} > {width}: {line:?}", line.width());
        }
        prop_assert!(height.is_none_or(|height| lines.len() <= height));
    }
}

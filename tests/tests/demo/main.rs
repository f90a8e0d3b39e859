//! The demo as a stranger runs it: what it says, what it writes, and that nothing of it is left. Works as root and as an ordinary user.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod run;
mod summary;

use rustix::process::Signal;

use patchwave_tests::{Machine, left_out};

use run::{Demo, Ended};
use summary::Summary;

/// The story that every run tells, whatever installs the packages.
fn assert_whole_story(ended: &Ended, summary: &str) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    Summary::parse(summary).assert_good_to_all_and_bad_taken_back();
    for told in [
        "1. A good update, shop 1.1-1, to every host",
        "2. A bad update, shop 1.2-1",
        "cluster-1: health check failed (\"cannot join the cluster\"); taken back, and verified to be exactly as before",
        "cluster-2: health check failed (\"cannot join the cluster\"); taken back, and verified to be exactly as before",
        "shop 1.1-1 went to all 12 hosts",
        "the other 8 hosts were never ordered to apply it",
        "This machine reports too, and nothing more",
        "How to go on",
    ] {
        assert!(ended.stdout.contains(told), "{told:?} is not told:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "escape sequences where no terminal is");
    assert!(ended.stderr.contains("canaries: stopped"), "progress is talk:\n{}", ended.stderr);
    assert!(!ended.stdout.contains("canaries: stopped") && !ended.stderr.contains("In short"), "data and talk are not mixed");
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}

#[test]
fn with_apt_real_packages_go_to_all_and_the_bad_ones_are_taken_back() {
    if !["apt-get", "dpkg", "dpkg-deb"].into_iter().all(Machine::has_tool) {
        left_out("the demo with real packages", "this machine has no apt (hint: it is Debian's)");
        return;
    }
    let demo = Demo::start(&["--summary", "SUMMARY", "--package-manager", "apt"]);
    let ended = demo.wait();
    assert_whole_story(&ended, &ended.summary());
    assert!(ended.stdout.contains("real .deb files"), "{}", ended.stdout);
    ended.assert_nothing_left();
}

#[test]
fn simulated_packages_tell_the_same_story() {
    let ended = Demo::start(&["--package-manager", "simulated", "--summary=SUMMARY"]).wait();
    assert_whole_story(&ended, &ended.summary());
    assert!(ended.stdout.contains("Packages: simulated, as asked for"), "{}", ended.stdout);
    ended.assert_nothing_left();
}

#[test]
fn wrong_use_is_refused_at_once_with_status_two_and_a_hint() {
    for wrong in [&["--sumary", "x"][..], &["--summary"], &["--package-manager", "dnf"], &["now"]] {
        let ended = Demo::start(wrong).wait();
        assert_eq!(ended.code, Some(2), "{wrong:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{wrong:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("--help"), "{wrong:?}: {}", ended.stderr);
        ended.assert_nothing_left();
    }
}

#[test]
fn help_shows_examples_on_standard_output() {
    let ended = Demo::start(&["--help"]).wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("Examples:") && ended.stdout.contains("--keep"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("stdin") && !ended.stdout.contains("--folder"), "its own words to itself are nobody's business");
}

#[test]
fn a_summary_that_cannot_be_written_is_told_before_anything_begins() {
    let ended = Demo::start(&["--summary", "no-such-folder/summary.json"]).wait();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("no-such-folder/summary.json") && ended.stderr.contains("hint"), "{}", ended.stderr);
    ended.assert_nothing_left();
}

#[test]
fn ended_half_way_it_leaves_nothing_and_no_summary() {
    let demo = Demo::start(&["--package-manager", "simulated", "--summary", "SUMMARY"]);
    demo.wait_until_told("canaries: running");
    demo.signal(Signal::INT);
    let ended = demo.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(!ended.summary_path().exists(), "half a story is no summary");
    ended.assert_nothing_left();
}

#[test]
fn kept_it_answers_the_command_line_as_printed_until_it_is_ended() {
    let demo = Demo::start(&["--package-manager", "simulated", "--keep", "--summary", "SUMMARY"]);
    let told = demo.wait_until_told("Ctrl-C here ends it");
    Summary::parse(&std::fs::read_to_string(demo.summary_path()).unwrap()).assert_good_to_all_and_bad_taken_back();
    let commands: Vec<_> = told.lines().filter(|line| line.starts_with("  patchwave ")).collect();
    assert!(commands.len() >= 5, "{told}");
    let setting: String =
        told.lines().filter(|line| ["  export ", "  alias "].iter().any(|word| line.starts_with(word))).collect::<Vec<_>>().join("\n");
    for command in commands {
        let typed = Demo::shell(&format!("shopt -s expand_aliases\n{setting}\n{command}\n"));
        assert!(typed.status.success(), "{command}: {}", String::from_utf8_lossy(&typed.stderr));
        assert!(!typed.stdout.is_empty(), "{command} shows nothing");
    }
    demo.signal(Signal::INT);
    let ended = demo.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.assert_nothing_left();
}

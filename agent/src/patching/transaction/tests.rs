#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use patchwave_common::domain::{Manager, Timestamp};
use patchwave_common::runtime::clock::{Clock as _, SystemClock};

use super::job::JobError;
use super::*;
use crate::packages::{CommandSpec, PackageSettings, Step};
use crate::patching::machine::{LeaseDeadline, NotBegun, Purpose, TransactionName, TransactionOutcome};
use crate::patching::{Isolation, Runner};

fn name() -> TransactionName {
    let case = patchwave_common::domain::Generation { epoch: 1, counter: 1 };
    TransactionName { case, purpose: Purpose::Apply, attempt: 1 }
}

fn job(directory: &Path, steps: Vec<Step>, conditions: Option<Conditions>) -> Job {
    let packages = PackageSettings {
        root: Some(directory.join("root")),
        state_dir: directory.join("state"),
        stage_limit_bytes: 0,
        keep_free_bytes: 0,
    };
    let mut job = Job::new(name(), conditions, Manager::Simulated, packages);
    job.steps = steps;
    job.time_limit_secs = 30;
    job
}

fn shell(script: &str) -> CommandSpec {
    CommandSpec {
        program: "sh".to_owned(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: BTreeMap::from([("MARK".to_owned(), "here".to_owned())]),
        time_limit_secs: 30,
        purpose: "try it".to_owned(),
        may_fail: false,
    }
}

fn offered(directory: &Path, job: &Job) -> JobDirectory {
    let offered = JobDirectory::new(&directory.join("tx"));
    offered.offer(job).unwrap();
    offered
}

/// Runs the steps in this process; what the transaction's own process does.
fn outcome(steps: Vec<Step>) -> (TransactionOutcome, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let offered = offered(directory.path(), &job(directory.path(), steps, None));
    assert_eq!(run_transaction(offered.path()), ExitCode::SUCCESS);
    (offered.result().unwrap().unwrap(), directory)
}

#[test]
fn steps_run_in_order_in_a_cleared_environment_and_their_output_is_kept() {
    let (outcome, directory) =
        outcome(vec![Step::Run(shell("echo first $MARK; env | grep -c CARGO; true")), Step::Run(shell("echo second >&2; pwd"))]);
    assert_eq!(outcome, TransactionOutcome::Completed);
    let read = |name: &str| std::fs::read_to_string(directory.path().join("tx").join(name)).unwrap();
    assert_eq!((read("0.out"), read("1.out"), read("1.err")), ("first here\n0\n".into(), "/\n".into(), "second\n".into()));
}

#[test]
fn a_failed_step_ends_the_list_with_its_last_words_and_one_that_may_fail_does_not() {
    let may_fail = CommandSpec { may_fail: true, ..shell("exit 3") };
    let absent = CommandSpec { program: "/nonexistent/tool".to_owned(), may_fail: true, ..shell("") };
    let failing = shell("echo E: http://user:secret@mirror/x 404 >&2; exit 100");
    let (outcome, directory) = outcome(vec![Step::Run(may_fail), Step::Run(absent), Step::Run(failing), Step::Run(shell("touch later"))]);
    let TransactionOutcome::Failed { detail } = outcome else { panic!("{outcome:?}") };
    assert!(detail.contains("try it") && detail.contains("100") && detail.contains("404") && !detail.contains("secret"), "{detail}");
    assert!(!directory.path().join("tx/3.out").exists());
}

#[test]
fn a_step_beyond_its_time_is_ended_with_all_that_it_started() {
    let slow = CommandSpec { time_limit_secs: 0, ..shell("sleep 600 & sleep 600") };
    let (outcome, _directory) = outcome(vec![Step::Run(slow)]);
    assert!(matches!(outcome, TransactionOutcome::TimedOut { .. }), "{outcome:?}");
}

#[test]
fn output_beyond_the_bound_starts_the_file_anew() {
    let (outcome, directory) = outcome(vec![Step::Run(shell("head -c 20000000 /dev/zero; sleep 0.2; echo the end"))]);
    assert_eq!(outcome, TransactionOutcome::Completed);
    let kept = std::fs::metadata(directory.path().join("tx/0.out")).unwrap().len();
    assert!(kept < 5 * 1024 * 1024, "{kept}");
}

#[test]
fn without_a_live_lease_or_under_a_hold_no_step_runs() {
    let clock = SystemClock::new();
    let live = LeaseDeadline { boot_id: clock.boot_id(), boottime_ms: clock.boottime_ms() + 60_000 };
    let expired = LeaseDeadline { boottime_ms: clock.boottime_ms(), ..live.clone() };
    let of_another_boot = LeaseDeadline { boot_id: "another".to_owned(), ..live.clone() };
    for (lease, hold, expected) in [
        (live.clone(), false, None),
        (expired, false, Some(NotBegun::LeaseExpired)),
        (of_another_boot, false, Some(NotBegun::LeaseExpired)),
        (live, true, Some(NotBegun::LocalHold)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        if hold {
            crate::hold::set(directory.path(), "month end", Timestamp(0)).unwrap();
        }
        let conditions = Conditions { lease, hold_in: directory.path().to_owned() };
        let offered = offered(directory.path(), &job(directory.path(), vec![Step::Run(shell("true"))], Some(conditions)));
        assert_eq!(run_transaction(offered.path()), ExitCode::SUCCESS);
        let why = match offered.result().unwrap().unwrap() {
            TransactionOutcome::NotBegun { why, .. } => Some(why),
            TransactionOutcome::Completed => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(why, expected);
        assert_eq!(offered.path().join("0.out").exists(), expected.is_none());
    }
}

#[test]
fn a_job_is_taken_once_and_never_after_it_was_called_off() {
    let directory = tempfile::tempdir().unwrap();
    let wanted = job(directory.path(), vec![], None);
    let first = offered(directory.path(), &wanted);
    assert_eq!(first.claim().unwrap().unwrap(), wanted);
    assert!(first.claim().unwrap().is_none() && !first.cancel().unwrap() && first.is_claimed());
    let other = tempfile::tempdir().unwrap();
    let second = offered(other.path(), &wanted);
    assert!(second.cancel().unwrap());
    assert!(second.claim().unwrap().is_none() && !second.is_claimed());
}

#[test]
fn files_that_others_could_have_written_are_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let offered = offered(directory.path(), &job(directory.path(), vec![], None));
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let is_untrusted = || matches!(offered.claim(), Err(JobError::Untrusted { .. }));
    set(offered.path(), 0o770);
    assert!(is_untrusted(), "the directory is open to others");
    set(offered.path(), 0o700);
    let file = offered.path().join("job.json");
    set(&file, 0o640);
    assert!(is_untrusted(), "the file is open to others");
    set(&file, 0o600);
    std::fs::rename(&file, offered.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(offered.path().join("elsewhere"), &file).unwrap();
    assert!(offered.claim().is_err(), "a link is not followed");
    assert!(!offered.is_claimed());
    assert_eq!(run_transaction(offered.path()), ExitCode::FAILURE);
}

fn launcher(program: &str) -> Launcher {
    let runner = Runner { program: program.into(), arguments: vec![] };
    Launcher::new(runner, Isolation::Session, SystemClock::new().boot_id())
}

fn wait(following: Following) -> (TransactionOutcome, u32) {
    let mut claims = 0;
    let outcome = following.wait(&Arc::new(AtomicBool::new(false)), || claims += 1).unwrap();
    (outcome, claims)
}

#[test]
fn a_process_that_ends_without_taking_the_job_never_began_it_and_a_late_one_cannot() {
    let directory = tempfile::tempdir().unwrap();
    let offered = JobDirectory::new(&directory.path().join("tx"));
    let started = launcher("/bin/true").start(offered.clone(), &job(directory.path(), vec![], None)).unwrap();
    let (outcome, claims) = wait(started);
    assert!(matches!(outcome, TransactionOutcome::NotBegun { why: NotBegun::CouldNotStart, .. }), "{outcome:?}");
    assert_eq!(claims, 0);
    assert!(offered.claim().unwrap().is_none());
    assert!(launcher("/nonexistent/program").start(offered, &job(directory.path(), vec![], None)).is_err());
}

#[test]
fn found_again_a_transaction_is_never_begun_interrupted_or_read_from_its_result() {
    let directory = tempfile::tempdir().unwrap();
    let attach = |name_of: &str| {
        let found = JobDirectory::new(&directory.path().join(name_of));
        (found.clone(), launcher("/bin/true").attach(found, name(), Duration::from_secs(1)))
    };
    let (_, nothing_there) = attach("nothing");
    assert!(matches!(wait(nothing_there).0, TransactionOutcome::NotBegun { why: NotBegun::Cancelled, .. }));
    let (offered, unclaimed) = attach("offered");
    offered.offer(&job(directory.path(), vec![], None)).unwrap();
    assert!(matches!(wait(unclaimed).0, TransactionOutcome::NotBegun { why: NotBegun::Cancelled, .. }));
    let (claimed, gone) = attach("claimed");
    claimed.offer(&job(directory.path(), vec![], None)).unwrap();
    claimed.claim().unwrap();
    assert!(matches!(wait(gone), (TransactionOutcome::Interrupted { .. }, 1)));
    let (ended, with_result) = attach("ended");
    ended.offer(&job(directory.path(), vec![], None)).unwrap();
    assert_eq!(run_transaction(ended.path()), ExitCode::SUCCESS);
    assert_eq!(wait(with_result), (TransactionOutcome::Completed, 1));
}

#[test]
fn a_process_id_of_another_boot_is_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let offered = offered(directory.path(), &job(directory.path(), vec![], None));
    let own = i32::try_from(std::process::id()).unwrap();
    let start_ticks = process::examine(own).unwrap().start_ticks;
    let running = job::Running { boot_id: "another boot".to_owned(), pid: own, start_ticks };
    offered.write_running(&running).unwrap();
    offered.claim().unwrap();
    let (outcome, _) = wait(launcher("/bin/true").attach(offered, name(), Duration::from_secs(1)));
    assert!(matches!(&outcome, TransactionOutcome::Interrupted { detail } if detail.contains("rebooted")), "{outcome:?}");
}

#[test]
fn told_to_stop_it_stops_following_and_the_transaction_stays() {
    let directory = tempfile::tempdir().unwrap();
    let offered = JobDirectory::new(&directory.path().join("tx"));
    let started = launcher("/bin/sleep").start(offered.clone(), &job(directory.path(), vec![], None));
    let stopped = started.unwrap().wait(&Arc::new(AtomicBool::new(true)), || {});
    assert_eq!(stopped, None);
    assert!(offered.path().join("job.json").exists());
}

//! The suite that every kind of check passes: healthy, unhealthy, and too slow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use patchwave_common::domain::{CheckName, UnitName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn check(kind: CheckKind) -> HealthCheck {
    HealthCheck { name: CheckName::parse("web").unwrap(), kind, timeout: Duration::from_secs(5) }
}

fn context(directory: &Path) -> HealthContext {
    HealthContext { checks_dir: directory.join("checks.d"), root: Some(directory.to_owned()) }
}

async fn run(check: &HealthCheck, context: &HealthContext) -> Result<(), String> {
    run_check(check, context).await.result
}

fn no_context() -> HealthContext {
    context(Path::new("/nonexistent"))
}

/// A server that answers every connection with `answer`; with none it accepts and says nothing.
async fn server(answer: Option<&'static str>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            match answer {
                Some(answer) => {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                None => silent.push(stream),
            }
        }
    });
    address
}

fn script(directory: &Path, text: &str) {
    let checks = directory.join("checks.d");
    std::fs::create_dir_all(&checks).unwrap();
    std::fs::set_permissions(&checks, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = checks.join("web");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn tcp_passes_where_something_accepts() {
    let address = server(None).await;
    assert_eq!(run(&check(CheckKind::Tcp { address }), &no_context()).await, Ok(()));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failed = run(&check(CheckKind::Tcp { address: closed }), &no_context()).await.unwrap_err();
    assert!(failed.contains(&closed.to_string()), "{failed}");
}

#[tokio::test]
async fn http_passes_with_the_wanted_status_and_no_other() {
    let address = server(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let url = format!("http://{address}/health?x=1");
    assert_eq!(run(&check(CheckKind::http(&url, 204).unwrap()), &no_context()).await, Ok(()));
    let failed = run(&check(CheckKind::http(&url, 200).unwrap()), &no_context()).await.unwrap_err();
    assert!(failed.contains("answered 204, wanted 200"), "{failed}");
    let no_http = server(Some("SSH-2.0-OpenSSH\r\n")).await;
    assert!(run(&check(CheckKind::http(&format!("http://{no_http}/"), 200).unwrap()), &no_context()).await.is_err());
}

#[tokio::test]
async fn a_check_that_does_not_answer_in_time_fails() {
    let url = format!("http://{}/", server(None).await);
    let slow = HealthCheck { timeout: Duration::from_millis(50), ..check(CheckKind::http(&url, 200).unwrap()) };
    assert_eq!(run(&slow, &no_context()).await, Err("no answer within 50ms".to_owned()));
}

#[tokio::test]
async fn a_unit_on_a_sandbox_host_fails_and_so_proves_nothing() {
    let unit = UnitName::parse("cron.service").unwrap();
    assert!(run(&check(CheckKind::Unit { unit }), &no_context()).await.is_err());
}

#[tokio::test]
async fn an_executable_gets_the_root_and_no_argument_and_nothing_of_our_environment() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "#!/bin/sh\n[ -d \"$PATCHWAVE_ROOT\" ] && [ $# = 0 ] && [ -z \"$CARGO_PKG_NAME\" ]\n");
    assert_eq!(run(&check(CheckKind::Executable), &context(directory.path())).await, Ok(()));
    script(directory.path(), "#!/bin/sh\necho fine; echo the disk is slow >&2; exit 4\n");
    let failed = run(&check(CheckKind::Executable), &context(directory.path())).await.unwrap_err();
    assert!(failed.contains("exit status: 4") && failed.contains("the disk is slow"), "{failed}");
}

#[tokio::test]
async fn an_executable_that_takes_too_long_is_killed_with_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "#!/bin/sh\nsleep 300 &\necho $! > \"$PATCHWAVE_ROOT/pid\"\nsleep 300\n");
    let slow = HealthCheck { timeout: Duration::from_millis(500), ..check(CheckKind::Executable) };
    assert!(run(&slow, &context(directory.path())).await.unwrap_err().contains("no answer"));
    let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let started = Instant::now();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(started.elapsed() < Duration::from_secs(10), "the sleep goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_executable_that_leaves_something_behind_is_judged_by_its_own_end() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "#!/bin/sh\nsleep 300 &\nexit 0\n");
    let started = Instant::now();
    assert_eq!(run(&check(CheckKind::Executable), &context(directory.path())).await, Ok(()));
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn an_executable_that_says_too_much_is_not_stopped_by_a_full_pipe() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "#!/bin/sh\nhead -c 1000000 /dev/zero | tr '\\0' x\nexit 0\n");
    assert_eq!(run(&check(CheckKind::Executable), &context(directory.path())).await, Ok(()));
}

#[tokio::test]
async fn what_others_could_write_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "#!/bin/sh\ntouch \"$PATCHWAVE_ROOT/ran\"\n");
    let checks = directory.path().join("checks.d");
    let file = checks.join("web");
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let refused = async || run(&check(CheckKind::Executable), &context(directory.path())).await.unwrap_err();
    set(&file, 0o757);
    assert!(refused().await.contains("writable by others"));
    set(&file, 0o755);
    set(&checks, 0o777);
    assert!(refused().await.contains("writable by others"));
    set(&checks, 0o755);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
        assert!(refused().await.contains("belongs to user 12345"));
    }
    std::fs::rename(&file, checks.join("other")).unwrap();
    std::os::unix::fs::symlink(checks.join("other"), &file).unwrap();
    assert!(refused().await.contains("no regular file"));
    assert!(!directory.path().join("ran").exists());
}

#[tokio::test]
async fn a_round_runs_every_check_at_once_and_keeps_their_order() {
    let address = server(None).await;
    let named = |name: &str, kind| HealthCheck { name: CheckName::parse(name).unwrap(), timeout: Duration::from_millis(300), kind };
    let slow = CheckKind::http(&format!("http://{address}/"), 200).unwrap();
    let mut checks: Vec<HealthCheck> = (0..7).map(|number| named(&format!("slow-{number}"), slow.clone())).collect();
    checks.push(named("fast", CheckKind::Tcp { address }));
    let started = Instant::now();
    let round = run_round(checks, Arc::new(no_context())).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(round.checks.len(), 8);
    assert!(round.checks[7].result.is_ok() && round.checks[0].result.is_err() && round.units.is_none());
    assert_eq!(round.checks[7].name.as_str(), "fast");
}

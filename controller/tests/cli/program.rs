//! The real program: exit status, streams, completions, and how it behaves without a controller.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the program left behind.
pub struct Run {
    pub status: i32,
    pub data: String,
    pub talk: String,
}

/// The program with a home of its own and none of this process's settings.
pub fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwave"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(home: &Path, arguments: &[&str]) -> Run {
    finish(program(home).args(arguments))
}

/// Runs a prepared command to its end.
pub fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        status: output.status.code().unwrap(),
        data: String::from_utf8(output.stdout).unwrap(),
        talk: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn wrong_use_ends_with_2_says_what_is_right_and_prints_no_data() {
    let home = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 16] = [
        (&[], "Usage: patchwave"),
        (&["hots", "list"], "similar subcommand exists: 'host'"),
        (&["host", "lst"], "similar subcommand exists: 'list'"),
        (&["host", "list", "--selektor"], "unexpected argument"),
        (&["host", "list", "ring=test,"], "ring=test,os=debian"),
        (&["host", "label", "web-1"], "<CHANGE>"),
        (&["host", "label", "web-1", "ring=fast"], "test, early, broad or last"),
        (&["token", "create", "--mode", "manged"], "similar value exists: 'managed'"),
        (&["token", "create", "--mode", "managed", "--ttl", "10"], "1h30m"),
        (&["token", "create", "--mode", "managed", "--label", "a=1", "--label", "a=2"], "given twice"),
        (&["quarantine", "lift", "q-1"], "--reason"),
        (&["quarantine", "lift", "q-1", "--reason", " "], "say why"),
        (&["rollout", "show", "../x"], "patchwave rollout list"),
        (&["package", "hosts", "openssl", "--version", "<"], "<3.0.22"),
        (&["policy", "lint"], "--file"),
        (&["serve"], "--config"),
    ];
    for (arguments, told) in cases {
        let run = run(home.path(), arguments);
        assert_eq!((run.status, run.data.as_str()), (2, ""), "{arguments:?}");
        assert!(run.talk.contains(told), "{arguments:?}: {}", run.talk);
    }
}

#[test]
fn help_and_version_are_data() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["rollout", "plan", "--help"], &["help", "host", "label"], &["--version"]] {
        let run = run(home.path(), arguments);
        assert_eq!((run.status, run.talk.as_str()), (0, ""), "{arguments:?}");
        assert!(run.data.contains("patchwave"), "{arguments:?}");
    }
}

#[test]
fn without_a_context_every_verb_says_how_to_get_one() {
    let home = tempfile::tempdir().unwrap();
    for arguments in
        [&["host", "list"][..], &["rollout", "watch", "r-1"], &["context", "show"], &["operator", "create", "ben", "--role", "viewer"]]
    {
        let run = run(home.path(), arguments);
        assert_eq!((run.status, run.data.as_str()), (1, ""), "{arguments:?}");
        assert!(run.talk.contains("hint:") && run.talk.contains("patchwave init"), "{arguments:?}: {}", run.talk);
    }
    let list = run(home.path(), &["context", "list", "-o", "json"]);
    assert_eq!((list.status, list.data.as_str()), (0, "[]\n"));
    let unknown = run(home.path(), &["--context", "prod", "host", "list"]);
    assert_eq!(unknown.status, 2);
    assert!(unknown.talk.contains("prod"), "{}", unknown.talk);
}

#[test]
fn a_wrong_log_filter_is_wrong_use() {
    let home = tempfile::tempdir().unwrap();
    let run = run(home.path(), &["context", "list", "--log", "patchwave=loud"]);
    assert_eq!(run.status, 2);
    assert!(run.talk.contains("loud"), "{}", run.talk);
}

#[test]
fn completions_are_scripts_that_their_shell_reads() {
    let home = tempfile::tempdir().unwrap();
    for (shell, check) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("elvish", ""), ("powershell", "")] {
        let script = run(home.path(), &["completions", shell]);
        assert_eq!(script.status, 0, "{shell}");
        assert!(script.data.contains("report-harm"), "{shell}");
        if check.is_empty() {
            continue;
        }
        let file = home.path().join(shell);
        std::fs::write(&file, &script.data).unwrap();
        match Command::new(check).arg("-n").arg(&file).output() {
            Ok(parsed) => assert!(parsed.status.success(), "{shell}: {}", String::from_utf8_lossy(&parsed.stderr)),
            Err(_) => eprintln!("LEFT OUT: {shell} is not installed, so its completions were not tried"),
        }
    }
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let mut child = program(home.path()).args(["completions", "zsh"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_full_disk_under_the_output_is_an_error() {
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
        eprintln!("LEFT OUT: no /dev/full");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let output = program(home.path()).args(["completions", "bash"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint:"));
}

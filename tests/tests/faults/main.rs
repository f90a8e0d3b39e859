//! Faults put into the engine and the agent on purpose, each of which the simulation must catch: a copy of the source is edited, built once,
//! and lives with one fault on at a time (`faults.toml`). The shipped source knows nothing of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use patchwave_tests::SourceCopy;
use serde::Deserialize;

/// Tells which fault is on; appended to the copy's `common`.
const SWITCH: &str = r#"
/// Whether this deliberate fault is on.
pub fn fault(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("PATCHWAVE_FAULT").ok()).as_deref() == Some(name)
}
"#;

/// Lives that may pass before a fault has to be caught.
const LIVES: &str = "400";
/// Lives without any fault, to see that it is the fault which ends the others.
const LIVES_WITHOUT: &str = "30";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    caught: Vec<String>,
    edit: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: PathBuf,
    find: String,
    replace: String,
}

/// How a run of lives ended.
struct Run {
    passed: bool,
    said: String,
}

fn live(simulation: &PathBuf, fault: &str, lives: &str) -> Run {
    let run = Command::new(simulation)
        .args(["every_life", "--nocapture"])
        .env("PATCHWAVE_FAULT", fault)
        .env("SEEDS", lives)
        .env("RUST_BACKTRACE", "0")
        .env_remove("FROM")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout);
    Run { passed: run.status.success(), said }
}

#[test]
fn every_deliberate_fault_is_caught() {
    let faults: Faults = toml::from_str(include_str!("faults.toml")).unwrap();
    assert!(faults.fault.len() >= 10);
    let copied = SourceCopy::of_this_workspace().unwrap();
    copied.append("common/src/lib.rs", SWITCH).unwrap();
    for edit in faults.fault.iter().flat_map(|fault| &fault.edit) {
        copied.edit(&edit.file, &edit.find, &edit.replace).unwrap();
    }
    let simulation = copied.build_test("simulation").unwrap();
    let clean = live(&simulation, "", LIVES_WITHOUT);
    assert!(clean.passed, "without any fault: {}", clean.said);
    let mut missed = Vec::new();
    for Fault { name, caught, .. } in &faults.fault {
        let run = live(&simulation, name, LIVES);
        let by = caught.iter().find(|words| run.said.contains(*words));
        let seed = run.said.lines().find_map(|line| line.strip_prefix("seed ")).and_then(|line| line.split(' ').next()).unwrap_or("?");
        match by.filter(|_| !run.passed) {
            Some(by) => eprintln!("{name}: caught in life {seed}: {by}"),
            None => missed.push(format!("{name}: {}", run.said.lines().take(12).collect::<Vec<_>>().join(" | "))),
        }
    }
    assert!(missed.is_empty(), "not caught, or by something else:\n{}", missed.join("\n"));
}

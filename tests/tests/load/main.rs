//! The load generator works from end to end. What it measures is for people to read: nothing here judges a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use patchwave_tests::Binaries;
use patchwave_tests::load::{Report, SCHEMA};

/// Few, and still shared among several workers.
const AGENTS: u32 = 50;

#[test]
fn a_small_fleet_is_measured_and_every_field_of_the_report_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-load"));
    command.args(["--agents", &AGENTS.to_string(), "--check-ins", "1", "--only", "patchwave,bare-tonic", "--directory"]).arg(folder.path());
    command.arg("--patchwave").arg(Binaries::find().unwrap().patchwave).arg("--json").arg(&file);
    let output = command.output().unwrap();
    let (table, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{talk}");
    assert!(table.contains("resident KiB per agent"), "{table}");

    let text = std::fs::read_to_string(&file).unwrap();
    let report: Report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!((report.schema, report.agents), (SCHEMA, AGENTS));
    // A number that could not be had is null. nginx need not be installed.
    let mut lacking = nulls("", &serde_json::from_str(&text).unwrap());
    // So few agents may cost the bare server no memory that could be measured.
    lacking.retain(|path| !path.contains("nginx") && !path.starts_with("/ratios/memory"));
    assert!(lacking.is_empty(), "{lacking:?} in {text}");
}

fn nulls(path: &str, value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Null => vec![path.to_owned()],
        serde_json::Value::Object(fields) => fields.iter().flat_map(|(name, value)| nulls(&format!("{path}/{name}"), value)).collect(),
        _ => Vec::new(),
    }
}

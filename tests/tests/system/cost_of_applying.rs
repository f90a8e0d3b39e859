//! What applying costs over bare apt-get: the same transaction on two hosts alike, once by hand and once by the agent.
//! `cargo nextest run --release --workspace -E 'test(what_applying_costs)' --run-ignored all --no-capture`

use anyhow::{Context as _, Result, ensure};
use patchwave_debian_repository::{Package, ReleaseFields};
use patchwave_tests::{Fleet, Host};
use serde_json::Value;

use super::support::{Patched, policy};

const PACKAGES: usize = 30;
const FILES: usize = 60;
const FILE_BYTES: usize = 8_000;
const UNIT: &str = "patchwave-agent.service";

fn package(number: usize, version: &str) -> Package {
    let name = format!("part-{number}");
    let files = (0..FILES).map(|file| (format!("/usr/share/{name}/{file}"), format!("{version} {file} ").repeat(FILE_BYTES / 10)));
    files.fold(Package::new(&name, version), |package, (path, text)| package.file(&path, 0o644, text))
}

/// CPU seconds of the agent so far, its own and those of the tools that it waited for. A transaction is a unit of its own and not among them.
fn cpu_of_agent(host: &Host) -> Result<f64> {
    let process = host.run("systemctl", &["show", "--property", "MainPID", "--value", UNIT])?;
    let stat = host.read(&format!("/proc/{}/stat", process.trim()))?;
    // After the name in parentheses: user, system, and both of children, are the 12th to 15th, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().context("no stat")?.split_whitespace().collect();
    let ticks = fields.get(11..15).context("a short stat")?.iter().map(|ticks| ticks.parse::<f64>()).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// How long a command took in a unit of its own, as systemd tells it, in seconds.
fn in_a_unit(host: &Host, command: &[&str]) -> Result<f64> {
    let ran = host.try_run("systemd-run", &[&["--wait"], command].concat())?;
    ensure!(ran.status.success(), "{ran:?}");
    let spans = ran.stderr.lines().find_map(|line| line.strip_prefix("Service runtime: ")).with_context(|| format!("no time: {ran:?}"))?;
    spans.split_whitespace().map(seconds).sum::<Option<f64>>().context("a span")
}

fn seconds(span: &str) -> Option<f64> {
    let unit = span.trim_start_matches(|each: char| each.is_ascii_digit() || each == '.');
    let number: f64 = span.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        "min" => 60.0,
        "s" => 1.0,
        "ms" => 0.001,
        _ => return None,
    };
    Some(number * factor)
}

/// When the agent first said that a directive had come so far, in seconds.
fn said_at(journal: &str, progress: &str) -> Result<f64> {
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut said = lines.filter(|line| line["MESSAGE"].as_str().is_some_and(|message| message.contains(&format!("progress={progress}"))));
    let at = said.next().with_context(|| format!("the agent never said {progress}"))?["__MONOTONIC_TIMESTAMP"].clone();
    Ok(at.as_str().context("no time")?.parse::<f64>()? / 1e6)
}

#[test]
#[ignore = "a measurement"]
fn what_applying_costs() -> Result<()> {
    Fleet::test("cost of applying", |fleet| {
        let (mut repository, server) = fleet.repository("parts", ReleaseFields::named("parts"))?;
        (0..PACKAGES).try_for_each(|number| repository.add(&package(number, "1.0-1")).map(|_| ()))?;
        repository.publish()?;
        let source = repository.source_line(&server.url());
        let names: Vec<String> = (0..PACKAGES).map(|number| format!("part-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let patched = Patched::start(fleet, &[("managed-1", "test"), ("bare-1", "early")], |host| {
            host.add_source("parts", &source)?;
            host.apt_get(&[&["install"], &names[..]].concat()).map(|_| ())
        })?;
        let (managed, bare) = (patched.host("managed-1")?, patched.host("bare-1")?);
        (0..PACKAGES).try_for_each(|number| repository.add(&package(number, "2.0-1")).map(|_| ()))?;
        repository.publish()?;
        patched.controller.run(&["host", "refresh"])?;
        patched.wait_until_offered("part-0", "2.0-1", 2)?;
        bare.stop_agent()?;

        let wanted: Vec<String> = names.iter().map(|name| format!("{name}=2.0-1")).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let apt = ["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes", "install"];
        let download = in_a_unit(&bare, &[&apt[..], &["--download-only"], &wanted[..]].concat())?;
        let install = in_a_unit(&bare, &[&apt[..], &wanted[..]].concat())?;

        patched.apply_policy(&policy("", &[("all", "test", "ring=test", "\"all\"")]))?;
        let before = cpu_of_agent(&managed)?;
        let rollout = patched.start_rollout(&names)?;
        patched.wait_for_state(&rollout, "completed")?;
        let agent = cpu_of_agent(&managed)? - before;
        let journal = managed.run("journalctl", &["--unit", UNIT, "--output", "json", "--no-pager"])?;
        let transaction = said_at(&journal, "Verifying")? - said_at(&journal, "Applying")?;

        eprintln!("{PACKAGES} packages of {FILES} files, in seconds");
        eprintln!("apt-get, download:          {download:6.2}");
        eprintln!("apt-get, install:           {install:6.2}");
        eprintln!("agent, applying:            {transaction:6.2}   {:.2} x", transaction / install);
        eprintln!("agent, before and after it: {agent:6.2} of CPU: staging, examination, originals for the way back, verification");
        Ok(())
    })
}
